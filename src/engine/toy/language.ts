import type { TargetIdentity } from "../../decoding/identity.ts";
import { Purpose, type Seed, uniform } from "../../sampling/random.ts";
import { assert } from "../../util/assert.ts";
import type { TokenBuffer } from "../../util/token-buffer.ts";
import type { ModelInfo } from "../engine.ts";

/**
 * Seeded n-gram models whose distribution a test can enumerate. Their KV really holds tokens, and logits come
 * from what it holds: a rollback that went wrong shows in the text.
 */

export interface ToyLanguage {
  readonly seed: Seed;
  readonly vocabularySize: number;
  /** how many tokens back the next one depends on; Infinity: on all of them */
  readonly order: number;
  /** how far logits lie apart: 0 is uniform */
  readonly spread: number;
  /** how far the drafter's logits lie from the target's: 0 is the same model */
  readonly divergence: number;
  readonly contextTokens: number;
}

/**
 * Logits after a prefix, Float32Array[V].
 * @example
 * import { toyLogits, toSeed } from "picospec";
 *
 * const language = { seed: toSeed(1), vocabularySize: 64, order: 3, spread: 6, divergence: 2, contextTokens: 500 };
 * console.log(toyLogits(language, [1, 2, 3], "target").length);
 */
export function toyLogits(
  language: ToyLanguage,
  prefix: ArrayLike<number>,
  role: "target" | "drafter",
): Float32Array {
  let state = 0x811c9dc5;
  const start = Math.max(0, prefix.length - language.order);
  for (let i = start; i < prefix.length; i++) state = Math.imul(state ^ (prefix[i]! + 1), 0x01000193) >>> 0;
  const noise = (stream: number, token: number) =>
    uniform(language.seed, Purpose.draft, state, stream, token) - 0.5;
  return Float32Array.from({ length: language.vocabularySize }, (_, token) => {
    const shared = language.spread * noise(0, token);
    return role === "target" ? shared : shared + language.divergence * noise(1, token);
  });
}

/** What a toy says of itself. */
export function toyInfo(language: ToyLanguage): ModelInfo {
  const { vocabularySize, contextTokens } = language;
  return { name: "toy", vocabularySize, contextTokens };
}

/** Its numbers are the same on every machine. */
export function toyIdentity({ seed, order, spread }: ToyLanguage): TargetIdentity {
  const weights = `toy-${seed.high}-${seed.low}-${order}-${spread}`;
  return { weights, quantisation: "F32", library: "picospec toy", backend: "cpu", cpuBuild: "any" };
}

/** Rolls a sequence back to `from` and appends. */
export function append(kv: TokenBuffer, from: number, tokens: Int32Array, contextTokens: number): void {
  assert(from <= kv.length, `fed at ${from}, but the KV ends at ${kv.length}`);
  assert(from + tokens.length <= contextTokens, "fed past the context");
  kv.truncate(from);
  for (const token of tokens) kv.push(token);
}
