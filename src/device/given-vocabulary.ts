import { promisify } from "node:util";
import { deflate } from "node:zlib";
import type { GivenVocabulary } from "../cloud/driver.ts";
import { BLOCK_IDS, blockHashes } from "../decoding/vocabulary-pair.ts";
import { type GgufMetadata, readMetadataOf } from "../engine/llama/header.ts";
import { tokenizerFile } from "../engine/llama/vocabulary.ts";
import { vocabularyTable } from "../engine/llama/vocabulary-table.ts";
import { frameBytes } from "../protocol/encode.ts";
import { FILE_CHUNK_BYTES, PROTOCOL_LIMITS, type VocabularyPart } from "../protocol/frame.ts";
import { sha256 } from "./vocabulary-cache.ts";

/** The target's vocabulary as a cloud gives it away: whole in one frame where it fits, and in chunks. */

const compressed = promisify(deflate);

interface Given {
  readonly tokenizer: Uint8Array | null;
  readonly vocabulary: GivenVocabulary | null;
}

/** @param path of the target @throws EngineError `bad_model` */
export async function givenVocabulary(path: string): Promise<Given> {
  return givenOf(await readMetadataOf(path));
}

/** The same, of metadata that was read. */
export function givenOf(metadata: GgufMetadata): Given {
  const file = tokenizerFile(metadata);
  const { type, ids, tokens, identity, entries } = vocabularyTable(metadata);
  const fits = frameBytes({ type: "tokenizer", file }) <= PROTOCOL_LIMITS.frameBytes;
  const tokenizer = fits ? file : null;
  if (file.length > PROTOCOL_LIMITS.vocabularyBytes) return { tokenizer, vocabulary: null };
  const fileHash = sha256(file);
  const about = { type, ids, tokens, identity, fileBytes: file.length, fileHash };
  return { tokenizer, vocabulary: { about, chunk: chunksOver(file, entries) } };
}

/** Nothing is compressed or hashed before it is asked for, nor twice. */
function chunksOver(file: Uint8Array, entries: Uint32Array): GivenVocabulary["chunk"] {
  const ofFile = new Map<number, Promise<Uint8Array>>();
  let blocks: Uint8Array | null = null;
  return async (part: VocabularyPart, chunk: number) => {
    if (part === "blocks") {
      blocks ??= bytesOf(blockHashes(entries));
      return blocks;
    }
    if (part === "entries") {
      return bytesOf(entries.slice(2 * BLOCK_IDS * chunk, 2 * BLOCK_IDS * (chunk + 1)));
    }
    const made =
      ofFile.get(chunk) ??
      compressed(file.subarray(chunk * FILE_CHUNK_BYTES, (chunk + 1) * FILE_CHUNK_BYTES));
    ofFile.set(chunk, made);
    return made;
  };
}

function bytesOf(words: Uint32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}
