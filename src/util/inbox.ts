/**
 * Values that are pushed, read as an async iterable by one reader. Its bound is its writer's: an answer has no more
 * events than tokens.
 */
export class Inbox<T> implements AsyncIterable<T> {
  private readonly values: T[] = [];
  private ended = false;
  private error: Error | null = null;
  private wake: (() => void) | null = null;

  push(value: T): void {
    if (this.ended) return;
    this.values.push(value);
    this.wake?.();
  }

  /** The reader gets what was pushed, and then the end. */
  close(): void {
    this.ended = true;
    this.wake?.();
  }

  /** The reader gets what was pushed, and then the error. */
  fail(error: Error): void {
    if (this.ended) return;
    this.error = error;
    this.close();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (;;) {
      while (this.values.length > 0) yield this.values.shift()!;
      if (this.ended) {
        if (this.error) throw this.error;
        return;
      }
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
      this.wake = null;
    }
  }
}
