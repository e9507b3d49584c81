import { CloudError } from "../../src/edge/connection.ts";
import { PipelineStatistics } from "../../src/edge/core/statistics.ts";
import type { Drafter } from "../../src/edge/drafters/drafter.ts";
import { LookupDrafter, TwoDrafters } from "../../src/edge/drafters/lookup-drafter.ts";
import { ParallelDrafter } from "../../src/edge/drafters/parallel-drafter.ts";
import type { Reconnect } from "../../src/edge/links.ts";
import { RemoteOpener } from "../../src/edge/opener.ts";
import { pacedDrafter } from "../../src/engine/paced.ts";
import { ToyDraftModel } from "../../src/engine/toy/draft-model.ts";
import { wireLink } from "../../src/protocol/link.ts";
import { assert } from "../../src/util/assert.ts";
import { failingDrafter } from "./engines.ts";
import type { FaultyLink } from "./link.ts";
import { type EdgePlan, PATIENT_MS } from "./plan.ts";
import { Process } from "./process.ts";
import { Run } from "./run.ts";
import type { FuzzWorld } from "./world.ts";

/** How long an edge waits that finds no cloud, or whose client gave up, before it tries again. */
const TRY_AGAIN_MS = 500;

/** A device: one drafter, one client at a time, and what its user asks. */
export class FuzzEdge {
  readonly name: string;
  readonly plan: EdgePlan;
  readonly process: Process;
  readonly toy: ToyDraftModel;
  readonly model: ParallelDrafter;
  readonly drafter: Drafter;
  readonly runs: Run[];
  client: RemoteOpener | null = null;
  /** the newest */
  link: FaultyLink | null = null;
  /** of clients, the first is 1: session numbers begin again with each */
  clientNumber = 0;
  closed = false;
  private readonly world: FuzzWorld;
  private connecting = false;
  private ready = false;
  private readonly waiting: Run[] = [];
  private readonly byId = new Map<string, Run>();
  /** sessions of this client */
  private opened = 0;
  private secrets = 0;

  constructor(world: FuzzWorld, name: string, plan: EdgePlan) {
    this.world = world;
    this.name = name;
    this.plan = plan;
    this.process = new Process(world.clock, () => world.touched.add(this));
    const { language, schedule } = world.plan;
    const { contextTokens } = plan.drafter;
    this.toy = new ToyDraftModel({ ...language, contextTokens }, this.process, schedule.feedTokens);
    const later = (ms: number, callback: () => void) =>
      void this.process.schedule(world.clock.nowMs() + ms, callback);
    const isHarmed = () => world.isHarmed;
    const failing = failingDrafter(this.toy, plan, world.random, isHarmed, later, () => this.drafterFailed());
    this.model = new ParallelDrafter(pacedDrafter(failing, schedule.pace, this.process));
    const { kind } = plan.drafter;
    this.drafter =
      kind === "model" ? this.model : kind === "both" ? new TwoDrafters(this.model) : new LookupDrafter();
    this.runs = plan.sessions.map((session, i) => new Run(`${name}.${i}`, session, plan, world));
    const impatient = plan.reconnectWithinMs === null || plan.reconnectWithinMs < PATIENT_MS;
    if (impatient || !plan.secrets) for (const run of this.runs) run.mayBeLost();
    if (world.plan.tight)
      for (const run of this.runs) run.mayFail("server_full", "too_many_sessions", "slow_peer");
    for (const run of this.runs) {
      const { opensAtMs } = run.plan;
      if (opensAtMs !== null) this.process.schedule(opensAtMs, () => this.open(run));
    }
    for (const [i, run] of this.runs.entries()) run.whenEnded = () => this.ended(this.runs[i + 1]);
    for (const { atMs, forMs } of plan.stalls) world.later(atMs, () => this.stall(forMs));
    if (plan.ends) world.later(plan.ends.atMs, () => this.end(plan.ends!.how));
  }

  /** The session that a client of this edge has, or had, by this number. */
  runOf(clientNumber: number, id: number): Run | undefined {
    return this.byId.get(`${clientNumber}:${id}`);
  }

  /** A session is over: the next may have waited for that, and with the last the edge says goodbye. */
  private ended(next: Run | undefined): void {
    if (next?.plan.opensAtMs === null) this.open(next);
    if (!this.runs.every((run) => run.over)) return;
    const { process } = this;
    process.schedule(process.nowMs() + this.plan.lingersMs, () => this.leave());
  }

