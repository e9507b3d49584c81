import { type GgufMetadata, readMetadataOf } from "./header.ts";

/**
 * The metadata of a GGUF file as a GGUF file of its own, without tensors: all that a tokenizer needs.
 * @throws EngineError `bad_model` when it is damaged
 */
export async function vocabularyFile(path: string): Promise<Uint8Array> {
  return tokenizerFile(await readMetadataOf(path));
}

/** The same, of metadata that was read. */
export function tokenizerFile({ bytes, end, splitCountAt }: GgufMetadata): Uint8Array {
  const file = new Uint8Array(bytes.subarray(0, end));
  const view = new DataView(file.buffer);
  // No tensors follow, and no other parts.
  view.setBigUint64(8, 0n, true);
  if (splitCountAt >= 0) view.setUint16(splitCountAt, 1, true);
  return file;
}
