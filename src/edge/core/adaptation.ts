import type { DecodingPolicy } from "../../decoding/policy.ts";
import { assert } from "../../util/assert.ts";
import { FadingShare, RunningMean } from "../../util/estimates.ts";

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
/** Drafts that bring fewer tokens than this for each that the target makes itself are not worth making. */
const LEAST_GAIN = 0.02;
/** Verdicts that the gain is measured over before it is believed. */
const GAIN_VERDICTS = 48;
/** Tokens without drafts before they are tried again: more each time that they fail. */
const FIRST_REST_TOKENS = 32;
const LONGEST_REST_TOKENS = 256;

export class Adaptation {
  private readonly policy: DecodingPolicy;
  private readonly accepted = new FadingShare(FADING, PRIOR_ACCEPTANCE, PRIOR_WEIGHT);
  private readonly draftMs = new RunningMean(TIME_WEIGHT);
  private readonly verdictMs = new RunningMean(TIME_WEIGHT);
  private lastVerdictMs = -1;
  /** drafts of this stretch have reached the cloud: before that no gain can be seen */
  private felt = false;
  /** since the gain was last weighed */
  private verdicts = 0;
  private tokens = 0;
  /** tokens until drafts are tried again; 0: they are made */
  private restTokens = 0;
  private nextRestTokens = FIRST_REST_TOKENS;

  constructor(policy: DecodingPolicy) {
    this.policy = policy;
  }

  get limits(): DraftLimits {
    const { segmentTokens, windowTokens, adaptive } = this.policy;
    if (!adaptive || segmentTokens === 0) return { segmentTokens, windowTokens };
    if (this.restTokens > 0) return { segmentTokens: 1, windowTokens: 0 };
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
    this.felt = true;
    this.accepted.add(accepted);
  }

  /** A verdict committed so many tokens. */
  verdict(tokens: number, nowMs: number): void {
    if (this.lastVerdictMs >= 0) this.verdictMs.add(nowMs - this.lastVerdictMs);
    this.lastVerdictMs = nowMs;
    // A cloud that never decodes by itself waits for drafts, however little they bring.
    const cloudGoesOn = this.policy.patienceMs < Number.POSITIVE_INFINITY;
    if (this.policy.coupling === "gumbel" && cloudGoesOn) this.weighGain(tokens);
  }

  /** @throws AssertionError */
  checkIntegrity(): void {
    const { policy, restTokens, nextRestTokens } = this;
    const { segmentTokens, windowTokens } = this.limits;
    assert(0 <= windowTokens && windowTokens <= policy.windowTokens, `a window of ${windowTokens} drafts`);
    const most = Math.max(policy.segmentTokens, MOST_SEGMENT_TOKENS);
    assert(0 <= segmentTokens && segmentTokens <= most, `a segment of ${segmentTokens} drafts`);
    assert(0 <= restTokens && restTokens <= LONGEST_REST_TOKENS, `a rest of ${restTokens} tokens`);
    assert(nextRestTokens <= LONGEST_REST_TOKENS, `the next rest has ${nextRestTokens} tokens`);
    assert(this.acceptance >= 0 && this.acceptance <= 1, `acceptance is ${this.acceptance}`);
  }

  /**
   * Under Gumbel coupling the cloud goes on by itself, and drafts that come too late, or that it never agrees with,
   * only cost energy: then the edge rests, and tries again after a while.
   */
  private weighGain(tokens: number): void {
    if (this.restTokens > 0) {
      this.restTokens = Math.max(0, this.restTokens - tokens);
      return;
    }
    if (!this.felt) return;
    this.verdicts++;
    this.tokens += tokens;
    if (this.verdicts < GAIN_VERDICTS) return;
    if (this.tokens / this.verdicts - 1 < LEAST_GAIN) {
      this.restTokens = this.nextRestTokens;
      this.felt = false;
      this.nextRestTokens = Math.min(LONGEST_REST_TOKENS, 2 * this.nextRestTokens);
    } else this.nextRestTokens = FIRST_REST_TOKENS;
    this.verdicts = 0;
    this.tokens = 0;
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
    const inTime = Math.floor((SEGMENT_SHARE_OF_PASS * verdictMs) / draftMs);
    return Math.max(1, Math.min(MOST_SEGMENT_TOKENS, inTime));
  }
}
