import { Purpose, toSeed, uniform } from "../../src/sampling/random.ts";
import { type Entry, type Gguf, number, readGguf, type Tensor, Type, text, writeGguf } from "./gguf.ts";

/** GGUF files that are damaged in one or two ways out of a seed: by chance, as a disk does, and on purpose. */

export interface Damaged {
  /** seed, and what was done */
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** A source of chance that is the same for the same seed. */
class Chance {
  private readonly seed: number;
  private draws = 0;

  constructor(seed: number) {
    this.seed = seed;
  }

  /** [0, 1) */
  next(): number {
    return uniform(toSeed(this.seed), Purpose.draft, 0, 0, this.draws++);
  }

  /** Whole, [0, below) */
  below(below: number): number {
    return Math.floor(this.next() * below);
  }

  of<T>(all: readonly T[]): T {
    return all[this.below(all.length)]!;
  }

  bytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => this.below(256));
  }
}

/** Changes a structure, and says what it changed. */
type Damage = (file: Gguf, chance: Chance) => string;

const ODD_NUMBERS = [
  ...[0, 1, 2, 3, 5, 7, 17, 63, 64, 100, 127, 255, 256, 1000, 4095, 65_535, 65_536, 1_000_000, 100_000_000],
  ...[
    2 ** 31 - 1,
    2 ** 31,
    2 ** 32 - 1,
    -1,
    -2,
    0.5,
    -0.5,
    1e-30,
    1e30,
    Number.NaN,
    Number.POSITIVE_INFINITY,
  ],
];
const ODD_SIZES = [
  0n,
  1n,
  7n,
  31n,
  255n,
  65_536n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 40n,
  2n ** 63n - 1n,
  2n ** 63n,
  2n ** 64n - 1n,
];
const ARCHITECTURES = [
  ...[
    "qwen2",
    "qwen3",
    "gemma",
    "gemma2",
    "gemma3",
    "phi2",
    "phi3",
    "gpt2",
    "falcon",
    "mpt",
    "bert",
    "t5",
    "mamba",
  ],
  ...[
    "rwkv6",
    "deepseek2",
    "mixtral",
    "qwen2moe",
    "starcoder",
    "bloom",
    "stablelm",
    "command-r",
    "clip",
    "",
    "llama\u0000",
  ],
];
const TOKENIZERS = ["llama", "gpt2", "bert", "t5", "rwkv", "plamo2", "no_vocab", "none", "", "spm", "gemma4"];
const PRES = [
  ...[
    "default",
    "llama3",
    "llama-bpe",
    "qwen2",
    "deepseek-llm",
    "deepseek-coder",
    "falcon",
    "gpt-2",
    "tekken",
    "viking",
  ],
  ...[
    "chatglm-bpe",
    "gpt-4o",
    "smollm",
    "superbpe",
    "kimi-k2",
    "hunyuan",
    "bloom",
    "jina-v2-es",
    "",
    "nothing",
  ],
];
/** Names of hyperparameters that a file may not have yet. */
const MORE_KEYS = [
  ...[
    "rope.scaling.factor",
    "rope.scaling.original_context_length",
    "rope.freq_base",
    "attention.sliding_window",
  ],
  ...["attention.key_length", "attention.value_length", "expert_count", "expert_used_count", "vocab_size"],
  ...["attention.clamp_kqv", "attention.max_alibi_bias", "pooling_type", "attention.causal", "logit_scale"],
  ...[
    "leading_dense_block_count",
    "ssm.conv_kernel",
    "ssm.state_size",
    "attention.kv_lora_rank",
    "rope.dimension_count",
  ],
  ...["attention.head_count_kv", "block_count", "nextn_predict_layers", "attention.q_lora_rank"],
];
const SPECIALS = [
  ...[
    "bos",
    "eos",
    "unknown",
    "padding",
    "eot",
    "eom",
    "seperator",
    "mask",
    "cls",
    "prefix",
    "suffix",
    "middle",
  ],
  ...["fim_pre", "fim_suf", "fim_mid", "fim_pad", "fim_rep", "fim_sep"],
];
const ODD_TOKENS = [
  ...[
    "",
    " ",
    "\u0000",
    "\n",
    "<0x0A>",
    "<0xZZ>",
    "<0x",
    "<|",
    "▁",
    "Ġ",
    "\u{1F600}",
    "a".repeat(5000),
    "<s>",
    "[UNK]",
  ],
  ...["\uFFFF", "\uE000", "▁▁▁▁▁▁▁▁", "<|endoftext|>", "<|im_end|>"],
];

