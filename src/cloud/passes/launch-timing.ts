import type { DecodingPolicy } from "../../decoding/policy.ts";
import { RunningMean } from "../../util/estimates.ts";
import { Outlook, type OwnPassCost } from "./outlook.ts";

const PASS_WEIGHT = 0.3;
/** A pass with one row takes at least this share of one with all. */
const LEAST_OF_PASS = 0.1;

/** When a session's next pass may start, and over how many rows. */
export class LaunchTiming {
  readonly outlook: Outlook;
  /** the next pass may start; Infinity: not before something comes */
  launchAtMs: number;
  private readonly policy: DecodingPolicy;
  private committedAtMs: number;
  /** of passes that the session was in, and that fed no prompt */
  private readonly passMs = new RunningMean(PASS_WEIGHT);
  private readonly passRows = new RunningMean(PASS_WEIGHT);
  /** what a row costs a pass on this server, as of the last pass */
  private msPerRow = 0;

  /** @param before of an earlier session of the same edge: drafts will come and be accepted much like its own */
  constructor(policy: DecodingPolicy, nowMs: number, before?: LaunchTiming) {
    this.policy = policy;
    this.outlook = new Outlook(before?.outlook);
    // The first row comes with the prompt: there is nothing to wait for.
    this.launchAtMs = nowMs;
    this.committedAtMs = nowMs;
  }

  /** Whether what was learnt here holds for a session under another policy: its drafts come and fare in the same way. */
  isLike(policy: DecodingPolicy): boolean {
    return this.outlook.learnt && this.policy.coupling === policy.coupling;
  }

  /** Rate at which the session's tokens come, tokens/ms. */
  get tokensPerMs(): number {
    return this.outlook.tokensPerMs(this.passMs.mean);
  }

  launched(msPerRow: number): void {
    this.msPerRow = msPerRow;
    this.outlook.launched();
  }

  /** @param rows of this session, in a pass that fed no prompt: such a pass says nothing of the next one */
  passTook(ms: number, rows: number): void {
    this.passMs.add(ms);
    this.passRows.add(rows);
  }

  /** Something was committed: from now on there may be something to wait for. */
  committed(nowMs: number): void {
    this.committedAtMs = nowMs;
  }

  /**
   * When to go on: after the patience where there are no drafts, else at once, or a moment later if that yields more.
   * @param pending drafts that are here
   * @param noneToCome no draft can come any more
   */
  plan(pending: number, noneToCome: boolean, nowMs: number): void {
    const { segmentTokens, patienceMs, coupling, adaptive } = this.policy;
    if (noneToCome) this.launchAtMs = nowMs;
    else if (coupling === "rejection" || segmentTokens === 0 || (pending === 0 && patienceMs > 0)) {
      this.launchAtMs = this.committedAtMs + patienceMs;
    } else if (!adaptive || this.passMs.mean < 0) this.launchAtMs = nowMs;
    else this.launchAtMs = this.outlook.launchAtMs(pending, this.passCost(), this.committedAtMs, nowMs);
  }

  private passCost(): OwnPassCost {
    const { msPerRow } = this;
    const meanMs = this.passMs.mean;
    // What rows cost and what passes take are learnt apart, and need not fit together.
    const oneRowMs = Math.max(meanMs - msPerRow * (this.passRows.mean - 1), LEAST_OF_PASS * meanMs);
    return { meanMs, oneRowMs, msPerRow };
  }
}
