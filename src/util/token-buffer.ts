import { assert } from "./assert.ts";

/** A growable run of token ids with truncation; `view` reads a part without a copy. */
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
    assert(index >= 0 && index < this.count, `token index ${index} is outside [0, ${this.count})`);
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
    assert(length >= 0 && length <= this.count, `cannot truncate ${this.count} tokens to ${length}`);
    this.count = length;
  }

  /** Tokens [from, to), valid until the next push or truncate: copy it to keep it. */
  view(from = 0, to = this.count): Int32Array {
    assert(from >= 0 && from <= to && to <= this.count, `[${from}, ${to}) is outside [0, ${this.count})`);
    return this.data.subarray(from, to);
  }

  /** Tokens [from, to) as a copy that stays. */
  slice(from = 0, to = this.count): Int32Array {
    return this.view(from, to).slice();
  }
}
