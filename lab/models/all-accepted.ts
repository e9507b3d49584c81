import { TimerQueue } from "../../src/util/timer-queue.ts";

/**
 * The pipeline of one edge and an idle cloud from a rejection on, as long as every draft is accepted: numbers of
 * tokens and times, no tokens and no chance. It follows the rules of src/edge/core/session.ts and
 * src/cloud/{session,scheduler}.ts under rejection coupling without a bonus token; what is due at the same time
 * comes in the order that the simulator's clock gives it: what was set first comes first.
 *
 * Time 0 is when the edge learns of the rejection: it has the correction at once. Token 0 is the correction,
 * drafts are numbered from 1. Or it is when the edge opens the session, and token 0 the last one of the prompt.
 */

export interface PipelineRules {
  readonly segmentTokens: number;
  readonly windowTokens: number;
  readonly preVerify: boolean;
  readonly truncateAfterMs: number;
}

/** Constant times, ms. */
export interface PipelineTimes {
  readonly upMs: number;
  readonly downMs: number;
  readonly draftMs: number;
  /** a pass, whatever its rows */
  readonly passMs: number;
}

/** What one cycle leaves behind for the next. */
export interface PipelineState {
  /** the drafter is still busy for so long with a draft that is no longer wanted, ms */
  readonly busyMs: number;
  /** the cloud's estimate of how long drafts are in coming once it has run out of them, ms; -1: none yet */
  readonly gapMs: number;
}

/** `open`: at the beginning of a session, whose prompt costs nothing. */
export type CourseStart = PipelineState | "open";

/** When the cloud has a pass of its own for a row ahead of the drafts. `estimate`: as it decides in earnest. */
export type AheadPasses = "estimate" | "never" | "always";

/** Entry j - 1 belongs to draft j; each array has as many entries as drafts were asked for. */
export interface Course {
  /** when the edge learns what became of the draft, ms: its commit, or its rejection were it the first */
  readonly verdictMs: Float64Array;
  /** `busyMs` of the state that a rejection of the draft would leave */
  readonly busyMs: Float64Array;
  /** `gapMs` of the same, from that of the start: scale * gapMs + offset; -1 where there is none */
  readonly gapScale: Float64Array;
  readonly gapOffsetMs: Float64Array;
  /** starts whose `gapMs` lies in [gapFromMs, gapToMs) have the same course */
  readonly gapFromMs: number;
  readonly gapToMs: number;
  /** passes that were begun by the time that the draft was committed */
  readonly passes: Float64Array;
  /** least and most of the samples of `gapMs`; Infinity and -Infinity: there were none */
  readonly leastGapMs: number;
  readonly mostGapMs: number;
}

/** The state that a course leaves when the draft of entry `index` is rejected. */
export function stateAfter(course: Course, index: number, start: CourseStart): PipelineState {
  const gapMs = start === "open" ? -1 : start.gapMs;
  return {
    busyMs: course.busyMs[index]!,
    gapMs: course.gapScale[index]! * gapMs + course.gapOffsetMs[index]!,
  };
}

/** Weight of a new sample in the cloud's estimate of how long drafts are in coming: TIME_WEIGHT of src/cloud/passes/outlook.ts. */
const GAP_WEIGHT = 0.3;

/** @param drafts how many to follow */
export function allAccepted(
  rules: PipelineRules,
  times: PipelineTimes,
  start: CourseStart,
  drafts: number,
  ahead: AheadPasses = "estimate",
): Course {
  return new AcceptingPipeline(rules, times, start, drafts, ahead).run();
}

class AcceptingPipeline {
  private readonly rules: PipelineRules;
  private readonly times: PipelineTimes;
  /** when the drafter is free, ms */
  private readonly freeMs: number;
  private readonly ahead: AheadPasses;
  private readonly drafts: number;
  private readonly queue = new TimerQueue();
  private nowMs = 0;

  // the edge
  private made = 0;
  private sent = 0;
  private committed = 0;
  private correctionSent = false;
  private drafting = false;
  private draftEndsMs = 0;
  private segmentStartedMs = -1;
  private cancelWake: (() => void) | null = null;

