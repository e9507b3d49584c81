import type { Tokenizer } from "../text/tokenizer.ts";

/** More than any opening of a thought has. */
const TAIL_TOKENS = 32;

/** The end of a prompt as text, special tokens by their names. @param prompt token ids, Int32Array[n] */
export function readTail(prompt: Int32Array, tokenizer: Tokenizer): string {
  const decoder = new TextDecoder();
  return [...prompt.subarray(-TAIL_TOKENS)]
    .map((token) => {
      const piece = tokenizer.piece(token);
      return piece.length > 0 ? decoder.decode(piece) : (tokenizer.specialText?.(token) ?? "");
    })
    .join("");
}