const entryOf = (file: Gguf, key: string) => file.entries.find((entry) => entry.key === key);
const architecture = (file: Gguf) => {
  const value = entryOf(file, "general.architecture")?.values[0];
  return value ? new TextDecoder().decode(value.subarray(8)) : "llama";
};

function set(file: Gguf, key: string, type: number, ...values: Uint8Array[]): Entry {
  const known = entryOf(file, key);
  const entry = known ?? { key, type, elementType: 0, length: null, values };
  entry.type = type;
  entry.values = values;
  if (!known) file.entries.push(entry);
  return entry;
}

// Metadata in general

const entryCount: Damage = (file, chance) => {
  file.entryCount = chance.of([
    ...ODD_SIZES,
    BigInt(file.entries.length + 1),
    BigInt(file.entries.length - 1),
  ]);
  return `says ${file.entryCount} entries`;
};

const version: Damage = (file, chance) => {
  file.version = chance.of([0, 1, 2, 4, 255, 2 ** 31, 2 ** 32 - 1, 0x03000000]);
  return `version ${file.version}`;
};

const dropEntry: Damage = (file, chance) => {
  const [entry] = file.entries.splice(chance.below(file.entries.length), 1);
  return `without ${entry?.key}`;
};

const doubleEntry: Damage = (file, chance) => {
  const entry = chance.of(file.entries);
  file.entries.push({ ...entry });
  return `${entry.key} twice`;
};

const entryType: Damage = (file, chance) => {
  const entry = chance.of(file.entries);
  entry.type = chance.of([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 255, 2 ** 32 - 1]);
  return `${entry.key} as type ${entry.type}`;
};

/** The same key with a value that is right for its new type. */
const otherType: Damage = (file, chance) => {
  const entry = chance.of(file.entries);
  const type = chance.of([
    Type.u8,
    Type.i8,
    Type.u32,
    Type.i32,
    Type.f32,
    Type.bool,
    Type.string,
    Type.array,
    10,
    12,
  ]);
  entry.type = type;
  if (type === Type.string) entry.values = [text(chance.of(ODD_TOKENS))];
  else if (type === Type.array) {
    entry.elementType = chance.of([Type.u32, Type.f32, Type.bool]);
    entry.values = Array.from({ length: chance.below(5) }, () => number(entry.elementType, chance.below(9)));
  } else entry.values = [number(type, chance.of(ODD_NUMBERS))];
  return `${entry.key} rewritten as type ${type}`;
};

const stringLength: Damage = (file, chance) => {
  const strings = file.entries.filter(
    (entry) => entry.type === Type.string || entry.elementType === Type.string,
  );
  const entry = chance.of(strings);
  const place = chance.below(entry.values.length);
  const length = chance.of(ODD_SIZES);
  const value = entry.values[place]?.slice();
  if (!value) return "no string";
  new DataView(value.buffer).setBigUint64(0, length, true);
  entry.values[place] = value;
  return `a string of ${entry.key} says ${length} bytes`;
};

const arrayLength: Damage = (file, chance) => {
  const entry = chance.of(file.entries.filter(({ type }) => type === Type.array));
  entry.length = chance.of([...ODD_SIZES, BigInt(entry.values.length + 1), BigInt(entry.values.length - 1)]);
  return `${entry.key} says ${entry.length} elements`;
};

