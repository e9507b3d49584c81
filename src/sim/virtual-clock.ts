import { assert } from "../util/assert.ts";
import type { CancelTimer, Clock } from "../util/clock.ts";

interface Timer {
  readonly atMs: number;
  /** tells apart what is due at the same time: first come, first run */
  readonly order: number;
  callback: (() => void) | null;
}

/** Time that passes only when somebody turns it: the whole system runs under it, reproducibly and at once. */
export class VirtualClock implements Clock {
  private timeMs = 0;
  private scheduled = 0;
  private readonly heap: Timer[] = [];

  nowMs(): number {
    return this.timeMs;
  }

  schedule(atMs: number, callback: () => void): CancelTimer {
    assert(!Number.isNaN(atMs), "a timer needs a time");
    const timer: Timer = { atMs: Math.max(atMs, this.timeMs), order: this.scheduled++, callback };
    this.push(timer);
    return () => {
      timer.callback = null;
    };
  }

  /** Runs the next thing that is due. @returns false when nothing is, or nothing until `untilMs` */
  step(untilMs = Number.POSITIVE_INFINITY): boolean {
    for (let next = this.heap[0]; next && next.atMs <= untilMs; next = this.heap[0]) {
      this.pop();
      const { callback } = next;
      if (!callback) continue;
      this.timeMs = next.atMs;
      next.callback = null;
      callback();
      return true;
    }
    return false;
  }

  /**
   * Runs everything that is due until a time, or until nothing is left.
   * @param mostSteps guards against a system that never comes to rest
   */
  run(untilMs = Number.POSITIVE_INFINITY, mostSteps = 10_000_000): void {
    for (let steps = 0; this.step(untilMs); steps++) {
      assert(steps < mostSteps, `still not at rest after ${mostSteps} events`);
    }
    if (Number.isFinite(untilMs)) this.timeMs = Math.max(this.timeMs, untilMs);
  }

  private push(timer: Timer): void {
    const { heap } = this;
    let index = heap.push(timer) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!before(timer, heap[parent]!)) break;
      heap[index] = heap[parent]!;
      index = parent;
    }
    heap[index] = timer;
  }

  private pop(): void {
    const { heap } = this;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[index] = heap[child]!;
      index = child;
    }
    heap[index] = last;
  }
}

function before(a: Timer, b: Timer): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
