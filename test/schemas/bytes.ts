import type { GrammarMatcher } from "../../src/grammar/grammar.ts";
import type { LlguidanceGrammars } from "../../src/grammar/llguidance/grammars.ts";
import { inTokenSet } from "../../src/sampling/sampler.ts";
import { ByteTokenizer, END } from "../support/byte-grammars.ts";

/** Texts under a grammar, over a vocabulary of bytes. */

const tokenizer = new ByteTokenizer();

/** Whether a text is a whole answer. */
export function accepts(matcher: GrammarMatcher, text: string): boolean {
  const tokens = tokenizer.bytes(text);
  const set = matcher.allowed(tokens, 0, tokens.length);
  return set !== null && inTokenSet(set, END);
}

/** Which of the texts are whole answers under a schema. */
export function accepted(grammars: LlguidanceGrammars, schema: unknown, texts: readonly string[]): string[] {
  const matcher = grammars.matcher({ kind: "json_schema", source: JSON.stringify(schema) });
  const result = texts.filter((text) => accepts(matcher, text));
  matcher.close();
  return result;
}

/** @throws TypeError for tokens that are no UTF-8 */
export function textOf(tokens: readonly number[]): string {
  const bytes = tokens.flatMap((token) => [...tokenizer.piece(token)]);
  return new TextDecoder("utf-8", { fatal: true }).decode(Uint8Array.from(bytes));
}