const arrayType: Damage = (file, chance) => {
  const entry = chance.of(file.entries.filter(({ type }) => type === Type.array));
  entry.elementType = chance.of([0, 1, 4, 5, 6, 7, 8, 9, 10, 12, 13, 2 ** 32 - 1]);
  return `${entry.key} of type ${entry.elementType}`;
};

/** Arrays in arrays, which the format allows and no reader needs. */
const nested: Damage = (file, chance) => {
  const depth = chance.of([2, 20, 1000, 50_000]);
  const level = Buffer.alloc(12);
  level.writeUInt32LE(Type.array, 0);
  level.writeBigUInt64LE(1n, 4);
  const entry = set(file, "general.nested", Type.array, ...Array.from({ length: depth }, () => level));
  entry.elementType = Type.array;
  entry.length = 1n;
  return `${depth} arrays in each other`;
};

const alignment: Damage = (file, chance) => {
  const value = chance.of([0, 1, 3, 8, 31, 33, 64, 4096, 2 ** 31, 2 ** 32 - 1]);
  set(file, "general.alignment", Type.u32, number(Type.u32, value));
  return `alignment ${value}`;
};

const split: Damage = (file, chance) => {
  const count = chance.of([0, 1, 2, 3, 65_535]);
  set(file, "split.count", Type.u16, number(Type.u16, count));
  set(file, "split.no", Type.u16, number(Type.u16, chance.of([0, 1, 9])));
  return `one of ${count} files`;
};

// Hyperparameters

const hyperparameter: Damage = (file, chance) => {
  const prefix = `${architecture(file)}.`;
  const entry = chance.of(file.entries.filter(({ key }) => key.startsWith(prefix)));
  const value = chance.of(ODD_NUMBERS);
  entry.values = [number(entry.type, value)];
  return `${entry.key} is ${value}`;
};

const moreHyperparameters: Damage = (file, chance) => {
  const key = `${architecture(file)}.${chance.of(MORE_KEYS)}`;
  const value = chance.of(ODD_NUMBERS);
  const type = chance.of([Type.u32, Type.u32, Type.f32]);
  set(file, key, type, number(type, value));
  return `${key} is ${value}`;
};

/** A number for each layer, where one for all is usual. */
const perLayer: Damage = (file, chance) => {
  const key = `${architecture(file)}.${chance.of(["attention.head_count", "attention.head_count_kv", "feed_forward_length", "rope.dimension_sections"])}`;
  const values = Array.from({ length: chance.of([0, 1, 2, 4, 600]) }, () =>
    number(Type.u32, chance.of(ODD_NUMBERS)),
  );
  const entry = set(file, key, Type.array, ...values);
  entry.elementType = Type.u32;
  return `${key} has ${values.length} numbers`;
};

const ropeScaling: Damage = (file, chance) => {
  const kind = chance.of(["yarn", "linear", "longrope", "none", "other"]);
  set(file, `${architecture(file)}.rope.scaling.type`, Type.string, text(kind));
  const factor = chance.of(ODD_NUMBERS);
  set(file, `${architecture(file)}.rope.scaling.factor`, Type.f32, number(Type.f32, factor));
  return `rope scaling ${kind}, ${factor}`;
};

/** The keys are renamed as well: the loader finds all that it looks for. */
const otherArchitecture: Damage = (file, chance) => {
  const before = `${architecture(file)}.`;
  const name = chance.of(ARCHITECTURES);
  for (const entry of file.entries) {
    if (entry.key.startsWith(before)) entry.key = `${name}.${entry.key.slice(before.length)}`;
  }
  set(file, "general.architecture", Type.string, text(name));
  return `architecture ${JSON.stringify(name)}`;
};

// Tokenizer

const tokens = (file: Gguf) => entryOf(file, "tokenizer.ggml.tokens");

const otherTokenizer: Damage = (file, chance) => {
  const name = chance.of(TOKENIZERS);
  set(file, "tokenizer.ggml.model", Type.string, text(name));
  return `tokenizer ${JSON.stringify(name)}`;
};

