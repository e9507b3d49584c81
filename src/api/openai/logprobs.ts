import type { AnsweredToken } from "../../edge/edge.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import { tokenLogprobs } from "../logprobs.ts";

/** Logprobs as plain completions show them. */

export interface PlainLogprobs {
  readonly tokens: string[];
  readonly token_logprobs: number[];
  readonly top_logprobs: Record<string, number>[] | null;
  readonly text_offset: number[];
}

/** @param offset where the first token's text begins in the answer, UTF-16 units */
export function plainLogprobs(
  tokens: readonly AnsweredToken[],
  tokenizer: Tokenizer,
  offset: number,
  tops: number,
): PlainLogprobs {
  const all = tokenLogprobs(tokens, tokenizer);
  let at = offset;
  const text_offset = tokens.map(({ text }) => {
    const here = at;
    at += text.length;
    return here;
  });
  return {
    tokens: all.map(({ token }) => token),
    token_logprobs: all.map(({ logprob }) => logprob),
    top_logprobs:
      tops === 0
        ? null
        : all.map((one) =>
            Object.fromEntries(one.top_logprobs.map(({ token, logprob }) => [token, logprob])),
          ),
    text_offset: text_offset.slice(0, all.length),
  };
}
