import { Purpose, toSeed, uniform } from "../../src/sampling/random.ts";
import {
  boolean,
  type Entry,
  float,
  floats,
  integer,
  integers,
  string,
  strings,
  type Tensor,
  writeGguf,
} from "./gguf/encode.ts";

/**
 * GGUF files with random weights, so that tests meet tokenizers and vocabularies that the bundled pair does not
 * have. A drafter shares the target's embedding, output and first layer, so that the two often agree.
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
  writeGguf(path, metadataOf(model, vocabulary), weights(model, vocabulary.tokens.length));
}

function metadataOf(model: RandomModel, { tokens, types, scores, merges }: Vocabulary): Entry[] {
  const common = [
    string("general.architecture", "llama"),
    string("general.name", `random ${model.kind}`),
    integer("llama.block_count", model.layers),
    integer("llama.context_length", CONTEXT),
    integer("llama.embedding_length", DIM),
    integer("llama.feed_forward_length", FEED_FORWARD),
    integer("llama.attention.head_count", HEADS),
    integer("llama.attention.head_count_kv", HEADS),
    integer("llama.rope.dimension_count", DIM / HEADS),
    float("llama.attention.layer_norm_rms_epsilon", 1e-5),
    string("tokenizer.ggml.model", model.kind === "spm" ? "llama" : "gpt2"),
    strings("tokenizer.ggml.tokens", tokens),
    integers("tokenizer.ggml.token_type", types),
    integer("tokenizer.ggml.bos_token_id", 1),
    integer("tokenizer.ggml.eos_token_id", 2),
    boolean("tokenizer.ggml.add_bos_token", true),
    ...(model.chatTemplate === undefined ? [] : [string("tokenizer.chat_template", model.chatTemplate)]),
  ];
  const own =
    model.kind === "spm"
      ? [floats("tokenizer.ggml.scores", scores), integer("tokenizer.ggml.unknown_token_id", 0)]
      : [string("tokenizer.ggml.pre", "default"), strings("tokenizer.ggml.merges", merges)];
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

function weights({ layers, seed, weights: format = "F16" }: RandomModel, vocabularySize: number): Tensor[] {
  let stream = 0;
  const matrix = (name: string, columns: number, rows: number, scale: number): Tensor => {
    const own = stream++;
    const values = Float32Array.from({ length: columns * rows }, (_, i) => {
      return scale * (uniform(toSeed(seed), Purpose.draft, own, 0, i) - 0.5);
    });
    return { name, shape: [columns, rows], values, format };
  };
  const ones = (name: string): Tensor => {
    return { name, shape: [DIM], values: new Float32Array(DIM).fill(1), format: "F32" };
  };
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
