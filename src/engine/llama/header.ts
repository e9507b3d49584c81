import { type FileHandle, open } from "node:fs/promises";
import type { GGUFTensorInfo } from "@huggingface/gguf";
import { messageOf } from "../../util/errors.ts";
import { EngineError } from "../engine.ts";
import { bytesOfType, MetadataList, numberAt } from "./metadata-list.ts";

/**
 * The header of a GGUF file (versions 2 and 3, ggml's docs/gguf.md): metadata and what tensors there are. Lists of a
 * tokenizer have up to a million texts, which stay bytes: as strings they take longer than llama.cpp takes to load them.
 */

/** A parsed header: metadata as the file has it, and what tensors there are. */
export interface GgufHeader extends GgufMetadata {
  readonly tensors: readonly GGUFTensorInfo[];
  /** where the tensors begin, bytes: all before it is the header */
  readonly dataOffset: number;
}

export interface GgufMetadata {
  /** numbers, texts and lists; a list of a tokenizer is a `MetadataList` */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** where each value is in `bytes`, without its key and type */
  readonly valueAt: Readonly<Record<string, { readonly from: number; readonly to: number }>>;
  /** the file from its beginning, at least up to `end` */
  readonly bytes: Buffer;
  /** offset of the first byte behind the last key and value */
  readonly end: number;
  /** offset of the number of files that the model is split into, u16; -1: it does not say */
  readonly splitCountAt: number;
}

/** Value types by their numbers in the format. */
const UINT16 = 2;
const STRING = 8;
const ARRAY = 9;
/** of a text, before it */
const LENGTH_BYTES = 8;

/** Against files that make their reader allocate without end. */
const HEADER_LIMITS = {
  bytes: 256 * 2 ** 20,
  keys: 100_000,
  /** of a list that is no tokenizer's */
  listElements: 1_000_000,
  dimensions: 8,
  dimension: 2n ** 32n,
} as const;
const FIRST_READ_BYTES = 4 * 2 ** 20;
const DEFAULT_ALIGNMENT = 32;

/** @throws EngineError `bad_model` */
export function readHeaderOf(path: string): Promise<GgufHeader> {
  return parsed(path, (reader) => {
    const found = metadataOf(reader);
    const tensors = tensorsOf(reader, found.tensorCount);
    const dataOffset = aligned(reader.offset, found.metadata["general.alignment"] ?? DEFAULT_ALIGNMENT);
    return { ...found, tensors, dataOffset };
  });
}

/** Without the tensors, which may be damaged. @throws EngineError `bad_model` */
export function readMetadataOf(path: string): Promise<GgufMetadata> {
  return parsed(path, metadataOf);
}

/** Of a file that is at hand, and was checked. @throws Error for one that is damaged */
export function metadataOfBytes(file: Uint8Array): GgufMetadata {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  return metadataOf(new HeaderReader(bytes, bytes.length));
}

/** The reader has to have more of the file. */
class MoreNeeded extends Error {
  readonly bytes: number;

  constructor(bytes: number) {
    super(`${bytes} bytes are needed`);
    this.bytes = bytes;
  }
}

