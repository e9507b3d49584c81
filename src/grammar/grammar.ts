import type { Grammar } from "../decoding/grammar.ts";

/** What answers may be: a grammar as a set of tokens at each position. */

/** Follows one answer, which grows and is taken back. */
export interface GrammarMatcher {
  /**
   * Tokens that may come after an answer, end tokens where it may end. Answers that share a beginning with the one
   * before cost what they do not share.
   * @param tokens the answer is tokens[from, to)
   * @returns a bit a token, bit t % 32 of word t / 32, Int32Array[ceil(V / 32)]; null where the grammar does not allow
   * the answer itself
   */
  allowed(tokens: ArrayLike<number>, from: number, to: number): Int32Array | null;
  /** frees it; not to be asked any more */
  close(): void;
}

/** Grammars over one vocabulary. */
export interface Grammars {
  /**
   * @throws SettingError `grammar` for one that is none, or of a kind that is not known here
   */
  matcher(grammar: Grammar): GrammarMatcher;
}
