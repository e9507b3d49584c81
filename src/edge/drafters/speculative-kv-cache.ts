import { AssertionError, assert } from "../../util/assert.ts";
import { TokenBuffer } from "../../util/token-buffer.ts";

/**
 * What the drafter's KV holds: committed and drafted tokens of the sequence that it worked on last. A rollback
 * is a truncation, never a computation; a sequence that shares a prefix with the last one keeps it.
 */
export class SpeculativeKvCache {
  private readonly held = new TokenBuffer();
  private owner = -1;

  /**
   * What has to be fed so that the KV holds `prefix`: tokens [from, prefix.length). At least the last one, since
   * the row after it is wanted.
   * @param owner whose sequence it is: its rollbacks are told, so that nothing has to be compared
   */
  missingFrom(owner: number, prefix: Int32Array): number {
    assert(prefix.length > 0, "a draft continues at least one token");
    const mostKept = Math.min(this.held.length, prefix.length - 1);
    if (owner === this.owner) return mostKept;
    this.owner = owner;
    let agreeing = 0;
    while (agreeing < mostKept && this.held.at(agreeing) === prefix[agreeing]) agreeing++;
    this.held.truncate(agreeing);
    return agreeing;
  }

  /** The model was fed tokens at `from`: what it held there and past it is gone. */
  fed(from: number, tokens: Int32Array): void {
    if (from > this.held.length) {
      throw new AssertionError(`fed at ${from}, but only ${this.held.length} tokens are held`);
    }
    this.held.truncate(from);
    for (const token of tokens) this.held.push(token);
  }

  /** The model lost what it held. */
  clear(): void {
    this.held.truncate(0);
  }

  /** What it is believed to hold: for who compares it with the model. */
  view(): { readonly owner: number; readonly tokens: Int32Array } {
    return { owner: this.owner, tokens: this.held.view(0, this.held.length) };
  }

  /**
   * @param sequence of its owner, Int32Array[n]; null: that one is over, and what is held is worth keeping
   * @throws AssertionError
   */
  checkIntegrity(sequence: Int32Array | null): void {
    if (!sequence) return;
    const { held } = this;
    assert(held.length <= sequence.length, `the KV holds ${held.length} of ${sequence.length} tokens`);
    for (let i = 0; i < held.length; i++) {
      assert(held.at(i) === sequence[i], `the KV holds another token at ${i} than the sequence`);
    }
  }

  /** Tokens of the owner's sequence at `length` and past it are void. */
  rollback(owner: number, length: number): void {
    if (owner === this.owner && this.held.length > length) this.held.truncate(length);
  }
}