  // the cloud
  private pending = 0;
  private cloudCommitted = 0;
  private correctionCommitted = false;
  private inPass = false;
  private rowHeld = true;
  private gapMs: number;
  private gapScale = 1;
  private gapOffsetMs = 0;
  private gapFromMs = Number.NEGATIVE_INFINITY;
  private gapToMs = Number.POSITIVE_INFINITY;
  private outOfDraftsSinceMs = -1;
  private begunPasses = 0;

  // what is written down
  private readonly verdictMs: Float64Array;
  private readonly busyMs: Float64Array;
  private readonly committedGapScale: Float64Array;
  private readonly committedGapOffsetMs: Float64Array;
  private readonly passes: Float64Array;
  private leastGapMs = Number.POSITIVE_INFINITY;
  private mostGapMs = Number.NEGATIVE_INFINITY;

  constructor(
    rules: PipelineRules,
    times: PipelineTimes,
    start: CourseStart,
    drafts: number,
    ahead: AheadPasses,
  ) {
    this.rules = rules;
    this.times = times;
    this.ahead = ahead;
    this.drafts = drafts;
    this.verdictMs = new Float64Array(drafts);
    this.busyMs = new Float64Array(drafts);
    this.committedGapScale = new Float64Array(drafts);
    this.committedGapOffsetMs = new Float64Array(drafts);
    this.passes = new Float64Array(drafts);
    this.freeMs = start === "open" ? 0 : start.busyMs;
    this.gapMs = start === "open" ? -1 : start.gapMs;
    if (start === "open") this.open();
  }

  run(): Course {
    this.goOn();
    while (this.committed < this.drafts) {
      const next = this.queue.takeDue(Number.POSITIVE_INFINITY)!;
      this.nowMs = next.atMs;
      next.callback();
    }
    const { verdictMs, busyMs, passes, gapFromMs, gapToMs, leastGapMs, mostGapMs } = this;
    const { committedGapScale: gapScale, committedGapOffsetMs: gapOffsetMs } = this;
    return { verdictMs, busyMs, gapScale, gapOffsetMs, gapFromMs, gapToMs, passes, leastGapMs, mostGapMs };
  }

  /** The first pass is over the prompt, for its last row if that is to be held. */
  private open(): void {
    this.correctionSent = true;
    this.correctionCommitted = true;
    this.rowHeld = false;
    if (this.rules.preVerify) this.after(this.times.upMs, () => this.beginPass(0));
  }

  private after(delayMs: number, callback: () => void): void {
    this.queue.add(this.nowMs + delayMs, callback);
  }

  // The edge: EdgeSession.goOn, isDue, send, mayDraft

  private goOn(): void {
    if (this.isDue()) this.send();
    if (!this.drafting && this.made - this.committed < this.rules.windowTokens) this.draft();
    const atMs = this.segmentStartedMs + this.rules.truncateAfterMs;
    if (this.made > this.sent && Number.isFinite(atMs)) {
      this.cancelWake?.();
      this.cancelWake = this.queue.add(Math.max(atMs, this.nowMs), () => this.goOn());
    }
  }

  private isDue(): boolean {
    const { segmentTokens, windowTokens, preVerify, truncateAfterMs } = this.rules;
    if (!this.correctionSent && preVerify) return true;
    const unsent = this.made - this.sent;
    if (unsent === 0) return false;
    return (
      unsent >= segmentTokens ||
      this.made - this.committed >= windowTokens ||
      this.nowMs >= this.segmentStartedMs + truncateAfterMs
    );
  }

  private send(): void {
    const correction = !this.correctionSent;
    const drafts = this.made - this.sent;
    this.correctionSent = true;
    this.sent = this.made;
    this.segmentStartedMs = -1;
    this.after(this.times.upMs, () => this.arrive(correction, drafts));
  }

  private draft(): void {
    this.drafting = true;
    if (this.segmentStartedMs < 0) this.segmentStartedMs = this.nowMs;
    const freeMs = Math.max(this.nowMs, this.freeMs);
    this.draftEndsMs = freeMs + this.times.draftMs;
    const begin = () => void this.queue.add(this.draftEndsMs, () => this.drafted());
    if (freeMs > this.nowMs) this.queue.add(freeMs, begin);
    else begin();
  }

