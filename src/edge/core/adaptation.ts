import type { DecodingPolicy } from "../../decoding/policy.ts";
import { assert } from "../../util/assert.ts";
import { FadingShare, RunningMean } from "../../util/estimates.ts";
import { DraftGate, GateMeter } from "./draft-gate.ts";

/** How much to draft, from what the edge has seen: a pure state machine of its own, told what happens and when. */

/** What the pipeline keeps to. */
export interface DraftLimits {
  /** drafts a frame */
  readonly segmentTokens: number;
  /** most undecided drafts; 0: none are made for now */
  readonly windowTokens: number;
}

/** Weight of a new sample in estimates of times. */
const TIME_WEIGHT = 0.1;
/** Judged drafts fade to half of their weight over some 27. */
const FADING = 0.975;
const PRIOR_ACCEPTANCE = 0.7;
const PRIOR_WEIGHT = 4;
/** A draft that has less than this chance of being reached and standing is not made. */
const LEAST_CHANCE = 0.02;
/** A frame holds up its first draft by at most this share of a pass. */
const SEGMENT_SHARE_OF_PASS = 1 / 16;
const MOST_SEGMENT_TOKENS = 8;
/** But a frame costs both sides some 0.1 ms, however short passes are. */
const LEAST_SEGMENT_MS = 0.5;
const MOST_SHARE_OF_PASS = 1 / 4;

export class Adaptation {
  private readonly policy: DecodingPolicy;
  private readonly accepted = new FadingShare(FADING, PRIOR_ACCEPTANCE, PRIOR_WEIGHT);
  private readonly draftMs = new RunningMean(TIME_WEIGHT);
  private readonly verdictMs = new RunningMean(TIME_WEIGHT);
  private lastVerdictMs = -1;
  /** null: the cloud waits for drafts, however little they bring */
  private readonly gate: DraftGate | null;
  private readonly meter: GateMeter | null;

  /** @param gate of all sessions of the edge with this cloud; default: one of its own */
  constructor(policy: DecodingPolicy, gate = new DraftGate()) {
    this.policy = policy;
    const { adaptive, coupling, segmentTokens, patienceMs } = policy;
    const cloudGoesOn = coupling === "gumbel" && patienceMs < Number.POSITIVE_INFINITY;
    this.gate = adaptive && segmentTokens > 0 && cloudGoesOn ? gate : null;
    this.meter = this.gate && new GateMeter(gate);
  }

  get limits(): DraftLimits {
    const { segmentTokens, windowTokens, adaptive } = this.policy;
    if (!adaptive || segmentTokens === 0) return { segmentTokens, windowTokens };
    if (this.gate?.open === false) return { segmentTokens: 1, windowTokens: 0 };
    const window = Math.max(1, Math.min(windowTokens, this.worthwhileDrafts()));
    return { segmentTokens: Math.min(window, this.segment()), windowTokens: window };
  }

  /** Probability that a draft is accepted when those before it are. */
  get acceptance(): number {
    return this.accepted.share;
  }

  /** A draft took so long, the drafter's queue included. */
  drafted(tookMs: number): void {
    this.draftMs.add(tookMs);
  }

  judged(accepted: boolean): void {
    this.meter?.judged();
    this.accepted.add(accepted);
  }

  /** A verdict committed so many tokens. */
  verdict(tokens: number, nowMs: number): void {
    const tookMs = this.lastVerdictMs < 0 ? -1 : nowMs - this.lastVerdictMs;
    if (tookMs >= 0) this.verdictMs.add(tookMs);
    this.lastVerdictMs = nowMs;
    this.meter?.verdict(tokens, tookMs);
  }

  /** The link is there again: how long it was not says nothing of verdicts. */
  resumed(): void {
    this.lastVerdictMs = -1;
  }

  /** @throws AssertionError */
  checkIntegrity(): void {
    const { policy } = this;
    const { segmentTokens, windowTokens } = this.limits;
    assert(0 <= windowTokens && windowTokens <= policy.windowTokens, `a window of ${windowTokens} drafts`);
    const most = Math.max(policy.segmentTokens, MOST_SEGMENT_TOKENS);
    assert(0 <= segmentTokens && segmentTokens <= most, `a segment of ${segmentTokens} drafts`);
    this.gate?.checkIntegrity();
    assert(this.acceptance >= 0 && this.acceptance <= 1, `acceptance is ${this.acceptance}`);
  }

  /** The deepest draft that still has a chance: acceptance^depth = LEAST_CHANCE, by the upper end of the estimate. */
  private worthwhileDrafts(): number {
    const hopeful = Math.min(0.995, this.acceptance + this.accepted.deviation);
    return Math.floor(Math.log(LEAST_CHANCE) / Math.log(hopeful));
  }

  private segment(): number {
    const { coupling, segmentTokens } = this.policy;
    // Under rejection coupling a pass over part of a segment is a pass lost: only a bad drafter makes it shorter.
    if (coupling === "rejection") return segmentTokens;
    const [draftMs, verdictMs] = [this.draftMs.mean, this.verdictMs.mean];
    if (draftMs <= 0 || verdictMs <= 0) return 1;
    const leastMs = Math.min(LEAST_SEGMENT_MS, MOST_SHARE_OF_PASS * verdictMs);
    const inTime = Math.floor(Math.max(SEGMENT_SHARE_OF_PASS * verdictMs, leastMs) / draftMs);
    return Math.max(1, Math.min(MOST_SEGMENT_TOKENS, inTime));
  }
}
