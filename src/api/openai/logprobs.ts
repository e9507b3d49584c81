import type { AnsweredToken } from "../../edge/edge.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";

/** Logprobs as OpenAI's API shows them. */

interface TokenEntry {
  readonly token: string;
  readonly logprob: number;
  readonly bytes: readonly number[];
}

export interface ChatLogprob extends TokenEntry {
  readonly top_logprobs: readonly TokenEntry[];
}

/** What a token with probability 0 has: JSON knows no infinity. */
const LEAST = -9999;

export function chatLogprobs(tokens: readonly AnsweredToken[], tokenizer: Tokenizer): ChatLogprob[] {
  return tokens.flatMap(({ token, logprobs }) => {
    // The last word of a link that broke for good: there is nothing to show.
    if (!logprobs) return [];
    const top = Array.from(logprobs.topIds, (id, i) => entry(id, logprobs.topLogprobs[i]!, tokenizer));
    return [{ ...entry(token, logprobs.logprob, tokenizer), top_logprobs: top }];
  });
}

/** The form of plain completions. */
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
  const all = chatLogprobs(tokens, tokenizer);
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

function entry(id: number, logprob: number, tokenizer: Tokenizer): TokenEntry {
  const bytes = tokenizer.piece(id);
  return { token: new TextDecoder().decode(bytes), logprob: Math.max(LEAST, logprob), bytes: [...bytes] };
}
