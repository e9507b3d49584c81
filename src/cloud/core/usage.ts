import type { CloudUsage } from "../../decoding/session.ts";

/** What a session takes of the target, as it is counted. */
export class SessionUsage {
  targetPasses = 0;
  targetRows = 0;
  targetMs = 0;
  prefillPasses = 0;
  fedTokens = 0;
  evictions = 0;
  reusedTokens = 0;

  /** A pass is over in which it had so many rows; 0: only a part of its prompt was fed. */
  pass(rows: number, tookMs: number): void {
    if (rows === 0) {
      this.prefillPasses++;
      return;
    }
    this.targetPasses++;
    this.targetRows += rows;
    this.targetMs += tookMs;
  }

  report(promptTokens: number, committedTokens: number): CloudUsage {
    const { targetPasses, targetRows, targetMs, prefillPasses, fedTokens, evictions, reusedTokens } = this;
    return {
      promptTokens,
      committedTokens,
      targetPasses,
      targetRows,
      targetMs,
      prefillPasses,
      fedTokens,
      evictions,
      reusedTokens,
    };
  }
}
