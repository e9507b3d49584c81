import type { PromptText } from "./conversation.ts";
import type { Tokenizer } from "./tokenizer.ts";

/**
 * What a tokenizer puts before a text (a begin token, a space) is before the first piece alone: the others are read behind
 * this, and what it is itself is taken off again.
 */
const LEAD = "\n";

/**
 * Token ids of a prompt, which is cut where it says so: the pieces' tokens are in one row, as if it were one text.
 * @returns Int32Array[n]
 */
export function encodePrompt(
  { text, special, cuts = [] }: PromptText,
  tokenizer: Pick<Tokenizer, "encode">,
): Int32Array {
  if (cuts.length === 0) return tokenizer.encode(text, special);
  const lead = tokenizer.encode(LEAD, special);
  const bounds = [0, ...cuts, text.length];
  const pieces = bounds.slice(1).map((to, i) => {
    const piece = text.slice(bounds[i], to);
    if (i === 0) return tokenizer.encode(piece, special);
    const tokens = tokenizer.encode(`${LEAD}${piece}`, special);
    const isApart = lead.every((token, at) => tokens[at] === token);
    return isApart ? tokens.subarray(lead.length) : tokenizer.encode(piece, special);
  });
  const all = new Int32Array(pieces.reduce((count, piece) => count + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