  private drafted(): void {
    this.drafting = false;
    if (this.segmentStartedMs < 0) this.segmentStartedMs = this.nowMs;
    this.made++;
    this.goOn();
  }

  private verdict(drafts: number): void {
    const busyMs = this.drafting ? this.draftEndsMs - this.nowMs : 0;
    for (let i = 0; i < drafts && this.committed < this.drafts; i++) {
      this.verdictMs[this.committed] = this.nowMs;
      this.busyMs[this.committed] = busyMs;
      this.committed++;
    }
    this.goOn();
  }

  // The cloud: CloudSession.draft, passEnded, askHeldRow; nextPass

  private arrive(correction: boolean, drafts: number): void {
    if (this.outOfDraftsSinceMs >= 0) this.noteGap(this.nowMs - this.outOfDraftsSinceMs);
    this.pending += drafts + (correction ? 1 : 0);
    this.askHeldRow();
    this.nextPass();
  }

  private noteGap(gapMs: number): void {
    const first = this.gapMs < 0;
    this.gapMs = first ? gapMs : this.gapMs + GAP_WEIGHT * (gapMs - this.gapMs);
    this.gapScale = first ? 0 : this.gapScale * (1 - GAP_WEIGHT);
    this.gapOffsetMs = first ? gapMs : this.gapOffsetMs + GAP_WEIGHT * (gapMs - this.gapOffsetMs);
    this.leastGapMs = Math.min(this.leastGapMs, gapMs);
    this.mostGapMs = Math.max(this.mostGapMs, gapMs);
    this.outOfDraftsSinceMs = -1;
  }

  /** The first pending token, by the row that is held: the correction is committed, and no peer has to be told. */
  private askHeldRow(): void {
    if (!this.rowHeld || this.inPass || this.pending === 0) return;
    this.rowHeld = false;
    this.commit(1);
  }

  private nextPass(): void {
    if (this.inPass || this.rowHeld) return;
    const questions = this.pending;
    if (questions > 0 || this.launchesAhead()) this.beginPass(questions);
  }

  private beginPass(questions: number): void {
    this.inPass = true;
    this.begunPasses++;
    this.after(this.times.passMs, () => this.passEnded(questions));
  }

  private launchesAhead(): boolean {
    if (!this.rules.preVerify) return false;
    if (this.ahead !== "estimate") return this.ahead === "always";
    const { passMs } = this.times;
    const launches = this.gapMs >= passMs;
    // From which estimate on the start would have led here.
    const boundMs = this.gapScale > 0 ? (passMs - this.gapOffsetMs) / this.gapScale : null;
    if (boundMs !== null && launches) this.gapFromMs = Math.max(this.gapFromMs, boundMs);
    if (boundMs !== null && !launches) this.gapToMs = Math.min(this.gapToMs, boundMs);
    return launches;
  }

  private passEnded(questions: number): void {
    this.inPass = false;
    this.rowHeld = this.rules.preVerify;
    this.commit(questions);
    this.askHeldRow();
    this.nextPass();
  }

  /** CloudSession.apply: the next tokens are committed. */
  private commit(tokens: number): void {
    this.pending -= tokens;
    if (tokens > 0) this.outOfDraftsSinceMs = this.pending === 0 && !this.rowHeld ? this.nowMs : -1;
    const drafts = this.correctionCommitted ? tokens : 0;
    this.correctionCommitted = true;
    if (drafts === 0) return;
    for (let i = 0; i < drafts && this.cloudCommitted < this.drafts; i++) {
      this.committedGapScale[this.cloudCommitted] = this.gapScale;
      this.committedGapOffsetMs[this.cloudCommitted] = this.gapOffsetMs;
      this.passes[this.cloudCommitted] = this.begunPasses;
      this.cloudCommitted++;
    }
    this.after(this.times.downMs, () => this.verdict(drafts));
  }
}
