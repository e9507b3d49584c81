import { PicoSpecError } from "./errors.ts";

/** Raised instead of growing past the bound. */
export class QueueFullError extends PicoSpecError {
  override readonly name = "QueueFullError";
}

/** First in, first out, and never longer than its bound. */
export class BoundedQueue<T> {
  private readonly items: T[] = [];
  private readonly bound: number;
  private readonly what: string;

  /** @param what names the queue in the error, for example "sessions waiting for a sequence". */
  constructor(bound: number, what: string) {
    this.bound = bound;
    this.what = what;
  }

  get length(): number {
    return this.items.length;
  }

  /** @throws QueueFullError when the bound is reached; the queue is as it was. */
  push(item: T): void {
    if (this.items.length >= this.bound) {
      throw new QueueFullError("queue_full", `there are already ${this.bound} ${this.what}; try again later`);
    }
    this.items.push(item);
  }

  shift(): T | undefined {
    return this.items.shift();
  }

  remove(item: T): boolean {
    const index = this.items.indexOf(item);
    if (index >= 0) this.items.splice(index, 1);
    return index >= 0;
  }

  [Symbol.iterator](): Iterator<T> {
    return this.items[Symbol.iterator]();
  }
}
