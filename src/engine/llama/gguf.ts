import { open, stat } from "node:fs/promises";
import { basename } from "node:path";
import { oneTemplate } from "../../text/templates/named.ts";
import { messageOf } from "../../util/errors.ts";
import { EngineError } from "../engine.ts";
import { oddContext, otherFormat, otherKind } from "./file-kind.ts";
import {
  fingerprintOf,
  identityOf,
  isMarker,
  isSpecial,
  tokenizerList,
  withoutPadding,
} from "./fingerprint.ts";
import { type GgufHeader, readHeaderOf } from "./header.ts";
import type { MetadataList } from "./metadata-list.ts";

/** What we read of a GGUF file ourselves: what the C API does not tell. */
export interface ModelFile {
  readonly path: string;
  readonly name: string;
  readonly architecture: string;
  readonly chatTemplate: string | null;
  /** see `Tokenizer.fingerprint`: kind, size and a hash */
  readonly fingerprint: string;
  /** see `VocabularyInfo.identity` */
  readonly identity: string;
  /** tokens without trailing padding */
  readonly realTokens: number;
  /** texts that are read as one token wherever they are: the tokenizer cuts a prompt there */
  readonly specialTexts: readonly string[];
  /** those of them that a client's text must not become */
  readonly controlTexts: readonly string[];
  /** of the longest token as the file has it: what it stands for has as many at most */
  readonly longestTokenBytes: number;
}

/** @throws EngineError `no_model`, `not_gguf`, `bad_model` */
export async function readModelFile(path: string): Promise<ModelFile> {
  return modelFileOf(path, await readHeader(path));
}

/** @throws EngineError `no_model`, `not_gguf`, `bad_model` */
export async function readHeader(path: string): Promise<GgufHeader> {
  await checkMagic(path);
  return readHeaderOf(path);
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
  const tokens = tokenizerList(metadata, "tokens");
  if (!tokens?.isOfTexts || tokens.length === 0) {
    throw new EngineError("bad_model", `${path} holds no vocabulary, so it is no language model`);
  }
  const realTokens = withoutPadding(tokens.length, tokenizerList(metadata, "token_type"));
  const template = (name: string) => {
    const source = metadata[`tokenizer.chat_template${name}`];
    return typeof source === "string" ? source : null;
  };
  return {
    path,
    name: basename(path),
    architecture: String(metadata["general.architecture"]),
    chatTemplate: oneTemplate(template(""), template(".tool_use")),
    fingerprint: fingerprintOf(metadata, realTokens),
    identity: identityOf(header),
    realTokens,
    specialTexts: textsOf(isSpecial, tokens, tokenizerList(metadata, "token_type")),
    controlTexts: textsOf(isMarker, tokens, tokenizerList(metadata, "token_type")),
    longestTokenBytes: longest(tokens),
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

function textsOf(
  has: (type: number, text: string) => boolean,
  tokens: MetadataList,
  types: MetadataList | null,
): string[] {
  const found: string[] = [];
  const most = Math.min(tokens.length, types?.length ?? 0);
  for (let id = 0; id < most; id++) {
    const type = types!.number(id);
    if (!isSpecial(type) || tokens.textBytes(id) === 0) continue;
    const text = tokens.text(id);
    if (has(type, text)) found.push(text);
  }
  return found;
}

function longest(tokens: MetadataList): number {
  let most = 1;
  for (let id = 0; id < tokens.length; id++) most = Math.max(most, tokens.textBytes(id));
  return most;
}
