import { createHash } from "node:crypto";
import { open, stat } from "node:fs/promises";
import { basename } from "node:path";
import { type GGUFTensorInfo, gguf } from "@huggingface/gguf";
import { messageOf } from "../../util/errors.ts";
import { EngineError } from "../engine.ts";
import { oddContext, otherFormat, otherKind } from "./file-kind.ts";

/** What we read of a GGUF file ourselves: what the C API does not tell. */
export interface ModelFile {
  readonly path: string;
  readonly name: string;
  readonly architecture: string;
  readonly chatTemplate: string | null;
  /** see `Tokenizer.fingerprint`: kind, size and a hash */
  readonly fingerprint: string;
  /** tokens without trailing padding */
  readonly realTokens: number;
  /** texts that are read as one token wherever they are: the tokenizer cuts a prompt there */
  readonly specialTexts: readonly string[];
  /** of the longest token as the file has it: what it stands for has as many at most */
  readonly longestTokenBytes: number;
}

/** llama.cpp's token types: ids without a text, which are padding; those that are one token wherever they are. */
const UNUSED = 5;
const SPECIAL = [2, 3, 4];

/** A parsed header: metadata as the file has it, and what tensors there are. */
export interface GgufHeader {
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly tensors: readonly GGUFTensorInfo[];
  /** where the tensors begin, bytes: all before it is the header */
  readonly dataOffset: number;
}

/** @throws EngineError `no_model`, `not_gguf`, `bad_model` */
export async function readModelFile(path: string): Promise<ModelFile> {
  return modelFileOf(path, await readHeader(path));
}

/** @throws EngineError `no_model`, `not_gguf`, `bad_model` */
export async function readHeader(path: string): Promise<GgufHeader> {
  await checkMagic(path);
  try {
    const { metadata, tensorInfos, tensorDataOffset } = await gguf(path, { allowLocalFile: true });
    return {
      metadata: metadata as unknown as Record<string, unknown>,
      tensors: tensorInfos,
      dataOffset: Number(tensorDataOffset),
    };
  } catch (error) {
    throw new EngineError("bad_model", `${path} is a damaged GGUF file: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** More are no model, but a name that was made up. */
const MOST_PARTS = 200;

/** All files of the model that llama.cpp loads by its first one. @throws EngineError `bad_model` */
export function partsOf(path: string): [string, ...string[]] {
  const match = /-00001-of-(\d{5})(?=\.gguf$)/i.exec(path);
  if (!match) return [path];
  const count = Number(match[1]);
  if (count > MOST_PARTS) {
    throw new EngineError(
      "bad_model",
      `${path} is one of ${count} parts, and a model has at most ${MOST_PARTS}`,
    );
  }
  const others = Array.from({ length: Math.max(0, count - 1) }, (_, i) =>
    path.replace(match[0], `-${String(i + 2).padStart(5, "0")}-of-${match[1]}`),
  );
  return [path, ...others];
}

/** @throws EngineError `bad_model`, `unsupported_model` */
export function modelFileOf(path: string, header: GgufHeader): ModelFile {
  checkKind(path, header);
  const { metadata } = header;
  const tokens = metadata["tokenizer.ggml.tokens"];
  if (!Array.isArray(tokens) || tokens.length === 0) {
    throw new EngineError("bad_model", `${path} holds no vocabulary, so it is no language model`);
  }
  const realTokens = withoutPadding(tokens.length, metadata["tokenizer.ggml.token_type"]);
  const template = metadata["tokenizer.chat_template"];
  return {
    path,
    name: basename(path),
    architecture: String(metadata["general.architecture"]),
    chatTemplate: typeof template === "string" ? template : null,
    fingerprint: fingerprint(metadata, tokens.slice(0, realTokens)),
    realTokens,
    specialTexts: specialTexts(tokens, metadata["tokenizer.ggml.token_type"]),
    longestTokenBytes: tokens.reduce((most, token) => Math.max(most, Buffer.byteLength(String(token))), 1),
  };
}

/** @throws EngineError for what is no language model, and for a context that no model has */
function checkKind(path: string, header: GgufHeader): void {
  const kind = otherKind(header);
  if (kind !== null) throw new EngineError("unsupported_model", `${path} is ${kind}`);
  const odd = oddContext(header);
  if (odd !== null) throw new EngineError("bad_model", `${path} ${odd}`);
}

/** Reads a few bytes, and cannot fail in another way. @throws EngineError `no_model`, `not_gguf` */
export async function checkMagic(path: string): Promise<void> {
  const found = await stat(path).catch(() => null);
  if (!found) throw new EngineError("no_model", `there is no model file at ${path}`);
  if (!found.isFile()) throw new EngineError("no_model", `${path} is no file; give the path of a .gguf file`);
  const file = await open(path).catch((error) => {
    throw new EngineError("no_model", `${path} cannot be read: ${messageOf(error)}`, { cause: error });
  });
  const head = Buffer.alloc(16);
  const { bytesRead } = await file.read(head, 0, head.length, 0).finally(() => file.close());
  const format = otherFormat(head.subarray(0, bytesRead));
  if (format !== null) throw new EngineError("not_gguf", `${path} is ${format}`);
}

/** @param parts all files of a model @throws EngineError `no_model` */
export async function checkParts(parts: readonly string[]): Promise<void> {
  for (const part of parts) {
    if (parts.length === 1 || (await stat(part).catch(() => null))) continue;
    const message = `${parts[0]} is one of ${parts.length} parts of a model, and ${basename(part)} is not beside it: download all parts into one folder`;
    throw new EngineError("no_model", message);
  }
}

function specialTexts(tokens: readonly unknown[], types: unknown): string[] {
  if (!Array.isArray(types)) return [];
  return tokens.filter((token, id) => token !== "" && SPECIAL.includes(Number(types[id]))).map(String);
}

/** Models of one family pad their vocabularies differently: what is only padding at the end does not count. */
function withoutPadding(count: number, types: unknown): number {
  if (!Array.isArray(types)) return count;
  let end = count;
  while (end > 0 && Number(types[end - 1]) === UNUSED) end--;
  return end;
}

/**
 * Which ids begin and end a text is not part of it: files of one family disagree about it, and an edge takes the
 * target's word for it. The tokens themselves, special ones included, are in.
 */
function fingerprint(metadata: GgufHeader["metadata"], tokens: readonly unknown[]): string {
  const kind = String(metadata["tokenizer.ggml.model"]);
  const hash = createHash("sha256");
  const add = (label: string, values: readonly unknown[]) => {
    hash.update(`${label}\0${values.length}\0`);
    for (const value of values) hash.update(`${value}\0`);
  };
  const list = (key: string) => {
    const value = metadata[`tokenizer.ggml.${key}`];
    return Array.isArray(value) ? value : [];
  };
  add("kind", [kind, metadata["tokenizer.ggml.pre"] ?? ""]);
  add("tokens", tokens);
  add("types", list("token_type").slice(0, tokens.length));
  add("scores", list("scores").slice(0, tokens.length));
  add("merges", list("merges"));
  return `${kind}-${tokens.length}-${hash.digest("hex").slice(0, 16)}`;
}
