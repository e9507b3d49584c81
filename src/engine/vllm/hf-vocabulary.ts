import { EngineError } from "../engine.ts";
import { type GgufValue, ggufOf } from "./gguf-metadata.ts";
import type { ModelFolder } from "./model-folder.ts";

/**
 * A Hugging Face tokenizer as a GGUF file without tensors, as llama.cpp's convert_hf_to_gguf.py would write it: what edges
 * get and judge their drafters by, the same as from any cloud. How a text is cut before it is merged is a name in GGUF and
 * a program in tokenizer.json, so the name has to be found: there are candidates, and whoever converts compares what
 * llama.cpp makes of texts with what the server makes of them.
 */

export interface HfVocabulary {
  /** names to try for how a text is cut, the likeliest first */
  readonly candidates: readonly string[];
  readonly tokens: readonly string[];
  /** ids that end an answer */
  readonly endTokens: readonly number[];
  /** The file. @param pre one of the candidates */
  file(pre: string): Uint8Array;
}

/** llama.cpp's token types. */
const TokenType = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

/** What llama.cpp calls the ways to cut a text (src/llama-vocab.cpp), those that others do not equal. */
const WAYS = [
  ...["default", "gpt-2", "llama-bpe", "qwen2", "smollm", "gpt-4o", "tekken", "llama4", "deepseek-llm"],
  ...[
    "deepseek-coder",
    "deepseek-v3",
    "deepseek-r1-qwen",
    "falcon",
    "mpt",
    "starcoder",
    "refact",
    "command-r",
  ],
  ...[
    "stablelm2",
    "olmo",
    "dbrx",
    "smaug-bpe",
    "poro-chat",
    "chatglm-bpe",
    "glm4",
    "viking",
    "jais",
    "bloom",
  ],
  ...["gpt3-finnish", "codeshell", "exaone", "exaone4", "chameleon", "minerva-7b", "megrez", "superbpe"],
  ...["trillion", "granite-docling", "bailingmoe", "seed-coder", "hunyuan", "hunyuan-dense", "kimi-k2"],
  ...["grok-2", "lfm2", "qwen35", "minimax-m2", "afmoe", "solar-open", "youtu"],
];

