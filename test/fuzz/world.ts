import { decode } from "../../src/protocol/decode.ts";
import { VirtualClock } from "../../src/util/virtual-clock.ts";
import { draws } from "../support/world.ts";
import { FuzzEdge } from "./edge.ts";
import { checkEdge } from "./edge-checks.ts";
import { applyFault, FateWatch, type Pick, picker } from "./faults.ts";
import { hold } from "./hold.ts";
import { checkCounterparts, checkServer } from "./invariants.ts";
import { FaultyLink, frameName, type Way } from "./link.ts";
import type { WorldPlan } from "./plan.ts";
import { checkRest } from "./rest.ts";
import type { Run } from "./run.ts";
import { FuzzServer, type Life } from "./server.ts";

/** Where a link leads. */
export interface Route {
  readonly edge: FuzzEdge;
  /** of the edge's clients, the one that has it */
  readonly clientNumber: number;
  readonly life: Life | null;
}

export interface WorldOptions {
  /** looks at everything after every event; without it only the answers count */
  readonly judges: boolean;
  readonly note?: (line: string) => void;
}

/** Once nothing more goes wrong it takes a stall, a silence and a heartbeat at the most until every session ends. */
const MOST_LATE_MS = 120_000;
/** Many times what the busiest of 4,000 worlds needs: one that spins is caught. */
const MOST_EVENTS = 200_000;

/** Real edges and clouds, with all that can befall them, under a virtual clock. */
export class FuzzWorld {
  readonly clock = new VirtualClock();
  readonly plan: WorldPlan;
  readonly random: () => number;
  readonly pick: Pick;
  readonly judges: boolean;
  readonly servers: FuzzServer[];
  readonly edges: FuzzEdge[];
  /** who has done something since they were last looked at */
  readonly touched = new Set<FuzzEdge | FuzzServer>();
  readonly routes = new Map<FaultyLink, Route>();
  /** what happened, by name: a search that never meets something proves nothing about it */
  readonly happened = new Map<string, number>();
  private readonly write: ((line: string) => void) | undefined;

  constructor(plan: WorldPlan, { judges, note }: WorldOptions) {
    this.plan = plan;
    this.judges = judges;
    this.write = note;
    // Other numbers than the plan was drawn with.
    this.random = draws(plan.seed + 0x1_0000_0000);
    this.pick = picker(this.random);
    this.servers = plan.servers.map((_, i) => new FuzzServer(this, `server ${i}`));
    this.edges = plan.edges.map((edge, i) => new FuzzEdge(this, `edge ${i}`, edge));
    for (const [i, events] of plan.servers.entries()) this.planServer(this.servers[i]!, events);
  }

  /** Links and drafters still meet faults. */
  get isHarmed(): boolean {
    return this.clock.nowMs() < this.plan.faultsUntilMs;
  }

  get runs(): Run[] {
    return this.edges.flatMap(({ runs }) => runs);
  }

  note(line: () => string): void {
    this.write?.(`${this.clock.nowMs().toFixed(1).padStart(10)} ms  ${line()}`);
  }

  later(afterMs: number, callback: () => void): void {
    this.clock.schedule(this.clock.nowMs() + afterMs, callback);
  }

  count(name: string): void {
    this.happened.set(name, (this.happened.get(name) ?? 0) + 1);
  }

  /** Runs until nothing is left to do. @throws Broken when something does not hold */
  run(): void {
    const { clock, plan, judges } = this;
    for (let events = 0; clock.step(); events++) {
      if (judges) this.look();
      hold(events < MOST_EVENTS, "bounds", () => `still busy after ${events} events`);
      if (clock.nowMs() > plan.faultsUntilMs + MOST_LATE_MS) this.checkEnds();
    }
    this.checkEnds();
    if (judges) checkRest(this);
  }

  /** At the process that has done something. */
  private look(): void {
    for (const one of this.touched) {
      if (one instanceof FuzzEdge) {
        checkEdge(one);
        checkCounterparts(this, one);
      } else checkServer(this, one);
    }
    this.touched.clear();
  }

  private checkEnds(): void {
    for (const run of this.runs)
      hold(run.over, "outcome", () => `${run.name} never ends (${run.describe()})`);
  }

  /**
   * Makes a link for an edge to one of the servers; tells it within its own process.
   * @param replica the edge's choice; null: chance decides, or where it is at home
   */
  connect(
    edge: FuzzEdge,
    done: (error: Error | null, link: FaultyLink | null) => void,
    replica: number | null = null,
  ): void {
    const { pick, random, servers } = this;
    const { faithful, homeServer } = edge.plan;
    const place = replica ?? (faithful ? homeServer : Math.floor(random() * servers.length));
    const server = servers[place]!;
    this.later(pick(0, 10, 200), () => {
      const life = server.draining ? null : server.life;
      if (!life && random() < 0.5) {
        this.note(() => `${edge.name} finds no cloud at ${server.name}`);
        edge.process.run(() => done(new Error("the connection was refused"), null));
        return;
      }
      // Where no process is, a connection may also just lead nowhere.
      const link = this.link(edge, life);
      this.note(() => `${edge.name} has link ${link.number} to ${life ? server.name : "no cloud"}`);
      if (life) server.accept(life, link);
      if (!this.isHarmed && !life) this.later(100, () => link.edge.hangUp("no cloud answers"));
      edge.process.run(() => done(null, link));
    });
  }

