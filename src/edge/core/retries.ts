/** How long, and how often, an edge tries for a cloud. Pure: time and randomness come in. */

export interface RetryLimits {
  /** waits between two tries: the first, and the longest; each is twice the one before it */
  readonly firstMs: number;
  readonly longestMs: number;
  /** in all, without anything that the cloud did */
  readonly withinMs: number;
}

/** Waits are shortened by up to this fraction: the edges of a cloud that went away do not all come back at once. */
const JITTER = 0.5;

/**
 * Backoff with a total time. A link that is made proves nothing, since a cloud can welcome and drop for ever: only a
 * finished answer ends the trouble. Tokens that are committed meanwhile stop the clock, and do not set it back.
 */
export class Retries {
  private readonly limits: RetryLimits;
  /** [0, 1); null: no jitter */
  private readonly random: (() => number) | null;
  /** since the last finished answer */
  private tries = 0;
  private spentMs = 0;
  /** when the clock was started; -1: it is stopped */
  private sinceMs = -1;

  constructor(limits: RetryLimits, random: (() => number) | null) {
    this.limits = limits;
    this.random = random;
  }

  /**
   * A link is lost, or was not made.
   * @param leastMs the cloud said that another try before is in vain
   * @returns how long to wait before the next try, ms; null: it has taken too long
   */
  lost(nowMs: number, leastMs = 0): number | null {
    const { firstMs, longestMs, withinMs } = this.limits;
    if (this.sinceMs < 0) this.sinceMs = nowMs;
    const fullMs = Math.min(longestMs, firstMs * 2 ** this.tries++);
    const waitMs = Math.max(leastMs, fullMs * (1 - JITTER * (this.random?.() ?? 0)));
    return this.spentMs + nowMs - this.sinceMs + waitMs > withinMs ? null : waitMs;
  }

  /** The cloud has committed something, or nothing is asked of it. */
  pause(nowMs: number): void {
    if (this.sinceMs < 0) return;
    this.spentMs += nowMs - this.sinceMs;
    this.sinceMs = -1;
  }

  /** An answer is finished: the trouble is over. */
  finished(): void {
    this.tries = 0;
    this.spentMs = 0;
    this.sinceMs = -1;
  }
}
