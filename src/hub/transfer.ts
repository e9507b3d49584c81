import { type FileHandle, open, rm } from "node:fs/promises";
import { HubError, RETRY } from "./errors.ts";
import type { HubFile } from "./pick.ts";
import { type Answer, readBody, request, type Wire } from "./request.ts";
import { type FilePaths, type FileRecord, sizeOf, writeRecord } from "./store.ts";
import { withRetries } from "./waiting.ts";

export interface Transfer {
  readonly wire: Wire;
  readonly repository: string;
  readonly file: HubFile;
  readonly paths: FilePaths;
  /** what is known of the part that is there, or of the file when there is none */
  readonly record: FileRecord;
  readonly progress: (doneBytes: number) => void;
}

/** A part of the file from another process's or run's transfer, and what came since. */
interface State {
  record: FileRecord;
  /** most bytes that were there at a time */
  bestBytes: number;
}

/**
 * Brings the part to its full size, from where it is, over as many requests as it takes.
 * @returns the record, with what the storage said of the content
 * @throws HubError
 */
export async function transfer(job: Transfer): Promise<FileRecord> {
  const { wire, paths, record } = job;
  const state: State = { record, bestBytes: (await sizeOf(paths.part)) ?? 0 };
  await withRetries(wire.clock, wire.limits, wire.limits.transferTries, (advanced) =>
    once(job, state, advanced),
  );
  return state.record;
}

async function once(job: Transfer, state: State, advanced: () => void): Promise<void> {
  const { wire, repository, file, paths } = job;
  let from = (await sizeOf(paths.part)) ?? 0;
  if (from === file.sizeBytes) return;
  if (from > file.sizeBytes) {
    await rm(paths.part);
    from = 0;
  }
  const path = file.path.split("/").map(encodeURIComponent).join("/");
  const address = `${wire.endpoint}/${repository}/resolve/main/${path}`;
  const answer = await request(wire, repository, address, rangeHeaders(from, state.record.etag));
  try {
    from = await begin(job, state, answer, from);
    await write(job, state, answer, from, advanced);
  } catch (error) {
    answer.abort();
    throw error;
  }
}

/** A weak ETag says that files are alike, not that their bytes are the same. */
function rangeHeaders(from: number, etag: string | null): Record<string, string> {
  if (from === 0) return {};
  const condition = etag?.startsWith('"') ? { "if-range": etag } : {};
  return { range: `bytes=${from}-`, ...condition };
}

/**
 * Looks at what the server makes of a request, and readies the part for it.
 * @returns the position in the file of the first byte to come
 */
async function begin(job: Transfer, state: State, answer: Answer, asked: number): Promise<number> {
  const { file, paths, repository } = job;
  const { response, linkedSha256 } = answer;
  const { sha256 } = state.record;
  if (linkedSha256 !== null && sha256 !== null && linkedSha256 !== sha256) {
    throw new HubError("changed", `${file.path} has just changed on the hub; run the command again`);
  }
  const etag = response.headers.get("etag");
  if (response.status === 200) {
    const length = response.headers.get("content-length");
    if (length !== null && Number(length) !== file.sizeBytes) throw otherSize(file, Number(length));
    await rm(paths.part, { force: true });
    state.record = { ...state.record, etag, sha256: sha256 ?? linkedSha256 };
    await writeRecord(paths.record, state.record);
    return 0;
  }
  const [, first, total] = /^bytes (\d+)-\d+\/(\d+)$/.exec(response.headers.get("content-range") ?? "") ?? [];
  const same = etag === null || state.record.etag === null || etag === state.record.etag;
  if (
    response.status === 206 &&
    asked > 0 &&
    Number(first) === asked &&
    Number(total) === file.sizeBytes &&
    same
  ) {
    return asked;
  }
  // 416, another range than asked for, or another file's: what is there is of no use.
  await rm(paths.part, { force: true });
  const message = `${file.path} of ${repository} cannot be gone on with where it was; it is begun anew`;
  throw new HubError("changed", message, { retry: RETRY });
}

async function write(
  job: Transfer,
  state: State,
  answer: Answer,
  from: number,
  advanced: () => void,
): Promise<void> {
  const { wire, file, paths, progress } = job;
  const part = await open(paths.part, from === 0 ? "w" : "r+");
  let position = from;
  try {
    progress(position);
    await readBody(wire, answer, async (chunk) => {
      if (position + chunk.length > file.sizeBytes) throw otherSize(file, position + chunk.length);
      await writeAll(part, chunk, position);
      position += chunk.length;
      // A server that begins anew each time must not count as progress.
      if (position >= state.bestBytes + wire.limits.progressBytes) {
        state.bestBytes = position;
        advanced();
      }
      progress(position);
    });
    await part.sync();
  } finally {
    await part.close();
  }
  if (position < file.sizeBytes) {
    const message = `the transfer of ${file.path} ended early; run the command again to go on where it was`;
    throw new HubError("hub_unreachable", message, { retry: RETRY });
  }
}

async function writeAll(part: FileHandle, chunk: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < chunk.length; ) {
    const { bytesWritten } = await part.write(chunk, done, chunk.length - done, position + done);
    done += bytesWritten;
  }
}

function otherSize({ path, sizeBytes }: HubFile, bytes: number): HubError {
  const message = `${path} has ${bytes} bytes or more where the listing says ${sizeBytes}; run the command again`;
  return new HubError("changed", message);
}
