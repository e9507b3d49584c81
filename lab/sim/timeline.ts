import type { StopReason } from "../../src/decoding/session.ts";
import type { TokenOrigin } from "../../src/edge/core/machine.ts";
import type { PipelineStatistics } from "../../src/edge/core/statistics.ts";
import type { SessionListener } from "../../src/edge/driver.ts";
import { type PassEngine, type PassItem, rowsOf, withPass } from "../../src/engine/engine.ts";
import type { Frame } from "../../src/protocol/frame.ts";
import { toSeed } from "../../src/sampling/random.ts";
import { assert } from "../../src/util/assert.ts";
import type { Clock } from "../../src/util/clock.ts";
import { type Scenario, sized } from "../models/scenario.ts";
import type { Watch } from "./link.ts";
import type { NamedPolicy } from "./simulate.ts";
import { World } from "./world.ts";

/** Tokens of an answer that can still be read as a timeline. */
export const TIMELINE_TOKENS = 24;

/** Positions [from, to) of the whole sequence, prompt included. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** A frame that was sent. */
export interface FrameEvent {
  readonly kind: "frame";
  readonly atMs: number;
  readonly arrivesMs: number;
  /** up: from edge to cloud */
  readonly way: "up" | "down";
  readonly type: Frame["type"];
  readonly payloadBytes: number;
  /** null where the frame is of none */
  readonly lineage: number | null;
  /** of the tokens that it carries; null: none */
  readonly tokens: Range | null;
  /** of the rejected draft, or whose witnesses it is about */
  readonly position: number | null;
}

/** A pass of the target begins; `rows` is what it computes of the positions after them. */
export interface PassStartEvent {
  readonly kind: "passStarts";
  readonly atMs: number;
  readonly pass: number;
  readonly fedTokens: number;
  readonly rows: number;
}

/** What happens on the way to an answer. Times are since the prompt was asked, in ms. */
export type TimelineEvent =
  | FrameEvent
  | PassStartEvent
  | { readonly kind: "passEnds"; readonly atMs: number; readonly pass: number }
  /** committed, as the edge hears of it */
  | { readonly kind: "tokens"; readonly atMs: number; readonly origin: TokenOrigin; readonly tokens: Range }
  | { readonly kind: "rollback"; readonly atMs: number; readonly discarded: Range }
  | { readonly kind: "done"; readonly atMs: number; readonly reason: StopReason };

export interface Timeline {
  readonly policy: string;
  readonly events: readonly TimelineEvent[];
  readonly statistics: PipelineStatistics;
}

/**
 * The first answer that `simulate` gives a lone edge with this seed, event by event. Links do not break in it.
 * @param seed whole number below 2^32
 */
export function timeline(scenario: Scenario, { name, policy }: NamedPolicy, seed: number): Timeline {
  const recorder = new Recorder();
  const world = new World({
    scenario: { ...scenario, disconnectsPerHour: 0 },
    seed,
    watch: recorder.frame,
    target: recorder.watched,
  });
  recorder.follow(world.clock);
  const edge = world.edge();
  const own = toSeed(BigInt(seed) << 32n);
  let statistics: PipelineStatistics | null = null;
  edge.start(policy, (opener) => {
    recorder.start();
    world.open(opener, sized(policy, scenario.segmentTokens), own, {
      ...recorder.listener,
      finished(outcome, counted) {
        assert(outcome.kind === "done", `a simulated answer failed: ${JSON.stringify(outcome)}`);
        recorder.done(outcome.reason);
        statistics = counted;
      },
    });
  });
  while (!statistics) assert(world.clock.step(), "the simulation ran out of events too early");
  return { policy: name, events: recorder.events, statistics };
}

/** Writes down what a world does from the moment that the prompt is asked. */
class Recorder {
  readonly events: TimelineEvent[] = [];
  /** null: the prompt was not asked yet */
  private startMs: number | null = null;
  private clock: Clock = NO_CLOCK;
  private passes = 0;
  /** hears when the frame that was just sent will arrive */
  private sent: ((arrivesAtMs: number) => void) | null = null;

  /** A link tells of a frame and at once schedules its arrival: no one else knows when that is. */
  follow(clock: Clock): void {
    this.clock = clock;
    const schedule = clock.schedule.bind(clock);
    clock.schedule = (atMs, callback) => {
      this.sent?.(atMs);
      this.sent = null;
      return schedule(atMs, callback);
    };
  }

  start(): void {
    this.startMs = this.clock.nowMs();
  }

  done(reason: StopReason): void {
    this.events.push({ kind: "done", atMs: this.nowMs(), reason });
  }

  readonly frame: Watch = (way, frame, payloadBytes) => {
    if (this.startMs === null) return;
    const about = aboutFrame(frame);
    const { startMs } = this;
    this.sent = (arrivesAtMs) => {
      const arrivesMs = arrivesAtMs - startMs;
      this.events.push({ kind: "frame", atMs: this.nowMs(), arrivesMs, way, ...about, payloadBytes });
    };
  };

  readonly watched = (model: PassEngine): PassEngine =>
    withPass(model, (items, done) => {
      const pass = ++this.passes;
      this.events.push({ kind: "passStarts", atMs: this.nowMs(), pass, ...sizeOf(items) });
      model.pass(items, (error, results) => {
        this.events.push({ kind: "passEnds", atMs: this.nowMs(), pass });
        done(error, results);
      });
    });

  readonly listener: Partial<SessionListener> = {
    token: (_token, origin, position) => {
      const [atMs, last] = [this.nowMs(), this.events.at(-1)];
      const goesOn = last?.kind === "tokens" && last.atMs === atMs && last.origin === origin;
      const from = goesOn && last.tokens.to === position ? last.tokens.from : position;
      if (from < position) this.events.pop();
      this.events.push({ kind: "tokens", atMs, origin, tokens: { from, to: position + 1 } });
    },
    discarded: (tokens, position) => {
      const discarded = { from: position, to: position + tokens.length };
      this.events.push({ kind: "rollback", atMs: this.nowMs(), discarded });
    },
  };

  private nowMs(): number {
    return this.clock.nowMs() - (this.startMs ?? 0);
  }
}

const NO_CLOCK: Clock = { nowMs: () => 0, schedule: () => () => {} };

function sizeOf(items: readonly PassItem[]): { fedTokens: number; rows: number } {
  const total = (value: (item: PassItem) => number) => items.reduce((sum, item) => sum + value(item), 0);
  return { fedTokens: total((item) => item.tokens.length), rows: total(rowsOf) };
}

/** What a frame says of lineages and positions, whatever its type is. */
function aboutFrame(frame: Frame): Pick<FrameEvent, "type" | "lineage" | "tokens" | "position"> {
  const { type } = frame;
  const lineage = "lineage" in frame ? frame.lineage : null;
  const first = "first" in frame ? frame.first : 0;
  const count = "tokens" in frame ? frame.tokens.length : 0;
  const tokens = count > 0 ? { from: first, to: first + count } : null;
  const rejected = "rejection" in frame && frame.rejection ? first + count : null;
  return { type, lineage, tokens, position: "position" in frame ? frame.position : rejected };
}
