import { isUtf8 } from "node:buffer";
import { createHash, type Hash } from "node:crypto";
import type { GgufMetadata } from "./header.ts";
import { MetadataList } from "./metadata-list.ts";

/** By what tokenizers are told apart, over the bytes of a file's lists: as strings these would take half a second. */

/** llama.cpp's token types. */
const TokenType = { unknown: 2, control: 3, userDefined: 4, unused: 5 } as const;

/** It is one token wherever its text is: the tokenizer cuts a prompt there. */
export function isSpecial(type: number): boolean {
  return type === TokenType.unknown || type === TokenType.control || type === TokenType.userDefined;
}

/** It stands for no text. */
export function isUnused(type: number): boolean {
  return type === TokenType.unused;
}

/** It says what a text is, and is none of it: families of models name these as they like. */
export function isControl(type: number): boolean {
  return type === TokenType.control;
}

/** A token that a client's text must not become: all control tokens, and what has the form of one. */
export function isMarker(type: number, text: string): boolean {
  if (type === TokenType.userDefined) return /^<[|｜]|[|｜]>$/u.test(text);
  return isSpecial(type);
}

/** null: the file has no such list */
export function tokenizerList(metadata: GgufMetadata["metadata"], name: string): MetadataList | null {
  const value = metadata[`tokenizer.ggml.${name}`];
  return value instanceof MetadataList ? value : null;
}

/** Models of one family pad their vocabularies differently: what is only padding at the end does not count. */
export function withoutPadding(count: number, types: MetadataList | null): number {
  if (!types) return count;
  let end = count;
  while (end > 0 && end <= types.length && isUnused(types.number(end - 1))) end--;
  return end;
}

/**
 * As release 0.1 has it: kind, size and a hash. Which ids begin and end a text is not part of it: files of one family
 * disagree about it, and an edge takes the target's word for it. The tokens themselves, special ones included, are in.
 */
export function fingerprintOf(metadata: GgufMetadata["metadata"], realTokens: number): string {
  const kind = String(metadata["tokenizer.ggml.model"]);
  const hash = createHash("sha256");
  const add = (name: string, label = name, most = Number.POSITIVE_INFINITY) =>
    addList(hash, label, tokenizerList(metadata, name), most);
  hash.update(["kind", "2", kind, String(metadata["tokenizer.ggml.pre"] ?? ""), ""].join("\0"));
  add("tokens", "tokens", realTokens);
  add("token_type", "types", realTokens);
  add("scores", "scores", realTokens);
  add("merges");
  return `${kind}-${realTokens}-${hash.digest("hex").slice(0, 16)}`;
}

/**
 * A hash of all that says how texts become tokens and tokens texts, padding and the tokens that a tokenizer adds
 * included: where it is equal, two tokenizers are one.
 */
export function identityOf({ metadata, bytes, valueAt }: GgufMetadata): string {
  const hash = createHash("sha256");
  const keys = Object.keys(metadata).filter((key) => key.startsWith("tokenizer.ggml."));
  for (const key of keys.sort()) {
    const { from, to } = valueAt[key]!;
    hash.update(`${key}\0${to - from}\0`);
    hash.update(bytes.subarray(from, to));
  }
  return hash.digest("hex").slice(0, 32);
}

const ZERO = 0x30;
const MINUS = 0x2d;
/** Bytes of a number as text, at most. */
const NUMBER_BYTES = 32;

function addList(hash: Hash, label: string, list: MetadataList | null, most: number): void {
  const length = Math.min(list?.length ?? 0, most);
  hash.update(`${label}\0${length}\0`);
  if (list) hash.update(list.texts ? textsOf(list, length) : numbersOf(list, length));
}

/** U+FEFF in UTF-8. Release 0.1 dropped it where a text begins with it, so the fingerprint is without. */
const MARK = [0xef, 0xbb, 0xbf] as const;

/** Each text with a zero byte after it. */
function textsOf(list: MetadataList, length: number): Uint8Array {
  const { bytes, starts } = list.texts!;
  let size = 0;
  for (let i = 0; i < length; i++) size += list.textBytes(i) + 1;
  const out = new Uint8Array(size);
  let at = 0;
  for (let i = 0; i < length; i++) {
    let from = starts[i]!;
    const to = from + list.textBytes(i);
    if (to - from >= MARK.length && MARK.every((byte, j) => bytes[from + j] === byte)) from += MARK.length;
    for (let j = from; j < to; j++) out[at++] = bytes[j]!;
    at++;
  }
  const written = out.subarray(0, at);
  if (isUtf8(written)) return written;
  const text = (i: number) => `${list.text(i).replace(/^\uFEFF/, "")}\0`;
  return Buffer.from(Array.from({ length }, (_, i) => text(i)).join(""));
}

/** Each number as ECMAScript prints it, with a zero byte after it; those without a fraction are nearly all. */
function numbersOf(list: MetadataList, length: number): Uint8Array {
  const out = Buffer.alloc(length * NUMBER_BYTES);
  let at = 0;
  for (let i = 0; i < length; i++) {
    const value = list.number(i);
    if (Number.isInteger(value) && Math.abs(value) < 1e9 && !Object.is(value, -0)) {
      at = writeWhole(out, at, value) + 1;
    } else at += out.write(list.text(i), at) + 1;
  }
  return out.subarray(0, at);
}

function writeWhole(out: Buffer, at: number, value: number): number {
  let left = Math.abs(value);
  if (value < 0) out[at++] = MINUS;
  let digits = 1;
  for (let ten = 10; ten <= left; ten *= 10) digits++;
  for (let i = digits - 1; i >= 0; i--) {
    out[at + i] = ZERO + (left % 10);
    left = Math.floor(left / 10);
  }
  return at + digits;
}
