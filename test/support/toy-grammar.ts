import type { Grammar } from "../../src/decoding/grammar.ts";
import type { GrammarMatcher, Grammars } from "../../src/grammar/grammar.ts";
import { SettingError } from "../../src/util/errors.ts";
import { END_TOKEN } from "./world.ts";

/**
 * A grammar that looks at all of an answer: a token t may follow where (t + sum of the answer) mod 3 is not 0, and the
 * end from two tokens on. What is allowed changes with every token, so that a set that is one too old shows.
 */
export function toyAllows(answer: readonly number[], token: number): boolean {
  if (token === END_TOKEN) return answer.length >= 2;
  return (token + answer.reduce((a, b) => a + b, 0)) % 3 !== 0;
}

/** The set as matchers give it; null where the answer itself is not allowed. */
export function toyAllowed(answer: readonly number[], vocabularySize: number): Int32Array | null {
  for (const [i, token] of answer.entries()) {
    if (!toyAllows(answer.slice(0, i), token) || answer[i - 1] === END_TOKEN) return null;
  }
  const set = new Int32Array(Math.ceil(vocabularySize / 32));
  if (answer.at(-1) === END_TOKEN) return set;
  for (let token = 0; token < vocabularySize; token++) {
    if (toyAllows(answer, token)) set[token >>> 5]! |= 1 << (token & 31);
  }
  return set;
}

/** The one that toy worlds know. */
export const TOY_GRAMMAR: Grammar = { kind: "ebnf", source: "toy" };

/** Knows the one grammar "toy", and counts the matchers that are open. */
export class ToyGrammars implements Grammars {
  open = 0;
  private readonly vocabularySize: number;

  constructor(vocabularySize: number) {
    this.vocabularySize = vocabularySize;
  }

  matcher({ source }: Grammar): GrammarMatcher {
    if (source !== "toy") throw new SettingError("grammar", `there is no grammar ${source}`);
    this.open++;
    return {
      dictates: true,
      allowed: (tokens, from, to) => toyAllowed(Array.from(tokens).slice(from, to), this.vocabularySize),
      forced: () => new Int32Array(0),
      close: () => {
        this.open--;
      },
    };
  }
}
