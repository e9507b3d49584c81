import { assert } from "../../util/assert.ts";
import type { GrammarMatcher } from "../grammar.ts";
import type { MatcherHandle } from "./library.ts";

/** xgrammar's matcher, moved back and forth to whichever answer is asked about. */
export class XGrammarMatcher implements GrammarMatcher {
  private readonly handle: MatcherHandle;
  private readonly vocabularySize: number;
  private readonly failed: () => void;
  /** what the matcher has accepted */
  private readonly accepted: number[] = [];
  /** the set behind `accepted`; null: it has to be computed */
  private current: Int32Array | null = null;
  private closed = false;
  private broken = false;

  /** @param failed the instance has aborted: this and all others of it are of no use any more */
  constructor(handle: MatcherHandle, vocabularySize: number, failed: () => void) {
    this.handle = handle;
    this.vocabularySize = vocabularySize;
    this.failed = failed;
  }

  /** Where the engine has failed nothing is allowed: that ends the session, and no other. */
  allowed(tokens: ArrayLike<number>, from: number, to: number): Int32Array | null {
    assert(!this.closed, "a closed grammar was asked");
    const nothing = new Int32Array(Math.ceil(this.vocabularySize / 32));
    if (this.broken) return nothing;
    try {
      if (!this.moveTo(tokens, from, to)) return null;
      this.current ??= this.read(nothing);
      return this.current;
    } catch {
      this.broken = true;
      this.failed();
      return nothing;
    }
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    try {
      this.handle.delete();
    } catch {
      this.failed();
    }
  }

  /** @returns whether the grammar allows the answer */
  private moveTo(tokens: ArrayLike<number>, from: number, to: number): boolean {
    const { accepted } = this;
    let shared = 0;
    while (shared < accepted.length && from + shared < to && accepted[shared] === tokens[from + shared]) {
      shared++;
    }
    if (shared < accepted.length) {
      this.handle.Rollback(accepted.length - shared);
      accepted.length = shared;
      this.current = null;
    }
    for (let i = from + shared; i < to; i++) {
      const token = tokens[i]!;
      // Past the end nothing is accepted, and the matcher would rather abort than say so.
      if (this.handle.IsTerminated() || !this.handle.AcceptToken(token, false)) return false;
      accepted.push(token);
      this.current = null;
    }
    return true;
  }

  private read(into: Int32Array): Int32Array {
    if (this.handle.IsTerminated()) return into;
    const bits = this.handle.GetNextTokenBitmask(this.vocabularySize);
    for (let word = 0; word < into.length; word++) into[word] = bits.get(word);
    bits.delete();
    return into;
  }
}
