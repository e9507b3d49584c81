import { PicoSpecError } from "./errors.ts";

/** Too many wait already, or more places are wanted than there are, or the one who waited has gone. */
export class TurnstileError extends PicoSpecError {
  override readonly name = "TurnstileError";
}

interface Waiting {
  readonly places: number;
  readonly admit: () => void;
}

/** Lets in as many as there are places, in the order in which they came: who needs many is not passed over. */
export class Turnstile {
  private readonly places: number;
  private readonly mostWaiting: number;
  private taken = 0;
  private queue: Waiting[] = [];

  /** @param mostWaiting who comes when so many wait is turned away */
  constructor(places: number, mostWaiting: number) {
    this.places = places;
    this.mostWaiting = mostWaiting;
  }

  get inside(): number {
    return this.taken;
  }

  get waiting(): number {
    return this.queue.length;
  }

  /**
   * Resolves when the places are the caller's, who gives them back with `leave`.
   * @param signal who has gone waits no more
   * @throws TurnstileError `too_many`, `full` or `gone`
   */
  enter(places: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (places > this.places) {
        reject(new TurnstileError("too_many", `at most ${this.places} at a time, not ${places}`));
        return;
      }
      if (signal.aborted) {
        reject(new TurnstileError("gone", "gone before its turn"));
        return;
      }
      if (this.queue.length === 0 && this.taken + places <= this.places) {
        this.taken += places;
        resolve();
        return;
      }
      if (this.queue.length >= this.mostWaiting) {
        reject(new TurnstileError("full", `${this.mostWaiting} wait already`));
        return;
      }
      const gone = () => {
        this.queue = this.queue.filter((other) => other !== waiting);
        reject(new TurnstileError("gone", "gone before its turn"));
        this.next();
      };
      const waiting: Waiting = {
        places,
        admit: () => {
          signal.removeEventListener("abort", gone);
          resolve();
        },
      };
      signal.addEventListener("abort", gone, { once: true });
      this.queue.push(waiting);
    });
  }

  leave(places: number): void {
    this.taken -= places;
    this.next();
  }

  private next(): void {
    for (;;) {
      const first = this.queue[0];
      if (!first || this.taken + first.places > this.places) return;
      this.queue.shift();
      this.taken += first.places;
      first.admit();
    }
  }
}
