import { promisify } from "node:util";
import { inflate } from "node:zlib";
import { BLOCK_IDS, type SummarisedVocabulary } from "../decoding/vocabulary-pair.ts";
import { CloudError } from "../edge/connection.ts";
import type { RemoteOpener } from "../edge/opener.ts";
import {
  chunksOf,
  FILE_CHUNK_BYTES,
  type SentVocabulary,
  type TargetInfo,
  type VocabularyPart,
} from "../protocol/frame.ts";
import { messageOf } from "../util/errors.ts";
import { cachedVocabulary, keepVocabulary, sha256 } from "./vocabulary-cache.ts";

/** The target's vocabulary, from the cloud: a summary to judge a pair by, and the file of a tokenizer. */

/** What is asked of a cloud for it. */
export type VocabularySource = Pick<RemoteOpener, "requestTokenizer" | "requestVocabulary"> & {
  readonly target: Pick<TargetInfo, "vocabulary">;
};

/** Chunks that are out at a time: a round trip for each alone would take seconds over a WAN. */
const MOST_ASKED = 4;

const decompressed = promisify(inflate);

/** A chunk as it travels. @throws CloudError */
function chunkOf(source: VocabularySource, part: VocabularyPart, chunk: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    source.requestVocabulary(part, chunk, (error, bytes) => (error ? reject(error) : resolve(bytes)));
  });
}

function bad(message: string, cause?: unknown): CloudError {
  return new CloudError("bad_tokenizer", `the cloud's tokenizer cannot be used: ${message}`, { cause });
}

/** What the cloud says of its vocabulary, and more of it as it is asked for. */
export function summaryOf(source: VocabularySource, about: SentVocabulary): SummarisedVocabulary {
  const words = async (part: VocabularyPart, chunk: number, count: number) => {
    const bytes = await chunkOf(source, part, chunk);
    if (bytes.length !== 4 * count) throw bad(`${part} ${chunk} has ${bytes.length} bytes`);
    return new Uint32Array(bytes.buffer, bytes.byteOffset, count);
  };
  return {
    ...about,
    blocks: () => words("blocks", 0, 2 * Math.ceil(about.ids / BLOCK_IDS)),
    entries: (block) => words("entries", block, 2 * Math.min(BLOCK_IDS, about.ids - block * BLOCK_IDS)),
  };
}

/** The file of the target's tokenizer, GGUF without tensors; not checked yet. @throws CloudError */
export async function tokenizerFileOf(source: VocabularySource): Promise<Uint8Array> {
  const about = source.target.vocabulary;
  if (!about) {
    return new Promise((resolve, reject) => {
      source.requestTokenizer((error, file) => (error ? reject(error) : resolve(file)));
    });
  }
  const kept = await cachedVocabulary(about.fileHash);
  if (kept) return kept;
  const bytes = await fetched(source, about);
  if (sha256(bytes) !== about.fileHash) throw bad("it is not the file that the cloud told of");
  await keepVocabulary(about.fileHash, bytes);
  return bytes;
}

async function fetched(source: VocabularySource, about: SentVocabulary): Promise<Uint8Array> {
  const file = new Uint8Array(about.fileBytes);
  const count = chunksOf("file", about);
  let next = 0;
  const work = async () => {
    while (next < count) {
      const chunk = next++;
      const from = chunk * FILE_CHUNK_BYTES;
      const size = Math.min(FILE_CHUNK_BYTES, file.length - from);
      file.set(await inflated(await chunkOf(source, "file", chunk), size), from);
    }
  };
  await Promise.all(Array.from({ length: MOST_ASKED }, work));
  return file;
}

/** @throws CloudError for what is none, or of another size: no more than that is ever made of it */
async function inflated(bytes: Uint8Array, size: number): Promise<Uint8Array> {
  const whole = await decompressed(bytes, { maxOutputLength: size }).catch((error: unknown) => {
    throw bad(`a chunk of it is damaged (${messageOf(error)})`, error);
  });
  if (whole.length !== size) throw bad(`a chunk of it has ${whole.length} bytes, and not ${size}`);
  return whole;
}