  /** Whose session has a slot of the target. */
  runWith({ life }: FuzzServer, slot: number): Run | undefined {
    const view = life?.cloud.sessions().find((session) => session.slot === slot);
    return life && view ? this.runAt(life, view.identity.connection, view.identity.id) : undefined;
  }

  /** Whose session it is, by the cloud's numbers. */
  runAt(life: Life, connection: number, id: number): Run | undefined {
    const link = life.links.get(connection);
    const route = link && this.routes.get(link);
    return route?.edge.runOf(route.clientNumber, id);
  }

  private link(edge: FuzzEdge, life: Life | null): FaultyLink {
    const { clock, random, plan } = this;
    const fates = this.isHarmed ? plan.fates(random) : [];
    const watch = new FateWatch(fates, clock, (fault) => {
      this.count(`fault ${fault.kind}`);
      this.note(() => `link ${link.number} has a fault: ${JSON.stringify(fault)}`);
      applyFault(link, fault, clock);
    });
    const said: Uint8Array[] = [];
    const link: FaultyLink = new FaultyLink({
      number: this.routes.size + 1,
      profile: edge.plan.network,
      edge: edge.process,
      cloud: life?.process ?? null,
      clock,
      random,
      watch: {
        sent: (way, bytes) => {
          this.frame("sent", way, link, bytes);
          if (way === "up" && plan.repeats > 0) this.repeat(link, bytes, said);
          watch.frame("sent", bytes);
        },
        arrived: (way, bytes) => {
          this.frame("arrived", way, link, bytes);
          watch.frame("arrived", bytes);
        },
      },
    });
    this.routes.set(link, { edge, clientNumber: edge.clientNumber, life });
    return link;
  }

  /** What the protocol allows to be said again: drafts, and what means nothing the second time. */
  private repeat(link: FaultyLink, bytes: Uint8Array, said: Uint8Array[]): void {
    if (["draft", "ping"].includes(frameName(bytes))) said.push(bytes.slice());
    if (said.length === 0 || this.random() >= this.plan.repeats) return;
    const again = said[Math.floor(this.random() * said.length)]!;
    this.count("repeated frame");
    link.edge.carry(again.slice());
  }

  private frame(moment: "sent" | "arrived", way: Way, link: FaultyLink, bytes: Uint8Array): void {
    const name = frameName(bytes);
    this.note(() => `link ${link.number} ${way} ${moment}: ${brief(bytes)}`);
    const { edge, clientNumber } = this.routes.get(link)!;
    if (moment === "arrived") this.count(`frame ${name}`);
    if (moment === "arrived" && way === "down" && edge.link !== link) this.count(`old link ${name}`);
    if (moment === "arrived" && way === "up" && edge.link !== link) this.count(`late ${name}`);
    if (!["open", "error", "witnessRequest", "witnesses"].includes(name)) return;
    const frame = decode(bytes.slice());
    if (!("session" in frame)) return;
    const run = edge.runOf(clientNumber, frame.session);
    if (frame.type === "error" && moment === "sent") this.count(`error ${frame.code}`);
    if (!run || moment !== (way === "up" ? "sent" : "arrived")) return;
    if (frame.type === "witnessRequest") run.draws = true;
    if (frame.type === "open" && frame.resume) this.count(run.draws ? "resumed within a draw" : "resumed");
    if (frame.type !== "witnessRequest") run.draws = false;
  }

  private planServer(server: FuzzServer, events: WorldPlan["servers"][number]): void {
    for (const event of events) {
      this.later(event.atMs, () => {
        this.count(`server ${event.kind}`);
        if (event.kind === "crash") server.crash(event.silent, event.downMs);
        else if (event.kind === "shutdown") server.shutDown(event.graceMs, event.downMs);
        else if (event.kind === "drain") server.drain(event.withinMs, event.downMs);
        else server.stall(event.forMs);
      });
    }
  }
}

function brief(bytes: Uint8Array): string {
  const { type, ...rest } = decode(bytes.slice());
  const text = JSON.stringify(rest, (_, value) =>
    ArrayBuffer.isView(value) ? [...(value as Int32Array)] : value,
  );
  return `${type} ${text.length > 300 ? `${text.slice(0, 300)}…` : text}`;
}
