import { assert } from "../../util/assert.ts";
import type { CancelTimer, Clock } from "../../util/clock.ts";
import { TimerQueue } from "../../util/timer-queue.ts";

/** setTimeout is good to about 1 ms; the last stretch is waited in turns of the event loop, good to 0.4 ms. */
const FINE_MS = 2;
const LONGEST_TIMEOUT_MS = 2 ** 31 - 1;

/**
 * Real, monotonic time. One queue and one native timer for all: separate native timers may fire in another
 * order than they are due in, and messages of an emulated link would overtake one another.
 */
class SystemClock implements Clock {
  private readonly queue = new TimerQueue();
  private timeout: NodeJS.Timeout | undefined;
  private immediate: NodeJS.Immediate | undefined;
  /** the time that the native timer is set for */
  private armedForMs = Number.POSITIVE_INFINITY;
  private readonly fineMs: number;

  constructor(fineMs: number) {
    this.fineMs = fineMs;
  }

  nowMs(): number {
    return performance.now();
  }

  schedule(atMs: number, callback: () => void): CancelTimer {
    assert(!Number.isNaN(atMs), "a timer needs a time");
    const remove = this.queue.add(Math.max(atMs, performance.now()), callback);
    this.arm();
    return () => {
      remove();
      // An empty queue must not keep the process alive.
      if (this.queue.earliestMs > this.armedForMs) this.arm();
    };
  }

  private arm(): void {
    const { earliestMs } = this.queue;
    if (earliestMs === this.armedForMs) return;
    clearTimeout(this.timeout);
    clearImmediate(this.immediate);
    this.armedForMs = earliestMs;
    if (earliestMs === Number.POSITIVE_INFINITY) return;
    const leftMs = earliestMs - performance.now();
    // Never within the call itself, also when the time has come already.
    if (leftMs > this.fineMs) {
      // A fraction of a millisecond is cut off.
      const waitMs = this.fineMs > 0 ? leftMs - this.fineMs : Math.ceil(leftMs);
      this.timeout = setTimeout(this.turn, Math.min(waitMs, LONGEST_TIMEOUT_MS));
    } else this.immediate = setImmediate(this.turn);
  }

  /** Runs what is due, but not what that adds: the event loop has other work as well. */
  private readonly turn = (): void => {
    this.armedForMs = Number.POSITIVE_INFINITY;
    const { mark } = this.queue;
    const nowMs = performance.now();
    try {
      for (let due = this.queue.takeDue(nowMs, mark); due; due = this.queue.takeDue(nowMs, mark))
        due.callback();
    } finally {
      this.arm();
    }
  };
}

export const systemClock: Clock = new SystemClock(FINE_MS);

/** Up to about 1 ms late, and at no cost: turns of the event loop take processor time from what is measured beside them. */
export const coarseClock: Clock = new SystemClock(0);
