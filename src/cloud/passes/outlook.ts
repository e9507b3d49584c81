import { FadingShare, RunningMean } from "../../util/estimates.ts";
import { type DraftOutlook, waitMs } from "./launch.ts";

/** Weight of a new sample in estimates of times. */
const TIME_WEIGHT = 0.3;
const SLOW_WEIGHT = 0.02;
/** Judged drafts and passes fade to half of their weight over some 70. */
const FADING = 0.99;
/** What is believed of acceptance before any draft was judged, and how many drafts that counts as. */
const PRIOR_ACCEPTANCE = 0.7;
const PRIOR_WEIGHT = 4;
/** A frame that is later than expected by this much, or by twice its usual deviation, is not waited for. */
const LEAST_SLACK_MS = 1;
const UNKNOWN_MS = 1e9;
/** Drafts that are less likely than this to be of use are not waited for. */
const LEAST_CHANCE = 0.5;

/** What passes of one session cost. */
export interface OwnPassCost {
  /** of those that it was in; -1: none yet */
  readonly meanMs: number;
  /** of one with a single row of it */
  readonly oneRowMs: number;
  /** for another row */
  readonly msPerRow: number;
}

/** What the cloud has learnt of a session's drafts: when they come, and how often they are accepted. */
export class Outlook {
  /** out of drafts until the first comes: because the edge had to start over, or was not fast enough */
  private readonly afterMiss: RunningMean;
  private readonly afterHits: RunningMean;
  /** time between drafts: that between frames by the drafts of the later one */
  private readonly spacing: RunningMean;
  private readonly accepted: FadingShare;
  private tokens = 0;
  private tokensMs = 0;
  private countedToMs = -1;
  /** since when it could go on with drafts if there were any; -1: there are, or it could not */
  private drySinceMs = -1;
  private missed = false;
  /** it ran out of drafts that were all accepted, and no pass has been without since */
  private level = false;
  private anyJudged = false;
  private lastFrameMs = -1;
  /** a draft was rejected, and the edge is not back yet */
  private startsOver = false;
  /** tokens that the cloud has gone on by since the miss: drafts of them have to agree before others are of use */
  private overtaken = 0;
  private frameTokens = 1;

  /** @param before of an earlier session of the same edge: drafts of this one will come and fare much like its own */
  constructor(before?: Outlook) {
    this.afterMiss = new RunningMean(TIME_WEIGHT, before?.afterMiss);
    this.afterHits = new RunningMean(TIME_WEIGHT, before?.afterHits);
    this.spacing = new RunningMean(TIME_WEIGHT, before?.spacing);
    this.accepted = new FadingShare(FADING, before?.acceptance ?? PRIOR_ACCEPTANCE, PRIOR_WEIGHT);
  }

  /** How long drafts are in coming once there are none, ms; -1 when unknown. */
  get gapMs(): number {
    return this.afterMiss.mean;
  }

  get acceptance(): number {
    return this.accepted.share;
  }

  /** Rate at which the session's tokens come, tokens/ms. @param passMs time of a pass, for a start */
  tokensPerMs(passMs: number): number {
    if (this.tokensMs > 0) return this.tokens / this.tokensMs;
    return passMs > 0 ? 1 / passMs : 0;
  }

  /** It knows something that it did not start with. */
  get learnt(): boolean {
    return this.anyJudged;
  }

  judged(accepted: boolean): void {
    this.anyJudged = true;
    this.accepted.add(accepted);
  }

  /** A pass of the session committed tokens. */
  committed(tokens: number, nowMs: number): void {
    if (this.countedToMs >= 0) {
      this.tokens = FADING * this.tokens + tokens;
      this.tokensMs = FADING * this.tokensMs + (nowMs - this.countedToMs);
    }
    this.countedToMs = nowMs;
  }

