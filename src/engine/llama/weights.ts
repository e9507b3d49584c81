import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { messageOf } from "../../util/errors.ts";
import { EngineError } from "../engine.ts";
import type { GgufHeader } from "./header.ts";

/** Bytes of each tensor that go into the hash: reading 40 GB would take minutes, and these take some ms. */
const SAMPLE_BYTES = 4096;

/** A file of a model, with what its header says. */
export interface WeightsFile {
  readonly path: string;
  readonly header: GgufHeader;
}

/**
 * Tells files of weights apart: SHA-256 over each file's length, its header byte by byte (metadata and tensor infos) and
 * 4 KiB from the middle of every tensor; the first 32 hexadecimal digits. Names and places of the files are not in it. A
 * change of a few numbers may stay unseen, so it is no check against tampering.
 * @param files all parts of the model, in order
 * @throws EngineError `bad_model` for a file that ends within its tensors or cannot be read
 */
export async function weightsHash(files: readonly WeightsFile[]): Promise<string> {
  const hash = createHash("sha256");
  for (const { path, header } of files) {
    const file = await open(path).catch((error) => {
      throw new EngineError("bad_model", `${path} cannot be read: ${messageOf(error)}`, { cause: error });
    });
    try {
      const { size } = await file.stat();
      hash.update(`${size}\0`);
      hash.update(await readAt(file, path, 0, header.dataOffset));
      for (const { from, bytes } of samples(header, size)) hash.update(await readAt(file, path, from, bytes));
    } finally {
      await file.close();
    }
  }
  return hash.digest("hex").slice(0, 32);
}

/** From the middle of each tensor, in the order in which they lie; the padding after a tensor counts to it. */
function samples({ tensors, dataOffset }: GgufHeader, size: number): { from: number; bytes: number }[] {
  const starts = tensors.map(({ offset }) => dataOffset + Number(offset)).sort((a, b) => a - b);
  return starts.map((start, i) => {
    const end = starts[i + 1] ?? size;
    const bytes = Math.min(SAMPLE_BYTES, end - start);
    return { from: start + Math.floor((end - start - bytes) / 2), bytes };
  });
}

async function readAt(file: FileHandle, path: string, from: number, bytes: number): Promise<Buffer> {
  // A file that was cut before the last tensor begins leaves less than nothing to it.
  const buffer = Buffer.alloc(Math.max(0, bytes));
  const { bytesRead } = await file.read(buffer, 0, buffer.length, from);
  if (bytesRead === bytes) return buffer;
  throw new EngineError("bad_model", `${path} ends within its tensors: download it again`);
}