  private open(run: Run): void {
    if (this.closed) {
      run.abandon();
      return;
    }
    if (!this.client || !this.ready) {
      this.waiting.push(run);
      this.connect();
      return;
    }
    const { client, process } = this;
    const { policy, sampler, seed, maxTokens, prompt, cancel } = run.plan;
    // A client's sessions are numbered from 1; its frames are seen before it has said so.
    const id = ++this.opened;
    this.byId.set(`${this.clientNumber}:${id}`, run);
    this.world.note(() => `${run.name} opens as session ${id}: ${run.describe()}`);
    try {
      run.session = client.open({ policy, sampler, seed, maxTokens }, Int32Array.from(prompt), run.listener);
      assert(run.session.id === id, "sessions are counted as the client does");
    } catch (error) {
      if (!(error instanceof CloudError)) throw error;
      if (error.code === "too_many_sessions") {
        this.byId.delete(`${this.clientNumber}:${this.opened--}`);
        const { code, message } = error;
        run.listener.finished({ kind: "failed", code, message }, new PipelineStatistics());
        return;
      }
      // This client gave up before: its user starts another.
      this.client = null;
      this.open(run);
      return;
    }
    if (cancel && "atMs" in cancel) process.schedule(process.nowMs() + cancel.atMs, () => run.cancel());
  }

  private connect(): void {
    if (this.connecting || this.closed) return;
    this.connecting = true;
    const { world, process, plan } = this;
    const number = ++this.clientNumber;
    this.opened = 0;
    const connected = (error: Error | null, link: FaultyLink | null) => {
      if (this.closed) return link?.edge.close();
      if (error || !link) return this.tryAgain();
      this.ready = false;
      this.link = link;
      this.client = new RemoteOpener({
        link: wireLink(link.edge),
        reconnect:
          plan.reconnectWithinMs === null ? null : (done, replica) => this.reconnect(number, done, replica),
        ...(world.plan.replicas
          ? { replicas: () => world.servers.length, replica: plan.homeServer, random: world.random }
          : {}),
        reconnectWithinMs: plan.reconnectWithinMs ?? 0,
        secret: plan.secrets ? () => `secret-of-${this.name}-${`${this.secrets++}`.padStart(4, "0")}` : null,
        fingerprint: "toy",
        drafter: this.drafter,
        clock: process,
        client: "fuzz",
        ready: (failure) => {
          if (failure) return this.tryAgain();
          [this.connecting, this.ready] = [false, true];
          for (const run of this.waiting.splice(0)) this.open(run);
        },
      });
    };
    world.connect(this, connected, world.plan.replicas ? plan.homeServer : null);
  }

  private tryAgain(): void {
    this.client = null;
    this.connecting = false;
    const { process } = this;
    process.schedule(process.nowMs() + TRY_AGAIN_MS, () => this.waiting.length > 0 && this.connect());
  }

  private reconnect(clientNumber: number, done: Parameters<Reconnect>[0], replica: number): void {
    this.world.connect(
      this,
      (error, link) => {
        // A client that gave up meanwhile closes it.
        if (link && clientNumber === this.clientNumber) this.link = link;
        done(error, link && wireLink(link.edge));
      },
      this.world.plan.replicas ? replica : null,
    );
  }

  /** The session that waits for the draft may fail. */
  private drafterFailed(): void {
    const { drafting } = this.model.view();
    for (const run of this.runs)
      if (drafting !== null && run.session?.owner === drafting) run.mayFail("engine");
  }

  private stall(forMs: number): void {
    this.world.note(() => `${this.name} stalls for ${forMs} ms`);
    this.process.stall(forMs);
  }

  private end(how: "dies" | "closes"): void {
    if (this.closed) return;
    this.world.note(() => `${this.name} ${how}`);
    if (how === "closes") {
      this.process.run(() => this.leave());
      return;
    }
    this.closed = true;
    this.process.kill();
    for (const run of this.runs) run.abandon();
    const { link } = this;
    if (!link) return;
    link.pipes.up.cut();
    this.world.later(this.world.pick(0, 300, 30_000), () => link.cloud.hangUp("the device is gone"));
  }

  private leave(): void {
    if (this.closed) return;
    this.closed = true;
    for (const run of this.runs) run.mayBeCancelled();
    this.client?.close();
    for (const run of this.waiting.splice(0)) run.abandon();
  }
}