  /** There are no drafts from now on. @param missed one was rejected: the edge has to start over */
  dry(missed: boolean, nowMs: number): void {
    // An edge that sent nothing during a whole pass is slower than was thought: it is not waited for again and again.
    this.level = !missed && this.drySinceMs < 0 && this.lastFrameMs >= 0;
    this.drySinceMs = nowMs;
    this.missed = missed;
    this.startsOver = missed;
    this.overtaken = 0;
  }

  /** Another pass is over, and the edge has not started over yet: it will draft places that are past. */
  stillDry(tokens: number, nowMs: number): void {
    // Where a draft was rejected as it arrived, this is how the miss is heard of; the edge was told by the pass before.
    this.missed = true;
    if (this.drySinceMs < 0) this.drySinceMs = nowMs;
    this.startsOver = true;
    this.overtaken += tokens;
  }

  /** The edge drafts what the cloud has said already: what it drafts next will be of use. */
  caughtUp(): void {
    this.overtaken = 0;
  }

  /** A pass over the session's drafts starts. */
  launched(): void {
    this.startsOver = false;
  }

  /** Nothing is waited for: there are drafts, or the session could not go on with them. */
  busy(): void {
    this.drySinceMs = -1;
  }

  arrived(tokens: number, nowMs: number): void {
    if (this.drySinceMs >= 0) (this.missed ? this.afterMiss : this.afterHits).add(nowMs - this.drySinceMs);
    else if (this.lastFrameMs >= 0) this.noteSpacing((nowMs - this.lastFrameMs) / tokens);
    this.drySinceMs = -1;
    this.overtaken = 0;
    this.lastFrameMs = nowMs;
    this.frameTokens = tokens;
  }

  /** How fast drafts come while the edge's window is open: longer gaps are mostly those of a closed one. */
  private noteSpacing(ms: number): void {
    const { mean } = this.spacing;
    if (mean < 0 || ms < 2 * mean) this.spacing.add(ms);
    else this.spacing.add(ms, SLOW_WEIGHT);
  }

  /**
   * When to start the next pass: now, or when drafts that are worth waiting for should have come.
   * @param cost of a pass of this session
   * @param sinceMs when it could have started
   */
  launchAtMs(pending: number, cost: OwnPassCost, sinceMs: number, nowMs: number): number {
    const expected = this.nextFrame(pending);
    const inVain = this.acceptance ** this.overtaken < LEAST_CHANCE;
    if (!expected || inVain) return nowMs;
    const slackMs = Math.max(LEAST_SLACK_MS, 2 * expected.deviationMs);
    // It should have been here by now: who knows when it comes.
    if (nowMs > expected.atMs + slackMs) return nowMs;
    const outlook: DraftOutlook = {
      pending,
      acceptance: this.acceptance,
      nextInMs: Math.max(0, expected.atMs - nowMs),
      // Unknown: one frame is expected, and it is unknown when another one comes.
      spacingMs: this.spacing.mean < 0 ? UNKNOWN_MS : Math.max(0.1, this.frameTokens * this.spacing.mean),
      slackMs,
      frameTokens: this.frameTokens,
      passMs: cost.oneRowMs,
      edge: this.startsOver ? "startsOver" : pending === 0 && this.level ? "level" : "other",
      tokensPerMs: this.tokensPerMs(cost.meanMs),
      msPerRow: cost.msPerRow,
    };
    const wait = waitMs(outlook, nowMs - sinceMs);
    return wait < 0 ? nowMs : nowMs + wait;
  }

  private nextFrame(pending: number): { atMs: number; deviationMs: number } | null {
    const { spacing, frameTokens, lastFrameMs, drySinceMs } = this;
    const gap = this.missed ? this.afterMiss : this.afterHits;
    const [fromMs, { mean, deviation }, times] =
      pending > 0 ? [lastFrameMs, spacing, frameTokens] : [drySinceMs, gap, 1];
    if (mean < 0 || fromMs < 0) return null;
    return { atMs: fromMs + times * mean, deviationMs: times * deviation };
  }
}
