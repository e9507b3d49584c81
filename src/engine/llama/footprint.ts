import type { GGUFTensorInfo } from "@huggingface/gguf";
import type { GgufHeader } from "./header.ts";

/**
 * Bits a weight by ggml's number of the format: bytes of a block over weights of a block, from ggml-common.h. F32, F16,
 * Q4_0, Q4_1, Q5_0, Q5_1, Q8_0; Q2_K to Q6_K; IQ2_XXS to IQ4_XS; I8 to I64, F64; IQ1_M, BF16, TQ1_0, TQ2_0, MXFP4.
 */
const BITS_PER_WEIGHT: Readonly<Record<number, number>> = {
  ...{ 0: 32, 1: 16, 2: 4.5, 3: 5, 6: 5.5, 7: 6, 8: 8.5 },
  ...{ 10: 2.625, 11: 3.4375, 12: 4.5, 13: 5.5, 14: 6.5625 },
  ...{ 16: 2.0625, 17: 2.3125, 18: 3.0625, 19: 1.5625, 20: 4.5, 21: 3.4375, 22: 2.5625, 23: 4.25 },
  ...{ 24: 8, 25: 16, 26: 32, 27: 64, 28: 64, 29: 1.75, 30: 16, 34: 1.6875, 35: 2.0625, 39: 4.25 },
};

/** How much of a machine a GGUF file takes, from its header alone. */
export interface Footprint {
  readonly fileBytes: number;
  /** context that it was trained for, tokens; 0: it does not say */
  readonly contextTokens: number;
  /** keys and values of one token in all layers at F16; 0: it does not say */
  readonly kvBytesPerToken: number;
}

export function footprintOf(fileBytes: number, { metadata }: GgufHeader): Footprint {
  return { fileBytes, ...attention(metadata) };
}

/** 0 for a format that is not in the list: where it begins still says how long the file is at least. */
export function tensorBytes({ shape, dtype }: GGUFTensorInfo): number {
  const bitsPerWeight = BITS_PER_WEIGHT[dtype] ?? 0;
  return (shape.reduce((product, size) => product * Number(size), 1) * bitsPerWeight) / 8;
}

/**
 * What llama.cpp calls hyperparameters, by the names in ggml's docs/gguf.md. A token's keys and values take
 * sum over layers of kv heads x (key length + value length) x 2 bytes.
 */
export function attention(
  metadata: Readonly<Record<string, unknown>>,
): Pick<Footprint, "contextTokens" | "kvBytesPerToken"> {
  const get = (key: string) => metadata[`${metadata["general.architecture"]}.${key}`];
  const number = (key: string, fallback: number) => Number(get(key) ?? fallback);
  const layers = number("block_count", 0);
  const heads = get("attention.head_count");
  const oneHead = Array.isArray(heads) ? Math.max(...heads.map(Number)) : Number(heads ?? 0);
  const headLength = oneHead > 0 ? number("embedding_length", 0) / oneHead : 0;
  const length = number("attention.key_length", headLength) + number("attention.value_length", headLength);
  // One number for all layers, or one for each.
  const kvHeads = get("attention.head_count_kv") ?? oneHead;
  const inAll = Array.isArray(kvHeads)
    ? kvHeads.reduce((a, b) => a + Number(b), 0)
    : layers * Number(kvHeads);
  return { contextTokens: number("context_length", 0), kvBytesPerToken: inAll * length * 2 };
}
