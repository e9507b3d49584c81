/**
 * A decode up to this long may hold up the event loop. The way to another thread and back costs some 0.1 ms, and more where no
 * core is free for it; whoever else waits for the loop waits for this long at most.
 */
const SHORT_MS = 4;
/** Weights of a new sample: what a decode takes is nearer to its shortest, and the rest is what else the machine does. */
const SHORTER_WEIGHT = 0.5;
const LONGER_WEIGHT = 0.05;
/** Decodes of more tokens are prompts: never short. */
const MOST_TOKENS = 32;

/**
 * How long decodes take, by their number of tokens. Another thread costs some 0.1 ms a call, and its wake-up takes the core of
 * whoever runs there: a small model on a CPU decodes a token in less. So what is known to be short runs where it was asked for.
 */
export class DecodeTimes {
  /** ms by tokens; NaN: not known */
  private readonly ms = new Float64Array(MOST_TOKENS + 1).fill(Number.NaN);

  /** A decode of so many tokens took so long, wherever it ran. */
  note(tokens: number, ms: number): void {
    if (tokens > MOST_TOKENS) return;
    const known = this.ms[tokens]!;
    const weight = ms < known ? SHORTER_WEIGHT : LONGER_WEIGHT;
    this.ms[tokens] = Number.isNaN(known) ? ms : known + weight * (ms - known);
  }

  isShort(tokens: number): boolean {
    return tokens <= MOST_TOKENS && this.ms[tokens]! <= SHORT_MS;
  }
}
