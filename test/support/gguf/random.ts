import { readFileSync } from "node:fs";
import { entryBytes, readGguf } from "../../files/gguf.ts";
import {
  architecture,
  type Fill,
  type Growth,
  partsOf,
  SMALLEST,
  type TensorShape,
} from "./architectures.ts";
import { type Entry, type Format, string, type Tensor, writeGguf } from "./encode.ts";

/** The vocabulary of the bundled pair. */
const VOCABULARY = "models/pico-drafter-q8_0.gguf";

export interface RandomOptions {
  /** llama.cpp's name of the architecture */
  readonly architecture: string;
  /** of what is added to each weight, as a part of its own size: a drafter that agrees in part. Default: 0 */
  readonly noise?: number;
  /** default: 512 */
  readonly contextTokens?: number;
  /** default: the smallest */
  readonly growth?: Growth;
  /** of the matrices. Default: F16 */
  readonly format?: Format;
}

/** A model with random weights: the same for the same architecture, but for the noise. */
export function writeRandomModel(path: string, options: RandomOptions): void {
  const { noise = 0, contextTokens = 512, format = "F16", growth = SMALLEST } = options;
  const made = architecture(options.architecture);
  const { entries, tokens } = tokenizerOf(VOCABULARY);
  const parts = partsOf(made, growth, tokens, contextTokens);
  const metadata = [
    string("general.architecture", made.name),
    string("general.name", `random ${made.name}`),
    ...parts.metadata,
    ...entries,
  ];
  const tensors = parts.tensors.map((shape) => filled(shape, noise, format));
  writeGguf(path, metadata, tensors);
}

/** What a file says of its tokenizer, entry by entry, and how many tokens there are. */
function tokenizerOf(path: string): { readonly entries: readonly Entry[]; readonly tokens: number } {
  const { entries } = readGguf(new Uint8Array(readFileSync(path)));
  const own = entries.filter(({ key }) => key.startsWith("tokenizer."));
  const tokens = own.find(({ key }) => key === "tokenizer.ggml.tokens")!.values.length;
  return { entries: own.map(entryBytes), tokens };
}

/** Middle and spread by what a tensor is for: the state of a recurrent layer neither dies at once nor grows. */
const FILLS: Record<Fill, readonly [middle: number, spread: number]> = {
  matrix: [0, 1],
  plainMatrix: [0, 1],
  one: [1, 0.4],
  bias: [0, 0.4],
  decay: [-0.5, 0.6],
  filter: [0, 1.5],
};

function filled({ name, shape, fill }: TensorShape, noise: number, format: Format): Tensor {
  const count = shape.reduce((product, size) => product * size, 1);
  const [middle, spread] = FILLS[fill];
  const scale = fill.endsWith("atrix") ? spread * matrixScale(name, shape[0]!) : spread;
  const [own, added] = [uniforms(name), uniforms(`${name}, noise`)];
  const values = Float32Array.from({ length: count }, () => {
    return middle + scale * (own() + (noise === 0 ? 0 : noise * added()));
  });
  return { name, shape, values, format: fill === "matrix" ? format : "F32" };
}

/** So that logits spread by some units, and each layer changes what it gets. */
function matrixScale(name: string, columns: number): number {
  if (name === "token_embd.weight") return 2;
  if (name === "output.weight") return 2.2;
  return 4 / Math.sqrt(columns);
}

/** Numbers in [-0.5, 0.5): xorshift, seeded by a name (FNV-1a). */
function uniforms(name: string): () => number {
  let state = 2_166_136_261;
  for (let i = 0; i < name.length; i++) state = Math.imul(state ^ name.charCodeAt(i), 16_777_619);
  state = state >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 4_294_967_296 - 0.5;
  };
}
