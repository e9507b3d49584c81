import { assert } from "./assert.ts";
import type { CancelTimer, Clock } from "./clock.ts";
import { TimerQueue } from "./timer-queue.ts";

/** Time that passes only when a caller advances it: the whole system runs under it, reproducibly and at once. */
export class VirtualClock implements Clock {
  private timeMs = 0;
  private readonly queue = new TimerQueue();

  nowMs(): number {
    return this.timeMs;
  }

  schedule(atMs: number, callback: () => void): CancelTimer {
    assert(!Number.isNaN(atMs), "a timer needs a time");
    return this.queue.add(Math.max(atMs, this.timeMs), callback);
  }

  /** Runs the next thing that is due. @returns false when nothing is, or nothing until `untilMs` */
  step(untilMs = Number.POSITIVE_INFINITY): boolean {
    const next = this.queue.takeDue(untilMs);
    if (!next) return false;
    this.timeMs = next.atMs;
    next.callback();
    return true;
  }

  /**
   * Runs everything that is due until a time, or until nothing is left.
   * @param mostSteps guards against a system that never runs out of events
   */
  run(untilMs = Number.POSITIVE_INFINITY, mostSteps = 10_000_000): void {
    for (let steps = 0; this.step(untilMs); steps++) {
      assert(steps < mostSteps, `still not at rest after ${mostSteps} events`);
    }
    if (Number.isFinite(untilMs)) this.timeMs = Math.max(this.timeMs, untilMs);
  }
}