const otherPre: Damage = (file, chance) => {
  const name = chance.of(PRES);
  set(file, "tokenizer.ggml.pre", Type.string, text(name));
  return `pre-tokenizer ${JSON.stringify(name)}`;
};

const special: Damage = (file, chance) => {
  const key = `tokenizer.ggml.${chance.of(SPECIALS)}_token_id`;
  const value = chance.of([...ODD_NUMBERS, tokens(file)?.values.length ?? 0]);
  set(file, key, Type.u32, number(Type.u32, value));
  return `${key} is ${value}`;
};

const flag: Damage = (file, chance) => {
  const names = [
    "add_bos_token",
    "add_eos_token",
    "add_sep_token",
    "add_space_prefix",
    "remove_extra_whitespaces",
  ];
  const key = `tokenizer.ggml.${chance.of(names)}`;
  const value = chance.of([0, 1, 2, 255]);
  set(file, key, Type.bool, Uint8Array.of(value));
  return `${key} is ${value}`;
};

const oddToken: Damage = (file, chance) => {
  const all = tokens(file)?.values ?? [];
  const value = chance.below(4) === 0 ? chance.bytes(1 + chance.below(6)) : chance.of(ODD_TOKENS);
  const count = chance.of([1, 1, 10, all.length]);
  for (let i = 0; i < count; i++) all[chance.below(all.length)] = text(value);
  return `${count} tokens are ${JSON.stringify(String(value).slice(0, 20))}`;
};

const dropTokens: Damage = (file, chance) => {
  const all = tokens(file)?.values ?? [];
  const count = chance.of([1, 2, 256, all.length - 1, all.length]);
  all.splice(chance.of([0, Math.max(0, all.length - count)]), count);
  return `${count} tokens less`;
};

const dropByteTokens: Damage = (file, chance) => {
  const all = tokens(file)?.values ?? [];
  const from = chance.below(300);
  for (let i = from; i < Math.min(all.length, from + 40); i++) all[i] = text(`gone${i}`);
  return `tokens from ${from} on renamed`;
};

const tokenTypes: Damage = (file, chance) => {
  const known = entryOf(file, "tokenizer.ggml.token_type");
  if (!known) return "no types";
  const value = chance.of([0, 1, 2, 3, 4, 5, 6, 7, 255, -1, 2 ** 31 - 1]);
  const count = chance.of([1, 10, known.values.length]);
  for (let i = 0; i < count; i++)
    known.values[chance.below(known.values.length)] = number(known.elementType, value);
  return `${count} tokens of type ${value}`;
};

const shortArray: Damage = (file, chance) => {
  const key = `tokenizer.ggml.${chance.of(["token_type", "scores", "merges"])}`;
  const known = entryOf(file, key);
  if (!known) return `no ${key}`;
  known.values.splice(chance.below(known.values.length));
  return `${key} has ${known.values.length} elements`;
};

const scores: Damage = (file, chance) => {
  const size = tokens(file)?.values.length ?? 0;
  const value = chance.of([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 1e38, -1e38]);
  const entry = set(
    file,
    "tokenizer.ggml.scores",
    Type.array,
    ...Array.from({ length: size }, (_, i) => number(Type.f32, chance.below(2) ? value : i)),
  );
  entry.elementType = Type.f32;
  return `half of the scores are ${value}`;
};

const merges: Damage = (file, chance) => {
  const known = entryOf(file, "tokenizer.ggml.merges");
  const value = chance.of([
    "",
    " ",
    "a",
    "nospace",
    "a b c",
    "\u0000 \u0000",
    "  ",
    "Ġ Ġ",
    `${"x".repeat(3000)} y`,
  ]);
  if (!known) {
    const entry = set(file, "tokenizer.ggml.merges", Type.array, text(value), text("a b"));
    entry.elementType = Type.string;
    return `merges ${JSON.stringify(value.slice(0, 10))}`;
  }
  const count = chance.of([1, 10, known.values.length]);
  for (let i = 0; i < count; i++) known.values[chance.below(known.values.length)] = text(value);
  return `${count} merges are ${JSON.stringify(value.slice(0, 10))}`;
};

