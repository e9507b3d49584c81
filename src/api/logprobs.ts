import type { AnsweredToken } from "../edge/edge.ts";
import type { Tokenizer } from "../text/tokenizer.ts";

/** Logprobs token by token, as chats of several protocols show them. */

interface TokenEntry {
  readonly token: string;
  readonly logprob: number;
  readonly bytes: readonly number[];
}

export interface TokenLogprob extends TokenEntry {
  readonly top_logprobs: readonly TokenEntry[];
}

/** What a token with probability 0 has: JSON knows no infinity. */
const LEAST = -9999;

export function tokenLogprobs(tokens: readonly AnsweredToken[], tokenizer: Tokenizer): TokenLogprob[] {
  return tokens.flatMap(({ token, logprobs }) => {
    // The last word of a link that broke for good: there is nothing to show.
    if (!logprobs) return [];
    const top = Array.from(logprobs.topIds, (id, i) => entry(id, logprobs.topLogprobs[i]!, tokenizer));
    return [{ ...entry(token, logprobs.logprob, tokenizer), top_logprobs: top }];
  });
}

function entry(id: number, logprob: number, tokenizer: Tokenizer): TokenEntry {
  const bytes = tokenizer.piece(id);
  return { token: new TextDecoder().decode(bytes), logprob: Math.max(LEAST, logprob), bytes: [...bytes] };
}
