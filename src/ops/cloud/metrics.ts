import { Histogram, type Registry } from "prom-client";
import type { SessionView } from "../../cloud/core/machine.ts";
import type { CloudObserver, PassReport } from "../../cloud/core/observer.ts";
import type { SessionEnded, SessionOpened } from "../../cloud/core/session.ts";
import type { Frame } from "../../protocol/frame.ts";
import { Tally } from "../labels.ts";
import { exposition, one, pulledCounter, pulledGauge, type Sample, serverRegistry } from "../registry.ts";
import { SessionCounts } from "./sessions.ts";

const PASS_SECONDS = [0.002, 0.005, 0.01, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15, 0.2, 0.35, 0.5, 1, 2.5];
const ROW_SECONDS = [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5];
/** Types of frames and codes are few; a bound all the same. */
const MOST_VALUES = 64;

/** What a cloud can be asked at a scrape. */
export interface ObservedCloud {
  readonly openSessions: number;
  readonly connections: number;
  sessions(): readonly SessionView[];
}

const NO_CLOUD: ObservedCloud = { openSessions: 0, connections: 0, sessions: () => [] };

interface Way {
  readonly frames: Tally;
  readonly bytes: Tally;
}

const way = (): Way => ({ frames: new Tally(MOST_VALUES), bytes: new Tally(MOST_VALUES) });

/** The cloud in Prometheus' format. A frame and a pass cost a few additions; the rest is read at a scrape. */
export class CloudMetrics implements CloudObserver {
  private readonly registry: Registry;
  private readonly counts = {
    connections: 0,
    passes: 0,
    failures: 0,
    rows: 0,
    fed: 0,
    accepted: 0,
    rejected: 0,
  };
  private readonly in = way();
  private readonly out = way();
  private readonly errors = new Tally(MOST_VALUES);
  private readonly refusals = new Tally(MOST_VALUES);
  /** connections that have not been welcomed */
  private readonly strangers = new Set<number>();
  private readonly sessions = new SessionCounts();
  private readonly passSeconds: Histogram;
  private readonly rowSeconds: Histogram;
  private cloud: ObservedCloud = NO_CLOUD;
  private kvSlots = 0;

  constructor(version: string) {
    this.registry = serverRegistry(version);
    const registers = [this.registry];
    this.passSeconds = new Histogram({
      name: "picospec_cloud_pass_seconds",
      help: "time of a pass of the target, t_v",
      ...{ buckets: PASS_SECONDS, registers },
    });
    this.rowSeconds = new Histogram({
      name: "picospec_cloud_row_seconds",
      help: "time of a pass over its rows",
      ...{ buckets: ROW_SECONDS, registers },
    });
    this.registerTraffic();
    this.registerPasses();
    this.registerSessions();
  }

  /** The cloud is there. @param kvSlots that it shares among its sessions; 0: its engine sees to that */
  serving(cloud: ObservedCloud, kvSlots: number): void {
    this.cloud = cloud;
    this.kvSlots = kvSlots;
  }

  text(): Promise<string> {
    return exposition(this.registry);
  }

  connected(connection: number): void {
    this.counts.connections++;
    this.strangers.add(connection);
  }

  disconnected(connection: number): void {
    this.strangers.delete(connection);
  }

  received(_connection: number, { type }: Frame, payloadBytes: number): void {
    this.in.frames.add(type);
    this.in.bytes.add(type, payloadBytes);
  }

  refused(code: string): void {
    this.refusals.add(code);
  }

  sent(connection: number, frame: Frame, payloadBytes: number): void {
    this.out.frames.add(frame.type);
    this.out.bytes.add(frame.type, payloadBytes);
    if (frame.type === "welcome") this.strangers.delete(connection);
    if (frame.type !== "error") return;
    this.errors.add(frame.code);
    if (this.strangers.has(connection)) this.refusals.add(frame.code);
  }

  opened(session: SessionOpened): void {
    this.sessions.opened(session);
  }

  ended(session: SessionEnded): void {
    this.sessions.closed(session);
  }

  passEnded({ tookMs, fedTokens, rows, accepted, rejected, failed }: PassReport): void {
    const { counts } = this;
    counts.passes++;
    counts.fed += fedTokens;
    counts.rows += rows;
    counts.accepted += accepted;
    counts.rejected += rejected;
    if (failed) counts.failures++;
    this.passSeconds.observe(tookMs / 1000);
    if (rows > 0) this.rowSeconds.observe(tookMs / 1000 / rows);
  }

