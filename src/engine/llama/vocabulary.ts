import { open } from "node:fs/promises";
import { EngineError } from "../engine.ts";

/** A GGUF file without its tensors: all that a tokenizer needs. Layout: GGUF version 2 and 3, ggml's docs/gguf.md. */

const MAGIC_BYTES = 24;
/** Bytes of each fixed-size value type; 0: string and array, which say their size themselves. */
const TYPE_BYTES = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8];
const UINT16 = 2;
const STRING = 8;
const ARRAY = 9;
/** Metadata past this is refused: it has to fit into one frame. */
const MOST_VOCABULARY_BYTES = 15 * 1024 * 1024;

/**
 * The metadata of a GGUF file as a GGUF file of its own.
 * @throws EngineError `bad_model` when it is damaged or larger than 15 MiB
 */
export async function vocabularyFile(path: string): Promise<Uint8Array> {
  const file = await open(path);
  const buffer = Buffer.alloc(MOST_VOCABULARY_BYTES);
  const { bytesRead } = await file.read(buffer, 0, buffer.length, 0).finally(() => file.close());
  const { end, splitCountAt } = metadataOf(buffer.subarray(0, bytesRead), path);
  const bytes = new Uint8Array(buffer.subarray(0, end));
  const view = new DataView(bytes.buffer);
  // No tensors follow, and no other parts.
  view.setBigUint64(8, 0n, true);
  if (splitCountAt >= 0) view.setUint16(splitCountAt, 1, true);
  return bytes;
}

interface Metadata {
  /** offset of the first byte behind the last key and value */
  readonly end: number;
  /** offset of the number of files that the model is split into, u16; -1: it does not say */
  readonly splitCountAt: number;
}

function metadataOf(bytes: Buffer, path: string): Metadata {
  let offset = MAGIC_BYTES;
  const need = (count: number) => {
    if (offset + count > bytes.length) {
      throw new EngineError("bad_model", `the metadata of ${path} is damaged, or too large to be sent`);
    }
    offset += count;
    return offset - count;
  };
  const size = () => Number(bytes.readBigUInt64LE(need(8)));
  const type = () => bytes.readUInt32LE(need(4));
  const skip = (kind: number, count: number): void => {
    if (kind === STRING) for (let i = 0; i < count; i++) need(size());
    else if (kind === ARRAY) {
      for (let i = 0; i < count; i++) {
        const inner = type();
        // Arrays in arrays are allowed, and used by no model: each level costs the reader one of its stack.
        if (inner === ARRAY)
          throw new EngineError("bad_model", `the metadata of ${path} has arrays in arrays`);
        skip(inner, size());
      }
    } else need(count * (TYPE_BYTES[kind] ?? bytes.length));
  };
  need(0);
  const keys = Number(bytes.readBigUInt64LE(16));
  let splitCountAt = -1;
  for (let i = 0; i < keys; i++) {
    const length = size();
    const key = bytes.toString("utf8", need(length), offset);
    const kind = type();
    if (key === "split.count" && kind === UINT16) splitCountAt = offset;
    skip(kind, 1);
  }
  return { end: offset, splitCountAt };
}
