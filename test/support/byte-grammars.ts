import { readFileSync } from "node:fs";
import type { Grammar } from "../../src/decoding/grammar.ts";
import type { GrammarMatcher } from "../../src/grammar/grammar.ts";
import type { ControlTokens } from "../../src/grammar/llguidance/controls.ts";
import { LlguidanceGrammars, type LlguidanceOptions } from "../../src/grammar/llguidance/grammars.ts";
import { type GrammarModule, grammarModule } from "../../src/grammar/llguidance/library.ts";
import { LlguidanceMatcher, type MatcherPlace } from "../../src/grammar/llguidance/matcher.ts";
import type { LibraryGrammar } from "../../src/grammar/llguidance/source.ts";
import { inTokenSet } from "../../src/sampling/sampler.ts";
import type { Tokenizer } from "../../src/text/tokenizer.ts";

/** Grammars over a small vocabulary: a token a byte, an end token, one without text, and a few longer ones. */

export const END = 1;
const encoder = new TextEncoder();

export class ByteTokenizer implements Tokenizer {
  readonly fingerprint = "bytes";
  readonly beginText = "";
  readonly endText = "";
  readonly addsBegin = false;
  private readonly pieces: readonly Uint8Array[];

  constructor(longer: readonly string[] = []) {
    const bytes = Array.from({ length: 256 }, (_, byte) => Uint8Array.of(byte));
    const none = new Uint8Array(0);
    this.pieces = [none, none, ...bytes, ...longer.map((text) => encoder.encode(text))];
  }

  get vocabularySize(): number {
    return this.pieces.length;
  }

  /** Always the longest token that fits. */
  encode(text: string): Int32Array {
    const bytes = encoder.encode(text);
    const ids: number[] = [];
    for (let at = 0; at < bytes.length; ) {
      const fits = (piece: Uint8Array) =>
        piece.length > 0 && piece.every((byte, offset) => byte === bytes[at + offset]);
      let best = bytes[at]! + 2;
      for (let id = 258; id < this.pieces.length; id++) {
        if (fits(this.pieces[id]!) && this.pieces[id]!.length > this.pieces[best]!.length) best = id;
      }
      ids.push(best);
      at += this.pieces[best]!.length;
    }
    return Int32Array.from(ids);
  }

  /** A token a byte. */
  bytes(text: string): number[] {
    return Array.from(encoder.encode(text), (byte) => byte + 2);
  }

  piece(token: number): Uint8Array {
    return this.pieces[token] ?? new Uint8Array(0);
  }
}

let compiled: Promise<GrammarModule> | null = null;

export async function byteGrammars(
  tokenizer: Tokenizer = new ByteTokenizer(),
  more: Partial<LlguidanceOptions> = {},
): Promise<LlguidanceGrammars> {
  compiled ??= grammarModule(readFileSync("engines/llguidance/llguidance.wasm"));
  return new LlguidanceGrammars({ module: await compiled, tokenizer, endTokens: [END], ...more });
}

/** Whether a grammar allows a text as a whole answer. */
export function allows(grammars: LlguidanceGrammars, grammar: Grammar, text: string): boolean {
  const matcher = grammars.matcher(grammar);
  try {
    const tokens = new ByteTokenizer().bytes(text);
    const set = matcher.allowed(tokens, 0, tokens.length);
    return set !== null && inTokenSet(set, END);
  } finally {
    matcher.close();
  }
}

/** A schema as it is, straight to the library: what the product does not do, for controls. */
export function libraryAlone(grammars: LlguidanceGrammars, schema: string): GrammarMatcher {
  const kept = grammars as unknown as {
    begin(source: LibraryGrammar): number;
    place(source: LibraryGrammar): MatcherPlace;
    readonly instance: number;
    readonly tokenizer: Tokenizer;
    readonly controls: ControlTokens;
    open: number;
  };
  const source: LibraryGrammar = { kind: "json_schema", text: schema };
  const handle = kept.begin(source);
  kept.open++;
  const held = { handle, instance: kept.instance };
  return new LlguidanceMatcher(kept.place(source), held, kept.tokenizer, kept.controls.known([]));
}
