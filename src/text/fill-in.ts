/** Prompts for an answer in the middle of a text, by a model's own tokens for that. */

/** Token ids: before the text that comes first, before the one that follows the answer, and before the answer. */
export interface FillInTokens {
  readonly before: number;
  readonly after: number;
  readonly middle: number;
}

/**
 * The prompt of the form prefix, suffix, middle (Bavarian et al., arXiv 2207.14255), which models are given at inference.
 * @param before token ids of the text that comes first, without a begin token; so is `after`, which follows the answer
 * @param begin token that begins a sequence; null: none
 * @returns token ids, Int32Array[n]
 * @example
 * import { fillInPrompt } from "picospec";
 *
 * const tokens = { before: 1, after: 2, middle: 3 };
 * console.log(fillInPrompt(Int32Array.of(10, 11), Int32Array.of(12), tokens, null)); // 1, 10, 11, 2, 12, 3
 */
export function fillInPrompt(
  before: Int32Array,
  after: Int32Array,
  tokens: FillInTokens,
  begin: number | null,
): Int32Array {
  const first = begin === null ? [] : [begin];
  const parts = [[...first, tokens.before], before, [tokens.after], after, [tokens.middle]];
  const prompt = new Int32Array(parts.reduce((count, part) => count + part.length, 0));
  let at = 0;
  for (const part of parts) {
    prompt.set(part, at);
    at += part.length;
  }
  return prompt;
}