/** What stands in a tokenizer.json's way of cutting, and the names that it hints at. */
const HINTS: readonly (readonly [pattern: RegExp, names: readonly string[]])[] = [
  [/"individual_digits":true/, ["smollm", "starcoder", "refact"]],
  [/\\\\p\{Lu\}.*\\\\p\{N\}\{1,3\}/, ["gpt-4o", "llama4", "kimi-k2"]],
  [/\\\\p\{Lu\}/, ["tekken"]],
  [/\(\?i:.*\\\\p\{N\}\{1,3\}/, ["llama-bpe", "glm4", "lfm2", "olmo", "dbrx"]],
  [/\(\?i:.*\\\\p\{N\}\|/, ["qwen2", "qwen35", "stablelm2"]],
  [/"ByteLevel"/, ["gpt-2", "default"]],
];

interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
}

/** @throws EngineError `unsupported_model` for a tokenizer that GGUF does not have, `bad_model` for what is none */
export function hfVocabulary(folder: ModelFolder): HfVocabulary {
  const { model, added, json } = partsOf(folder);
  const isBytes = model.byte_fallback !== true;
  const tokens = tokensOf(folder, model.vocab as Record<string, unknown>, added);
  const types = typesOf(tokens, added, model, isBytes);
  const idOf = new Map(tokens.map((text, id) => [text, id]));
  const begin = idOf.get(beginOf(json) ?? folder.beginText ?? "");
  const end = idOf.get(folder.endText ?? "") ?? folder.endIds[0];
  const endTokens = [...new Set([...(idOf.has(folder.endText ?? "") ? [end!] : []), ...folder.endIds])];
  const common: [string, GgufValue][] = [
    ["tokenizer.ggml.tokens", { kind: "strings", value: tokens }],
    ["tokenizer.ggml.token_type", { kind: "i32s", value: types }],
    ...idEntry("bos", begin),
    ...idEntry("eos", end),
    ["tokenizer.ggml.add_bos_token", { kind: "bool", value: beginOf(json) !== null }],
    ["tokenizer.ggml.add_eos_token", { kind: "bool", value: false }],
    ...(folder.chatTemplate === null
      ? []
      : [["tokenizer.chat_template", { kind: "string", value: folder.chatTemplate }] as const].map(
          ([key, value]) => [key, value as GgufValue] as [string, GgufValue],
        )),
  ];
  const merges = mergesOf(folder, model.merges);
  const own: [string, GgufValue][] = isBytes
    ? [["tokenizer.ggml.merges", { kind: "strings", value: merges.map((pair) => pair.join(" ")) }]]
    : [
        ["tokenizer.ggml.scores", { kind: "f32s", value: scoresOf(tokens, merges) }],
        ["tokenizer.ggml.add_space_prefix", { kind: "bool", value: prependsSpace(json) }],
      ];
  return {
    candidates: isBytes ? candidatesOf(json) : ["default"],
    tokens,
    endTokens,
    file: (pre) =>
      ggufOf([
        ...HEAD,
        ["tokenizer.ggml.model", { kind: "string", value: isBytes ? "gpt2" : "llama" }],
        ["tokenizer.ggml.pre", { kind: "string", value: pre }],
        ...common,
        ...own,
      ]),
  };
}

/** A file has to be of some architecture; nothing is computed with it. */
const HEAD: [string, GgufValue][] = [
  ["general.architecture", { kind: "string", value: "llama" }],
  ["general.type", { kind: "string", value: "model" }],
  ["general.name", { kind: "string", value: "vocabulary" }],
  ["llama.context_length", { kind: "u32", value: 2048 }],
  ["llama.embedding_length", { kind: "u32", value: 64 }],
  ["llama.block_count", { kind: "u32", value: 1 }],
  ["llama.feed_forward_length", { kind: "u32", value: 64 }],
  ["llama.attention.head_count", { kind: "u32", value: 1 }],
  ["llama.attention.layer_norm_rms_epsilon", { kind: "f32", value: 1e-5 }],
];

type Json = Readonly<Record<string, unknown>>;

function partsOf({ path, tokenizer }: ModelFolder): { model: Json; added: AddedToken[]; json: Json } {
  const json = (typeof tokenizer === "object" && tokenizer !== null ? tokenizer : {}) as Json;
  const model = json.model as Json | undefined;
  if (typeof model !== "object" || model === null || typeof model.vocab !== "object")
    throw bad(path, "model");
  const type = String(model.type ?? "BPE");
  if (type !== "BPE") {
    const message = `the tokenizer in ${path} is of type ${type}, and edges can read BPE only; take another model`;
    throw new EngineError("unsupported_model", message);
  }
  const added = (json.added_tokens ?? []) as AddedToken[];
  const isFine = (one: AddedToken) => Number.isInteger(one?.id) && typeof one?.content === "string";
  if (!Array.isArray(added) || !added.every(isFine)) throw bad(path, "added_tokens");
  return { model, added, json };
}

function bad(path: string, part: string): EngineError {
  return new EngineError(
    "bad_model",
    `${path}/tokenizer.json cannot be used: its ${part} is not as it has to be`,
  );
}

/** Past what a vocabulary may have: against files that make their reader allocate without end. */
const MOST_TOKENS = 2 ** 21;

function tokensOf(folder: ModelFolder, vocab: Json, added: readonly AddedToken[]): string[] {
  const all = [...Object.entries(vocab), ...added.map(({ content, id }) => [content, id] as const)];
  const highest = all.reduce((most, [, id]) => Math.max(most, Number(id)), -1);
  const size = Math.max(highest + 1, folder.vocabularySize ?? 0);
  if (!(size >= 1 && size <= MOST_TOKENS)) throw bad(folder.path, "vocabulary");
  const tokens = Array.from({ length: size }, (_, id) => `[PAD${id}]`);
  for (const [text, id] of all) {
    if (!Number.isInteger(id) || (id as number) < 0) throw bad(folder.path, "vocabulary");
    tokens[id as number] = text;
  }
  return tokens;
}

/** What a family's own marks look like, whatever its files say of them (convert_hf_to_gguf.py). */
const LOOKS_SPECIAL = /^(?:<\|.*\|>|<｜.*｜>|<unused\d+>|<pad>|<mask>|\[@.*@\])$/;

function typesOf(
  tokens: readonly string[],
  added: readonly AddedToken[],
  { vocab, unk_token: unknown }: Json,
  isBytes: boolean,
): number[] {
  const known = new Set(Object.values(vocab as Json));
  const types: number[] = tokens.map((text, id) => {
    if (!known.has(id)) return TokenType.unused;
    if (!isBytes && /^<0x[\dA-F]{2}>$/.test(text)) return TokenType.byte;
    return !isBytes && text === unknown ? TokenType.unknown : TokenType.normal;
  });
  for (const { id, content, special } of added) {
    if (!isBytes && types[id] === TokenType.unknown) continue;
    types[id] = special || LOOKS_SPECIAL.test(content) ? TokenType.control : TokenType.userDefined;
  }
  return types;
}

/** "a b" in older files, ["a", "b"] in newer. */
function mergesOf({ path }: ModelFolder, given: unknown): (readonly [string, string])[] {
  if (!Array.isArray(given)) throw bad(path, "merges");
  return given.map((merge: unknown) => {
    const pair = typeof merge === "string" ? merge.split(" ") : merge;
    if (Array.isArray(pair) && pair.length === 2 && pair.every((part) => typeof part === "string")) {
      return pair as unknown as readonly [string, string];
    }
    throw bad(path, "merges");
  });
}

/** llama.cpp merges by the score of what comes of it: the rank of the first merge that makes it. */
function scoresOf(tokens: readonly string[], merges: readonly (readonly [string, string])[]): number[] {
  const ranks = new Map<string, number>();
  for (const [rank, [a, b]] of merges.entries()) if (!ranks.has(a + b)) ranks.set(a + b, rank);
  return tokens.map((text) => -(ranks.get(text) ?? merges.length));
}

function candidatesOf(json: Json): string[] {
  const cutting = JSON.stringify(json.pre_tokenizer ?? null);
  const hinted = HINTS.filter(([pattern]) => pattern.test(cutting)).flatMap(([, names]) => names);
  return [...new Set([...hinted, ...WAYS])];
}

/** The token that a text begins with, whatever it is; null: none. */
function beginOf(json: Json): string | null {
  const steps = [json.post_processor, ...(((json.post_processor as Json)?.processors as unknown[]) ?? [])];
  for (const step of steps) {
    const [first] = ((step as Json)?.single as Json[] | undefined) ?? [];
    const id = (first?.SpecialToken as Json | undefined)?.id;
    if (typeof id === "string") return id;
  }
  return null;
}

function prependsSpace(json: Json): boolean {
  const text = JSON.stringify([json.normalizer ?? null, json.pre_tokenizer ?? null]);
  if (/"type":"Prepend"/.test(text)) return true;
  return /"type":"Metaspace"/.test(text) && !/"prepend_scheme":"never"/.test(text);
}

function idEntry(name: string, id: number | undefined): [string, GgufValue][] {
  return id === undefined ? [] : [[`tokenizer.ggml.${name}_token_id`, { kind: "u32", value: id }]];
}
