import { type FileHandle, open } from "node:fs/promises";
import { EngineError } from "../engine.ts";
import { tensorBytes } from "./footprint.ts";
import type { GgufHeader } from "./header.ts";

const CHUNK_BYTES = 2 ** 16;

/**
 * Programs that fetch files in pieces reserve the whole length first, so a download that broke off is as long as it has to be
 * and ends in zero bytes. No matrix is all zeros, so the last one tells. Of a file that is whole one chunk is read.
 * @throws EngineError `bad_model`
 */
export async function checkWritten(path: string, header: GgufHeader): Promise<void> {
  const matrices = header.tensors.filter(({ shape }) => shape.length > 1);
  const last = matrices.reduce<(typeof matrices)[number] | null>(
    (latest, tensor) => (latest === null || tensor.offset > latest.offset ? tensor : latest),
    null,
  );
  if (last === null) return;
  const from = header.dataOffset + Number(last.offset);
  const file = await open(path);
  try {
    if (!(await isZero(file, from, from + tensorBytes(last)))) return;
  } finally {
    await file.close();
  }
  const message = `${path} ends in nothing but zero bytes: its download was not finished; download it again`;
  throw new EngineError("bad_model", message);
}

/** Whether all bytes [from, to) are 0, and there are any. */
async function isZero(file: FileHandle, from: number, to: number): Promise<boolean> {
  const buffer = new Uint8Array(CHUNK_BYTES);
  for (let at = from; at < to; at += CHUNK_BYTES) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(CHUNK_BYTES, to - at), at);
    if (bytesRead === 0 || buffer.subarray(0, bytesRead).some((byte) => byte !== 0)) return false;
  }
  return to > from;
}
