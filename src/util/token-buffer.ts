import { AssertionError } from "./assert.ts";

/**
 * A growable run of token ids with truncation; `view` reads a part without a copy. Messages are only put together where
 * they are needed: all of this runs many times a token.
 */
export class TokenBuffer {
  private data: Int32Array;
  private count = 0;

  constructor(initial: ArrayLike<number> = []) {
    this.data = new Int32Array(Math.max(64, initial.length * 2));
    this.data.set(initial);
    this.count = initial.length;
  }

  get length(): number {
    return this.count;
  }

  at(index: number): number {
    if (!(index >= 0 && index < this.count)) {
      throw new AssertionError(`token index ${index} is outside [0, ${this.count})`);
    }
    return this.data[index]!;
  }

  push(token: number): void {
    if (this.count === this.data.length) {
      const grown = new Int32Array(this.data.length * 2);
      grown.set(this.data);
      this.data = grown;
    }
    this.data[this.count++] = token;
  }

  /** Drops everything at or past `length`. */
  truncate(length: number): void {
    if (!(length >= 0 && length <= this.count)) {
      throw new AssertionError(`cannot truncate ${this.count} tokens to ${length}`);
    }
    this.count = length;
  }

  /** Tokens [from, to), valid until the next push or truncate: copy it to keep it. */
  view(from = 0, to = this.count): Int32Array {
    if (!(from >= 0 && from <= to && to <= this.count)) {
      throw new AssertionError(`[${from}, ${to}) is outside [0, ${this.count})`);
    }
    return this.data.subarray(from, to);
  }

  /** Tokens [from, to) as a copy that stays. */
  slice(from = 0, to = this.count): Int32Array {
    return this.view(from, to).slice();
  }
}