  judged(_session: number, accepted: boolean): void {
    if (accepted) this.counts.accepted++;
    else this.counts.rejected++;
  }

  private counter(name: string, help: string, read: () => Iterable<Sample>, labels: string[] = []): void {
    pulledCounter(this.registry, { name: `picospec_cloud_${name}`, help, labels }, read);
  }

  private gauge(name: string, help: string, read: () => number): void {
    pulledGauge(this.registry, { name: `picospec_cloud_${name}`, help }, () => one(read()));
  }

  private registerTraffic(): void {
    const { counts, errors, refusals } = this;
    const type = ["type"];
    this.gauge("connections", "edges that are connected", () => this.cloud.connections);
    this.counter("connections_total", "connections accepted", () => one(counts.connections));
    this.counter("received_frames_total", "frames of edges", () => samples(this.in.frames, "type"), type);
    this.counter("sent_frames_total", "frames for edges", () => samples(this.out.frames, "type"), type);
    this.counter("received_bytes_total", "payload of edges", () => samples(this.in.bytes, "type"), type);
    this.counter("sent_bytes_total", "payload for edges", () => samples(this.out.bytes, "type"), type);
    this.counter("errors_total", "errors sent to edges", () => samples(errors, "code"), ["code"]);
    const help = "edges that were refused, at the door or before a welcome";
    this.counter("handshakes_refused_total", help, () => samples(refusals, "code"), ["code"]);
  }

  private registerPasses(): void {
    const { counts } = this;
    this.counter("passes_total", "passes of the target", () => one(counts.passes));
    this.counter("pass_failures_total", "passes that the model failed in", () => one(counts.failures));
    this.counter("rows_total", "rows computed in passes", () => one(counts.rows));
    this.counter("fed_tokens_total", "tokens fed to the target", () => one(counts.fed));
    const prefill = "tokens fed without a row: prompts, and KV that is rebuilt";
    this.counter("prefill_tokens_total", prefill, () => one(counts.fed - counts.rows));
    this.counter("drafts_accepted_total", "drafts accepted", () => one(counts.accepted));
    this.counter("drafts_rejected_total", "drafts rejected", () => one(counts.rejected));
    const slots = () => this.cloud.sessions().filter(({ slot }) => slot >= 0).length;
    this.gauge("kv_slots", "KV slots there are", () => this.kvSlots);
    this.gauge("kv_slots_used", "KV slots that sessions have", slots);
  }

  private registerSessions(): void {
    const { sessions } = this;
    const open = () => this.cloud.sessions().filter(({ ended }) => !ended);
    const waiting = () => (this.kvSlots === 0 ? 0 : open().filter(({ slot }) => slot < 0).length);
    this.gauge("sessions_open", "sessions that are open", () => this.cloud.openSessions);
    this.gauge("sessions_waiting", "open sessions without a KV slot", waiting);
    this.counter("sessions_ended_total", "sessions that are over", () => byKind(sessions.ended), [
      "policy",
      "reason",
    ]);
    const failed = "sessions that an error ended";
    this.counter("sessions_failed_total", failed, () => samples(sessions.failed, "code"), ["code"]);
    const begun = () => samples(sessions.begun, "principal");
    this.counter("sessions_total", "sessions that were opened", begun, ["principal"]);
    const totals = () => [...sessions.totals(this.cloud.sessions())];
    const sum = (of: (total: ReturnType<typeof totals>[number][1]) => number) =>
      one(totals().reduce((all, [, total]) => all + of(total), 0));
    const each = (of: (total: ReturnType<typeof totals>[number][1]) => number) =>
      totals().map(([principal, total]): Sample => [{ principal }, of(total)]);
    this.counter("prompt_tokens_total", "tokens of prompts", () => each((t) => t.promptTokens), [
      "principal",
    ]);
    const committed = "tokens committed after the prompts";
    this.counter("committed_tokens_total", committed, () => each((t) => t.committedTokens), ["principal"]);
    this.counter("evictions_total", "times that a session lost its KV slot", () => sum((t) => t.evictions));
    this.counter("reused_tokens_total", "tokens that needed no feeding", () => sum((t) => t.reusedTokens));
  }
}

function samples(tally: Tally, label: string): Sample[] {
  return [...tally.entries()].map(([value, count]) => [{ [label]: value }, count]);
}

function byKind(tally: Tally): Sample[] {
  return [...tally.entries()].map(([kind, count]) => {
    const [policy = "", reason = "other"] = kind.split(" ");
    return [{ policy, reason }, count];
  });
}
