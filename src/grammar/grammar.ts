import type { Grammar } from "../decoding/grammar.ts";

/** What answers may be: a grammar as a set of tokens at each position. */

/** Follows one answer, which grows and is taken back. */
export interface GrammarMatcher {
  /** text that the grammar dictates is used without asking a model; false: as if it were not known, for comparison */
  readonly dictates: boolean;
  /**
   * Tokens that may come after an answer, end tokens where it may end. Answers that share a beginning with the one
   * before cost what they do not share.
   * @param tokens the answer is tokens[from, to)
   * @returns a bit a token, bit t % 32 of word t / 32, Int32Array[ceil(V / 32)]; null where the grammar does not allow
   * the answer itself
   * @throws PicoSpecError `grammar_limit` where that would cost too much; it says which limit
   */
  allowed(tokens: ArrayLike<number>, from: number, to: number): Int32Array | null;
  /**
   * Text that has to come after an answer, as the model's own tokenizer spells it: a good draft, and no more than that,
   * since other spellings are allowed as well.
   * @param tokens the answer is tokens[from, to)
   * @returns Int32Array[n]; empty where nothing is forced
   * @throws PicoSpecError `grammar_limit`
   */
  forced(tokens: ArrayLike<number>, from: number, to: number): Int32Array;
  /** frees it; not to be asked any more */
  close(): void;
}

/** Grammars over one vocabulary. */
export interface Grammars {
  /**
   * @throws SettingError `grammar` for one that is none, costs too much, or is of a kind that is not known here
   */
  matcher(grammar: Grammar): GrammarMatcher;
}
