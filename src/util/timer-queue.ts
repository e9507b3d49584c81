interface Timer {
  readonly atMs: number;
  /** tells apart what is due at the same time: first come, first run */
  readonly order: number;
  readonly callback: () => void;
  /** place in the heap; -1 once it has left */
  index: number;
}

/**
 * What is to happen when, as a binary heap: what is due earlier comes out earlier, and of equals what came in
 * first. Both clocks are made of it, so that real time keeps the order that virtual time has.
 */
export class TimerQueue {
  private readonly heap: Timer[] = [];
  private added = 0;

  get size(): number {
    return this.heap.length;
  }

  /** Time of what is due first; Infinity when there is nothing. */
  get earliestMs(): number {
    return this.heap[0]?.atMs ?? Number.POSITIVE_INFINITY;
  }

  /** How many have been added so far: marks a moment, for `takeDue`. */
  get mark(): number {
    return this.added;
  }

  /** @returns takes it back, so that nothing stays behind; does nothing once it has left */
  add(atMs: number, callback: () => void): () => void {
    const timer: Timer = { atMs, order: this.added++, callback, index: this.heap.length };
    this.heap.push(timer);
    this.siftUp(timer);
    return () => this.remove(timer);
  }

  /** Takes out what is due first, if that is by `untilMs` and it was added before `mark`. */
  takeDue(untilMs: number, mark = Number.POSITIVE_INFINITY): Pick<Timer, "atMs" | "callback"> | null {
    const first = this.heap[0];
    if (!first || first.atMs > untilMs || first.order >= mark) return null;
    this.remove(first);
    return first;
  }

  private remove(timer: Timer): void {
    const { index } = timer;
    if (index < 0) return;
    timer.index = -1;
    const last = this.heap.pop()!;
    if (last === timer) return;
    this.heap[index] = last;
    last.index = index;
    this.siftUp(last);
    this.siftDown(last);
  }

  private siftUp(timer: Timer): void {
    while (timer.index > 0) {
      const parent = this.heap[(timer.index - 1) >> 1]!;
      if (!before(timer, parent)) break;
      this.swap(parent, timer);
    }
  }

  private siftDown(timer: Timer): void {
    for (;;) {
      const left = this.heap[2 * timer.index + 1];
      const right = this.heap[2 * timer.index + 2];
      const child = right && left && before(right, left) ? right : left;
      if (!child || !before(child, timer)) break;
      this.swap(timer, child);
    }
  }

  private swap(upper: Timer, lower: Timer): void {
    const { index } = upper;
    upper.index = lower.index;
    lower.index = index;
    this.heap[upper.index] = upper;
    this.heap[lower.index] = lower;
  }
}

function before(a: Timer, b: Timer): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