/** Reads the beginning of the file, and more of it as long as `parse` runs into the end of what was read. */
async function parsed<T>(path: string, parse: (reader: HeaderReader) => T): Promise<T> {
  try {
    const file = await open(path);
    try {
      let { size } = await file.stat();
      let wanted = Math.min(size, FIRST_READ_BYTES);
      for (;;) {
        const bytes = await begin(file, wanted);
        // It has become shorter since.
        if (bytes.length < wanted) size = bytes.length;
        try {
          return parse(new HeaderReader(bytes, size));
        } catch (error) {
          if (!(error instanceof MoreNeeded)) throw error;
          if (error.bytes > HEADER_LIMITS.bytes) {
            throw new Error(`its header has more than ${HEADER_LIMITS.bytes} bytes`);
          }
          wanted = Math.min(size, HEADER_LIMITS.bytes, Math.max(error.bytes, 4 * bytes.length));
        }
      }
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof EngineError) throw error;
    throw new EngineError("bad_model", `${path} is a damaged GGUF file: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

async function begin(file: FileHandle, size: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(size);
  let filled = 0;
  while (filled < size) {
    const { bytesRead } = await file.read(buffer, filled, size - filled, filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

/** Reads values one after the other; each read is checked against the end of the file. */
class HeaderReader {
  readonly bytes: Buffer;
  offset = 0;
  private readonly fileBytes: number;

  constructor(bytes: Buffer, fileBytes: number) {
    this.bytes = bytes;
    this.fileBytes = fileBytes;
  }

  /** @returns where the bytes begin */
  take(count: number): number {
    const from = this.offset;
    const to = from + count;
    if (to > this.fileBytes) throw new Error(`it ends at ${this.fileBytes} bytes, within its header`);
    if (to > this.bytes.length) throw new MoreNeeded(to);
    this.offset = to;
    return from;
  }

  u32(): number {
    return this.bytes.readUInt32LE(this.take(4));
  }

  /** A size; past 2^53 it is inexact, and past the end of any file. */
  size(): number {
    const at = this.take(8);
    return this.bytes.readUInt32LE(at) + this.bytes.readUInt32LE(at + 4) * 2 ** 32;
  }

  u64(): bigint {
    return this.bytes.readBigUInt64LE(this.take(8));
  }

  text(): string {
    const length = this.size();
    const from = this.take(length);
    return this.bytes.toString("utf8", from, from + length);
  }

  number(type: number): number | bigint | boolean {
    const at = this.take(bytesOfType(type));
    return numberAt(this.bytes, at, type);
  }

  /** A list as bytes. */
  list(): MetadataList {
    const { type, length } = this.listHead();
    if (type !== STRING) {
      const from = this.take(length * bytesOfType(type));
      return new MetadataList(this.bytes, type, length, { from, starts: null });
    }
    // Each text has eight bytes or more: a length that cannot be costs no memory.
    const from = this.offset;
    this.take(length * LENGTH_BYTES);
    this.offset = from;
    const starts = new Uint32Array(length + 1);
    for (let i = 0; i < length; i++) {
      const bytes = this.size();
      starts[i] = this.take(bytes);
    }
    starts[length] = this.offset + LENGTH_BYTES;
    return new MetadataList(this.bytes, type, length, { from, starts });
  }

  /** A list as values. */
  values(): unknown[] {
    const { type, length } = this.listHead();
    if (length > HEADER_LIMITS.listElements) throw new Error(`a list says that it has ${length} elements`);
    return Array.from({ length }, () => (type === STRING ? this.text() : this.number(type)));
  }

  private listHead(): { type: number; length: number } {
    const type = this.u32();
    // The format allows it, and no model has it: each level costs its reader one of its stack.
    if (type === ARRAY) throw new Error("it has lists in lists");
    return { type, length: this.size() };
  }
}

function metadataOf(reader: HeaderReader): GgufMetadata & { readonly tensorCount: number } {
  const { bytes } = reader;
  reader.take(4);
  const version = reader.u32();
  if (version !== 2 && version !== 3) throw new Error(`version ${version} of the format is not supported`);
  const tensorCount = reader.size();
  const keys = reader.size();
  if (keys > HEADER_LIMITS.keys) throw new Error(`it says that it has ${keys} keys`);
  const metadata: Record<string, unknown> = Object.create(null);
  const valueAt: Record<string, { from: number; to: number }> = Object.create(null);
  let splitCountAt = -1;
  for (let i = 0; i < keys; i++) {
    const key = reader.text();
    const type = reader.u32();
    if (key === "split.count" && type === UINT16) splitCountAt = reader.offset;
    const from = reader.offset;
    if (type === STRING) metadata[key] = reader.text();
    else if (type !== ARRAY) metadata[key] = reader.number(type);
    else metadata[key] = key.startsWith("tokenizer.") ? reader.list() : reader.values();
    valueAt[key] = { from, to: reader.offset };
  }
  return { metadata, valueAt, bytes, end: reader.offset, splitCountAt, tensorCount };
}

function tensorsOf(reader: HeaderReader, count: number): GGUFTensorInfo[] {
  const tensors: GGUFTensorInfo[] = [];
  for (let i = 0; i < count; i++) {
    const name = reader.text();
    const dimensions = reader.u32();
    if (dimensions > HEADER_LIMITS.dimensions) throw new Error(`a tensor has ${dimensions} dimensions`);
    const shape = Array.from({ length: dimensions }, () => {
      const length = reader.u64();
      if (length > HEADER_LIMITS.dimension) throw new Error(`a dimension of a tensor is ${length}`);
      return length;
    });
    const [dtype, offset] = [reader.u32(), reader.u64()];
    tensors.push({ name, n_dims: dimensions, shape, dtype, offset });
  }
  return tensors;
}

function aligned(offset: number, alignment: unknown): number {
  const step = Number(alignment);
  if (!(step >= 1 && step <= 2 ** 31 && Number.isInteger(Math.log2(step)))) {
    throw new Error(`its alignment is ${String(alignment).slice(0, 40)}, and no power of two`);
  }
  return Math.ceil(offset / step) * step;
}
