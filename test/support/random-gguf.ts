import { writeFileSync } from "node:fs";
import { Purpose, toSeed, uniform } from "../../src/sampling/random.ts";

/**
 * GGUF files with random weights, so that tests meet tokenizers and vocabularies that the bundled pair does not
 * have. A drafter shares the target's embedding, output and first layer, so that the two often agree.
 * Layout: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 */

export interface RandomModel {
  readonly kind: "spm" | "bpe";
  readonly vocabularySize: number;
  readonly layers: number;
  readonly seed: number;
  /** of the matrices */
  readonly weights?: "F16" | "Q4_0";
  /** Jinja source */
  readonly chatTemplate?: string;
  /** unused tokens appended to the vocabulary */
  readonly padding?: number;
}

const DIM = 64;
const HEADS = 2;
const FEED_FORWARD = 128;
const CONTEXT = 512;
const ALIGNMENT = 32;

/** GGUF value types. */
const U32 = 4;
const I32 = 5;
const F32 = 6;
const BOOL = 7;
const STRING = 8;
const ARRAY = 9;

/** llama.cpp token types. */
const NORMAL = 1;
const UNKNOWN = 2;
const CONTROL = 3;
const UNUSED = 5;
const BYTE = 6;

interface Vocabulary {
  readonly tokens: string[];
  readonly types: number[];
  readonly scores: number[];
  readonly merges: string[];
}

export function writeRandomGguf(path: string, model: RandomModel): void {
  const vocabulary = model.kind === "spm" ? spm(model) : bpe(model);
  for (let i = 0; i < (model.padding ?? 0); i++) {
    vocabulary.tokens.push(`[PAD${i}]`);
    vocabulary.types.push(UNUSED);
    vocabulary.scores.push(0);
  }
  const tensors = weights(model, vocabulary.tokens.length);
  const parts: Uint8Array[] = [];
  const metadata = metadataOf(model, vocabulary);
  parts.push(ascii("GGUF"), u32(3), u64(tensors.length), u64(metadata.length), ...metadata);
  const body: Uint8Array[] = [];
  let offset = 0;
  for (const { name, shape, values } of tensors) {
    const format = shape.length > 1 ? FORMATS[model.weights ?? "F16"] : PLAIN;
    const bytes = format.encode(values);
    parts.push(text(name), u32(shape.length), ...shape.map(u64), u32(format.type), u64(offset));
    body.push(Buffer.concat([bytes, new Uint8Array(padded(bytes.length) - bytes.length)]));
    offset += padded(bytes.length);
  }
  const header = Buffer.concat(parts);
  writeFileSync(
    path,
    Buffer.concat([header, new Uint8Array(padded(header.length) - header.length), ...body]),
  );
}

interface Format {
  /** ggml's number of it */
  readonly type: number;
  readonly encode: (values: Float32Array) => Uint8Array;
}

const PLAIN: Format = { type: 0, encode: (values) => new Uint8Array(values.buffer) };
const FORMATS: Record<"F16" | "Q4_0", Format> = {
  F16: { type: 1, encode: float16 },
  Q4_0: { type: 2, encode: fourBits },
};
const BLOCK = 32;

/** Blocks of 32 values: a scale in F16, and 4 bits each, the first half of a block in the low ones. */
function fourBits(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array((values.length / BLOCK) * (2 + BLOCK / 2));
  for (let block = 0, at = 0; block < values.length; block += BLOCK, at += 2 + BLOCK / 2) {
    const part = values.subarray(block, block + BLOCK);
    const largest = part.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a), 0);
    const scale = largest / -8 || 1;
    bytes.set(float16(Float32Array.of(scale)), at);
    const level = (value: number) => Math.min(15, Math.round(value / scale) + 8);
    for (let i = 0; i < BLOCK / 2; i++) {
      bytes[at + 2 + i] = level(part[i]!) | (level(part[i + BLOCK / 2]!) << 4);
    }
  }
  return bytes;
}

function metadataOf(model: RandomModel, { tokens, types, scores, merges }: Vocabulary): Uint8Array[] {
  const entry = (key: string, type: number, ...value: Uint8Array[]) =>
    Buffer.concat([text(key), u32(type), ...value]);
  const array = (key: string, type: number, values: Uint8Array[]) =>
    entry(key, ARRAY, u32(type), u64(values.length), ...values);
  const number = (key: string, value: number) => entry(key, U32, u32(value));
  const common = [
    entry("general.architecture", STRING, text("llama")),
    entry("general.name", STRING, text(`random ${model.kind}`)),
    number("llama.block_count", model.layers),
    number("llama.context_length", CONTEXT),
    number("llama.embedding_length", DIM),
    number("llama.feed_forward_length", FEED_FORWARD),
    number("llama.attention.head_count", HEADS),
    number("llama.attention.head_count_kv", HEADS),
    number("llama.rope.dimension_count", DIM / HEADS),
    entry("llama.attention.layer_norm_rms_epsilon", F32, f32(1e-5)),
    entry("tokenizer.ggml.model", STRING, text(model.kind === "spm" ? "llama" : "gpt2")),
    array("tokenizer.ggml.tokens", STRING, tokens.map(text)),
    array("tokenizer.ggml.token_type", I32, types.map(u32)),
    number("tokenizer.ggml.bos_token_id", 1),
    number("tokenizer.ggml.eos_token_id", 2),
    entry("tokenizer.ggml.add_bos_token", BOOL, Uint8Array.of(1)),
    ...(model.chatTemplate === undefined
      ? []
      : [entry("tokenizer.chat_template", STRING, text(model.chatTemplate))]),
  ];
  const own =
    model.kind === "spm"
      ? [array("tokenizer.ggml.scores", F32, scores.map(f32)), number("tokenizer.ggml.unknown_token_id", 0)]
      : [
          entry("tokenizer.ggml.pre", STRING, text("default")),
          array("tokenizer.ggml.merges", STRING, merges.map(text)),
        ];
  return [...common, ...own];
}