const noMerges: Damage = (file) => {
  file.entries = file.entries.filter(({ key }) => key !== "tokenizer.ggml.merges");
  return "no merges";
};

/** The normalisation table of a unigram tokenizer: bytes that are read as offsets. */
const charsmap: Damage = (file, chance) => {
  set(file, "tokenizer.ggml.model", Type.string, text("t5"));
  const size = tokens(file)?.values.length ?? 0;
  const all = set(
    file,
    "tokenizer.ggml.scores",
    Type.array,
    ...Array.from({ length: size }, (_, i) => number(Type.f32, -i)),
  );
  all.elementType = Type.f32;
  const bytes = chance.bytes(chance.of([0, 1, 3, 4, 8, 64, 4096]));
  const tableBytes = chance.of([0, 4, 64, 2 ** 31, 2 ** 32 - 1]);
  if (bytes.length >= 4) bytes.set(number(Type.u32, tableBytes));
  const entry = set(
    file,
    "tokenizer.ggml.precompiled_charsmap",
    Type.array,
    ...Array.from(bytes, (byte) => Uint8Array.of(byte)),
  );
  entry.elementType = chance.of([Type.u8, Type.i8]);
  return `a unigram tokenizer with a table of ${bytes.length} bytes that says ${tableBytes}`;
};

// Tensors

const tensorCount: Damage = (file, chance) => {
  file.tensorCount = chance.of([
    ...ODD_SIZES,
    BigInt(file.tensors.length + 1),
    BigInt(file.tensors.length - 1),
  ]);
  return `says ${file.tensorCount} tensors`;
};

const named = ({ name }: Tensor) => new TextDecoder().decode(name);

const tensorOffset: Damage = (file, chance) => {
  const tensor = chance.of(file.tensors);
  tensor.offset = chance.of([
    ...ODD_SIZES,
    tensor.offset + 1n,
    tensor.offset + 32n,
    chance.of(file.tensors).offset,
  ]);
  return `${named(tensor)} at ${tensor.offset}`;
};

const tensorDimension: Damage = (file, chance) => {
  const tensor = chance.of(file.tensors);
  const place = chance.below(tensor.dimensions.length);
  tensor.dimensions[place] = chance.of([
    ...ODD_SIZES,
    tensor.dimensions[place]! / 2n,
    tensor.dimensions[place]! + 32n,
  ]);
  return `${named(tensor)} is ${tensor.dimensions.join(" x ")}`;
};

const tensorShape: Damage = (file, chance) => {
  const tensor = chance.of(file.tensors);
  if (chance.below(2)) tensor.dimensions.reverse();
  else tensor.dimensions.push(chance.of(ODD_SIZES));
  return `${named(tensor)} is ${tensor.dimensions.join(" x ")}`;
};

const dimensionCount: Damage = (file, chance) => {
  const tensor = chance.of(file.tensors);
  tensor.count = chance.of([0, 1, 3, 4, 5, 8, 2 ** 31, 2 ** 32 - 1]);
  return `${named(tensor)} says ${tensor.count} dimensions`;
};

const tensorType: Damage = (file, chance) => {
  const count = chance.of([1, 1, 1, file.tensors.length]);
  const type = chance.of([...Array.from({ length: 42 }, (_, i) => i), 100, 2 ** 31, 2 ** 32 - 1]);
  const name = named(file.tensors[0]!);
  for (let i = 0; i < count; i++) chance.of(file.tensors).type = type;
  return `${count} tensors of type ${type} (${name})`;
};

