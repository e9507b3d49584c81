import { readFileSync, writeFileSync } from "node:fs";
import { type Gguf, number, readGguf, type Tensor, Type, text, writeGguf } from "../files/gguf.ts";
import { float16, padded } from "./gguf/encode.ts";

/**
 * Random llama models that wear the vocabulary of another file, changed where a test wants it. Two of them with one
 * vocabulary share embedding, output and first layer, so that the smaller is a drafter that often agrees.
 */

const DIM = 64;
const HEADS = 2;
const FEED_FORWARD = 128;
const CONTEXT = 512;
const F16 = 1;
const F32 = 0;

export interface Wearing {
  readonly layers: number;
  /** changes the vocabulary. Default: it is as it was */
  readonly change?: (vocabulary: WornVocabulary) => void;
}

/** A vocabulary that is about to be worn. */
export class WornVocabulary {
  readonly file: Gguf;

  constructor(file: Gguf) {
    this.file = file;
  }

  /** Encoded values of a list: `tokens`, `token_type`, `scores`, `merges`; they may be changed. */
  list(name: string): Uint8Array[] {
    return this.entry(name)?.values ?? [];
  }

  entry(name: string) {
    return this.file.entries.find(({ key }) => key === `tokenizer.ggml.${name}`);
  }

  drop(name: string): void {
    this.file.entries = this.file.entries.filter(({ key }) => key !== `tokenizer.ggml.${name}`);
  }

  text(id: number): string {
    return new TextDecoder().decode(this.list("tokens")[id]!.subarray(8));
  }

  rename(id: number, name: string): void {
    this.list("tokens")[id] = text(name);
  }

  /** @param type by llama.cpp's number */
  retype(id: number, type: number): void {
    const entry = this.entry("token_type")!;
    entry.values[id] = number(entry.elementType, type);
  }

  /** Appends a token. */
  add(name: string, type: number): void {
    this.list("tokens").push(text(name));
    const [types, scores] = [this.entry("token_type"), this.entry("scores")];
    types?.values.push(number(types.elementType, type));
    scores?.values.push(number(scores.elementType, 0));
  }

  /** Cuts the vocabulary off at so many ids. */
  cut(ids: number): void {
    for (const name of ["tokens", "token_type", "scores"]) this.list(name).splice(ids);
  }

  /** Sets a text of the tokenizer. */
  say(name: string, value: string): void {
    this.drop(name);
    const entry = { key: `tokenizer.ggml.${name}`, type: Type.string, elementType: 0, length: null };
    this.file.entries.push({ ...entry, values: [text(value)] });
  }
}

/** @param from a GGUF file with a vocabulary @param path of the model that is written */
export function wearVocabulary(from: string, path: string, { layers, change }: Wearing): void {
  const file = readGguf(new Uint8Array(readFileSync(from)));
  const worn = new WornVocabulary(file);
  file.entries = file.entries.filter(({ key }) => key.startsWith("tokenizer."));
  change?.(worn);
  file.entries.unshift(...hyperparameters(layers));
  const made = weights(layers, worn.list("tokens").length);
  let offset = 0;
  file.tensors = made.map(({ name, shape, type, bytes }): Tensor => {
    const at = BigInt(offset);
    offset += padded(bytes.length);
    const dimensions = shape.map(BigInt);
    return { name: new TextEncoder().encode(name), dimensions, count: null, type, offset: at };
  });
  file.data = new Uint8Array(offset);
  for (const [i, { bytes }] of made.entries()) file.data.set(bytes, Number(file.tensors[i]!.offset));
  writeFileSync(path, writeGguf(file));
}

function hyperparameters(layers: number): Gguf["entries"] {
  const entry = (key: string, type: number, value: Uint8Array) => ({
    ...{ key, type, elementType: 0, length: null },
    values: [value],
  });
  const whole = (key: string, value: number) => entry(`llama.${key}`, Type.u32, number(Type.u32, value));
  return [
    entry("general.architecture", Type.string, text("llama")),
    whole("block_count", layers),
    whole("context_length", CONTEXT),
    whole("embedding_length", DIM),
    whole("feed_forward_length", FEED_FORWARD),
    whole("attention.head_count", HEADS),
    whole("attention.head_count_kv", HEADS),
    whole("rope.dimension_count", DIM / HEADS),
    entry("llama.attention.layer_norm_rms_epsilon", Type.f32, number(Type.f32, 1e-5)),
  ];
}

interface Made {
  readonly name: string;
  /** fastest dimension first */
  readonly shape: readonly number[];
  readonly type: number;
  readonly bytes: Uint8Array;
}

function weights(layers: number, vocabularySize: number): Made[] {
  const ones = (name: string): Made => {
    const bytes = new Uint8Array(new Float32Array(DIM).fill(1).buffer);
    return { name: `${name}.weight`, shape: [DIM], type: F32, bytes };
  };
  const made = [
    matrix("token_embd", DIM, vocabularySize, 2),
    matrix("output", DIM, vocabularySize, 1.5),
    ones("output_norm"),
  ];
  for (let layer = 0; layer < layers; layer++) {
    // Later layers change little, so that a model without them mostly agrees.
    const scale = layer === 0 ? 0.4 : 0.12;
    const name = (part: string) => `blk.${layer}.${part}`;
    const square = ["attn_q", "attn_k", "attn_v", "attn_output"];
    made.push(
      ones(name("attn_norm")),
      ...square.map((part) => matrix(name(part), DIM, DIM, scale)),
      ones(name("ffn_norm")),
      matrix(name("ffn_gate"), DIM, FEED_FORWARD, scale),
      matrix(name("ffn_up"), DIM, FEED_FORWARD, scale),
      matrix(name("ffn_down"), FEED_FORWARD, DIM, scale),
    );
  }
  return made;
}

/** The same numbers for the same name, as far as they go: rows of a longer matrix begin with those of a shorter one. */
function matrix(name: string, columns: number, rows: number, scale: number): Made {
  let state = 2_166_136_261;
  for (const character of name) state = Math.imul(state ^ character.charCodeAt(0), 16_777_619);
  const values = new Float32Array(columns * rows);
  for (let i = 0; i < values.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    values[i] = scale * ((state >>> 0) / 2 ** 32 - 0.5);
  }
  return { name: `${name}.weight`, shape: [columns, rows], type: F16, bytes: float16(values) };
}
