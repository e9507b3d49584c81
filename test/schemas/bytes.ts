import { readFileSync } from "node:fs";
import type { GrammarMatcher } from "../../src/grammar/grammar.ts";
import { LlguidanceGrammars } from "../../src/grammar/llguidance/grammars.ts";
import type { GrammarModule } from "../../src/grammar/llguidance/library.ts";
import type { Tokenizer } from "../../src/text/tokenizer.ts";

/** Grammars over a vocabulary of bytes: token n is byte n - 2, and 1 ends an answer. */

export const END = 1;
const FIRST_BYTE = 2;
const PIECES = [
  new Uint8Array(0),
  new Uint8Array(0),
  ...Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte)),
];

const tokenizer: Tokenizer = {
  fingerprint: "bytes",
  vocabularySize: PIECES.length,
  beginText: "",
  endText: "",
  addsBegin: false,
  encode: (text) => tokensOf(text),
  piece: (token) => PIECES[token]!,
};

export function byteGrammars(): LlguidanceGrammars {
  const { WebAssembly } = globalThis as unknown as {
    WebAssembly: { readonly Module: new (bytes: Uint8Array) => GrammarModule };
  };
  const module = new WebAssembly.Module(readFileSync("engines/llguidance/llguidance.wasm"));
  return new LlguidanceGrammars({ module, tokenizer, endTokens: [END] });
}

export function tokensOf(text: string): Int32Array {
  return Int32Array.from(new TextEncoder().encode(text), (byte) => byte + FIRST_BYTE);
}

export function textOf(tokens: readonly number[]): string {
  return new TextDecoder("utf-8", { fatal: true }).decode(
    Uint8Array.from(tokens, (token) => token - FIRST_BYTE),
  );
}

export function has(set: Int32Array, token: number): boolean {
  return ((set[token >>> 5]! >>> (token & 31)) & 1) === 1;
}

/** Whether a text is a whole answer. */
export function accepts(matcher: GrammarMatcher, text: string): boolean {
  const tokens = tokensOf(text);
  const set = matcher.allowed(tokens, 0, tokens.length);
  return set !== null && has(set, END);
}