/** With data of the right size behind it: nothing but what computes with it can tell. */
const retyped: Damage = (file, chance) => {
  const tensor = chance.of(file.tensors);
  tensor.type = chance.of([0, 1, 2, 3, 6, 7, 8, 16, 20, 24, 25, 26, 27, 28, 30]);
  const count = tensor.dimensions.reduce((product, length) => product * length, 1n);
  tensor.offset = BigInt(Math.ceil(file.data.length / 32) * 32);
  const added = Buffer.alloc(Number(tensor.offset) - file.data.length + Number(count) * 8);
  file.data = Buffer.concat([file.data, added]);
  return `${named(tensor)} as type ${tensor.type}, with room for it`;
};

const dropTensor: Damage = (file, chance) => {
  const [tensor] = file.tensors.splice(chance.below(file.tensors.length), 1);
  return `without ${tensor && named(tensor)}`;
};

const renameTensor: Damage = (file, chance) => {
  const tensor = chance.of(file.tensors);
  const before = named(tensor);
  tensor.name = chance.below(2) ? chance.of(file.tensors).name : chance.bytes(chance.of([0, 5, 63, 64, 500]));
  return `${before} renamed to ${named(tensor).slice(0, 30)}`;
};

const data: Damage = (file, chance) => {
  const from = chance.below(file.data.length);
  file.data = file.data.slice();
  file.data.set(chance.bytes(Math.min(4096, file.data.length - from)), from);
  return `random data at ${from}`;
};

const GENERAL: readonly Damage[] = [
  ...[
    entryCount,
    version,
    dropEntry,
    doubleEntry,
    entryType,
    otherType,
    stringLength,
    arrayLength,
    arrayType,
  ],
  ...[nested, alignment, split],
];
const TOKENIZER: readonly Damage[] = [
  ...[otherTokenizer, otherPre, special, flag, oddToken, dropTokens, dropByteTokens, tokenTypes, shortArray],
  ...[scores, merges, noMerges, charsmap],
];
const HYPERPARAMETERS: readonly Damage[] = [
  ...[hyperparameter, hyperparameter, hyperparameter, moreHyperparameters, moreHyperparameters],
  ...[perLayer, ropeScaling, otherArchitecture],
];
const TENSORS: readonly Damage[] = [
  ...[tensorCount, tensorOffset, tensorDimension, tensorShape, dimensionCount, tensorType, retyped],
  ...[dropTensor, renameTensor, data],
];

/** A model with something wrong anywhere in it. */
export function damagedModel(whole: Uint8Array, seed: number): Damaged {
  return damaged(whole, seed, [GENERAL, TOKENIZER, HYPERPARAMETERS, TENSORS]);
}

/** A tokenizer as a cloud sends it, with something wrong in it. */
export function damagedTokenizer(whole: Uint8Array, seed: number): Damaged {
  return damaged(whole, seed, [GENERAL, TOKENIZER, TOKENIZER, TOKENIZER]);
}

function damaged(whole: Uint8Array, seed: number, kinds: readonly (readonly Damage[])[]): Damaged {
  const chance = new Chance(seed);
  // Of its own: slices of a Buffer share its memory.
  const copy = new Uint8Array(whole);
  // One in eight as a bad disk or a broken download does it.
  if (chance.below(8) === 0) {
    const { name, bytes } = roughly(copy, chance);
    return { name: `${seed}: ${name}`, bytes };
  }
  const file = readGguf(copy);
  const done = Array.from({ length: 1 + chance.below(2) }, () => chance.of(chance.of(kinds))(file, chance));
  return { name: `${seed}: ${done.join(", ")}`, bytes: writeGguf(file) };
}

function roughly(whole: Uint8Array, chance: Chance): Damaged {
  if (chance.below(3) === 0) {
    const length = chance.below(whole.length);
    return { name: `ends after ${length} bytes`, bytes: whole.slice(0, length) };
  }
  const bytes = whole.slice();
  const count = 1 + chance.below(8);
  // Most of a file is weights, or tokens: half of the flips go to its first 4 KiB.
  const most = chance.below(2) ? bytes.length : Math.min(4096, bytes.length);
  for (let i = 0; i < count; i++) bytes[chance.below(most)] = chance.below(256);
  return { name: `${count} bytes of the first ${most} are others`, bytes };
}