/** A SentencePiece vocabulary: specials, all bytes, letters, and made-up words with falling scores. */
function spm({ vocabularySize }: RandomModel): Vocabulary {
  const tokens = ["<unk>", "<s>", "</s>"];
  const types = [UNKNOWN, CONTROL, CONTROL];
  for (let byte = 0; byte < 256; byte++) {
    tokens.push(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`);
    types.push(BYTE);
  }
  for (const word of ["▁", ...letters(), ...words("▁")]) {
    if (tokens.length === vocabularySize) break;
    tokens.push(word);
    types.push(NORMAL);
  }
  return { tokens, types, scores: tokens.map((_, id) => (id < 259 ? 0 : 259 - id)), merges: [] };
}

/** A byte-level BPE vocabulary: specials, all bytes, and pairs of what came before. */
function bpe({ vocabularySize }: RandomModel): Vocabulary {
  const tokens = ["<|pad|>", "<|begin|>", "<|end|>"];
  const types = [CONTROL, CONTROL, CONTROL];
  const bytes = byteCharacters();
  tokens.push(...bytes);
  const merges: string[] = [];
  const known = new Set(tokens);
  const stems = ["Ġ", ...letters()];
  for (let left = 0; tokens.length < vocabularySize && left < stems.length; left++) {
    for (const right of letters()) {
      const merged = stems[left]! + right;
      if (tokens.length === vocabularySize || known.has(merged)) continue;
      merges.push(`${stems[left]} ${right}`);
      tokens.push(merged);
      known.add(merged);
      stems.push(merged);
    }
  }
  while (types.length < tokens.length) types.push(NORMAL);
  return { tokens, types, scores: tokens.map(() => 0), merges };
}

function letters(): string[] {
  return [..."abcdefghijklmnopqrstuvwxyz"];
}

/** aa, ab, …, each with a space before it and without. */
function* words(space: string): Generator<string> {
  for (const a of letters()) for (const b of letters()) yield `${space}${a}${b}`;
  for (const a of letters())
    for (const b of letters()) for (const c of letters()) yield `${space}${a}${b}${c}`;
  for (const a of letters()) for (const b of letters()) for (const c of letters()) yield `${a}${b}${c}`;
}

/** GPT-2's printable stand-ins for the 256 bytes, by byte. */
function byteCharacters(): string[] {
  const printable = (byte: number) =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : next++));
}

interface Tensor {
  readonly name: string;
  /** fastest dimension first, as GGUF has it */
  readonly shape: number[];
  readonly values: Float32Array;
}

function weights({ layers, seed }: RandomModel, vocabularySize: number): Tensor[] {
  let stream = 0;
  const matrix = (name: string, columns: number, rows: number, scale: number): Tensor => {
    const own = stream++;
    const values = Float32Array.from({ length: columns * rows }, (_, i) => {
      return scale * (uniform(toSeed(seed), Purpose.draft, own, 0, i) - 0.5);
    });
    return { name, shape: [columns, rows], values };
  };
  const ones = (name: string): Tensor => ({ name, shape: [DIM], values: new Float32Array(DIM).fill(1) });
  const tensors = [
    matrix("token_embd.weight", DIM, vocabularySize, 2),
    matrix("output.weight", DIM, vocabularySize, 1.5),
    ones("output_norm.weight"),
  ];
  for (let layer = 0; layer < layers; layer++) {
    // Later layers change little, so that a model without them mostly agrees.
    const scale = layer === 0 ? 0.4 : 0.12;
    const name = (part: string) => `blk.${layer}.${part}.weight`;
    tensors.push(
      ones(name("attn_norm")),
      ...["attn_q", "attn_k", "attn_v", "attn_output"].map((part) => matrix(name(part), DIM, DIM, scale)),
      ones(name("ffn_norm")),
      matrix(name("ffn_gate"), DIM, FEED_FORWARD, scale),
      matrix(name("ffn_up"), DIM, FEED_FORWARD, scale),
      matrix(name("ffn_down"), FEED_FORWARD, DIM, scale),
    );
  }
  return tensors;
}

/** To IEEE half precision, rounding to nearest; the weights here are small normal numbers or 0. */
function float16(values: Float32Array): Uint8Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = Uint16Array.from(bits, (word) => {
    const exponent = ((word >>> 23) & 0xff) - 112;
    if (exponent <= 0) return (word >>> 16) & 0x8000;
    return ((word >>> 16) & 0x8000) + (((exponent << 10) | ((word >>> 13) & 0x3ff)) + ((word >>> 12) & 1));
  });
  return new Uint8Array(halves.buffer);
}

function padded(size: number): number {
  return Math.ceil(size / ALIGNMENT) * ALIGNMENT;
}

function ascii(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

function text(value: string): Uint8Array {
  const bytes = ascii(value);
  return Buffer.concat([u64(bytes.length), bytes]);
}

function u32(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

function u64(value: number): Uint8Array {
  return new Uint8Array(BigUint64Array.of(BigInt(value)).buffer);
}

function f32(value: number): Uint8Array {
  return new Uint8Array(Float32Array.of(value).buffer);
}
