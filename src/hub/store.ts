import { mkdir, readdir, readFile, rename, rm, rmdir, stat, writeFile } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { z } from "zod";
import { messageOf } from "../util/errors.ts";
import { parsedJson } from "../util/json.ts";
import { HubError } from "./errors.ts";
import { type HubName, hubNameText } from "./name.ts";
import { type HubFile, partsOf } from "./pick.ts";

/**
 * The models on this disk. A file has a record beside it: written before the first byte, so that a broken
 * transfer can go on; the file itself gets its name last, when it is whole and verified.
 */

const RECORD = ".json";

const recordSchema = z.object({
  repository: z.string(),
  path: z.string(),
  sizeBytes: z.number().int().nonnegative(),
  /** what the content was, or will be, verified by; null: by its size alone */
  sha256: z.string().nullable(),
  /** of the storage that the part came from, to go on there */
  etag: z.string().nullable(),
  /** wishes that this file was the answer to, see `wishKey`; "": no wish */
  wishes: z.array(z.string()),
});

export type FileRecord = z.infer<typeof recordSchema>;

export interface FilePaths {
  readonly file: string;
  readonly part: string;
  readonly record: string;
  readonly lock: string;
}

/** A model of the cache: a file, or all parts of one that was split. */
export interface CachedModel {
  readonly name: string;
  readonly repository: string;
  /** of the first file, in the repository */
  readonly path: string;
  /** the first file on this disk; llama.cpp finds the others itself */
  readonly file: string;
  readonly records: readonly FileRecord[];
  /** all there and verified */
  readonly complete: boolean;
  /** on this disk */
  readonly haveBytes: number;
  /** when the last of it was written, milliseconds since 1970 */
  readonly writtenMs: number;
}

export function pathsOf(cacheFolder: string, repository: string, path: string): FilePaths {
  const file = join(cacheFolder, ...repository.split("/"), ...path.split("/"));
  return { file, part: `${file}.part`, record: file + RECORD, lock: `${file}.lock` };
}

/** A wish as records keep it: quantisations are the same in any case, files are not. */
export function wishKey({ wish }: HubName): string {
  return wish === null ? "" : /\.gguf$/i.test(wish) ? wish : wish.toUpperCase();
}

export async function readRecord(path: string): Promise<FileRecord | null> {
  const text = await readFile(path, "utf8").catch(() => "");
  return recordSchema.safeParse(parsedJson(text)).data ?? null;
}

export async function writeRecord(path: string, record: FileRecord): Promise<void> {
  // A reader sees the old record or the new one, never half of one.
  await writeFile(`${path}.new`, JSON.stringify(record, null, 2));
  await rename(`${path}.new`, path);
}

/** Bytes of a file; null where there is none. */
export async function sizeOf(path: string): Promise<number | null> {
  const found = await stat(path).catch(() => null);
  return found?.isFile() ? found.size : null;
}

export async function isComplete(paths: FilePaths, record: FileRecord | null): Promise<boolean> {
  return record !== null && (await sizeOf(paths.file)) === record.sizeBytes;
}

/** Everything in the cache, broken transfers included, by name. */
export async function cachedModels(cacheFolder: string): Promise<CachedModel[]> {
  const names = await readdir(cacheFolder, { recursive: true }).catch(() => []);
  const groups = new Map<string, FileRecord[]>();
  for (const name of names.filter((one) => one.endsWith(`.gguf${RECORD}`)).sort()) {
    const record = await readRecord(join(cacheFolder, name));
    if (!record) continue;
    const { repository, path } = record;
    // A record that was moved by hand says nothing about what lies beside it.
    if (relative(cacheFolder, pathsOf(cacheFolder, repository, path).record) !== name) continue;
    const first = hubNameText({ repository, wish: partsOf(path)[0]! });
    groups.set(first, [...(groups.get(first) ?? []), record]);
  }
  return Promise.all([...groups].map(([name, records]) => modelOf(cacheFolder, name, records)));
}

async function modelOf(cacheFolder: string, name: string, records: FileRecord[]): Promise<CachedModel> {
  const { repository } = records[0]!;
  const path = partsOf(records[0]!.path)[0]!;
  const facts = await Promise.all(
    records.map(async (record) => {
      const paths = pathsOf(cacheFolder, repository, record.path);
      const complete = await isComplete(paths, record);
      const found = await stat(complete ? paths.file : paths.part).catch(() => null);
      return { complete, bytes: found?.size ?? 0, ms: found?.mtimeMs ?? 0 };
    }),
  );
  return {
    name,
    repository,
    path,
    file: pathsOf(cacheFolder, repository, path).file,
    records,
    complete: records.length === partsOf(path).length && facts.every(({ complete }) => complete),
    haveBytes: facts.reduce((sum, { bytes }) => sum + bytes, 0),
    writtenMs: Math.max(...facts.map(({ ms }) => ms)),
  };
}

/** What a cached model's files are, as a listing would say it. */
export function filesOf(models: readonly CachedModel[]): HubFile[] {
  return models.flatMap(({ records }) => records);
}

export async function makeFolder(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
}

/** Removes a file with all that belongs to it, and the folders that are empty then. */
export async function removeFile(paths: FilePaths): Promise<void> {
  // The record goes last: until then the model can be seen, and removed again.
  for (const path of [paths.file, paths.part, `${paths.record}.new`, paths.record]) {
    await rm(path, { force: true });
  }
}

/** Removes the folders of a file, as far as they are empty, up to the cache's own. */
export async function removeEmptyFolders(cacheFolder: string, paths: FilePaths): Promise<void> {
  const levels = relative(cacheFolder, dirname(paths.file)).split(sep);
  for (; levels.length > 0; levels.pop()) {
    const gone = await rmdir(join(cacheFolder, ...levels)).then(
      () => true,
      () => false,
    );
    if (!gone) return;
  }
}

/** A failure of the file system as an error that says what to do; others as they are. */
export function diskError(error: unknown, folder: string): unknown {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  if (error instanceof HubError || typeof code !== "string") return error;
  if (code === "ENOSPC" || code === "EDQUOT") {
    const message = `the disk of ${folder} is full; make room, or set PICOSPEC_CACHE to a folder on another one`;
    return new HubError("disk_full", message, { cause: error });
  }
  const message = `models cannot be kept in ${folder} (${messageOf(error)}); set PICOSPEC_CACHE to a folder that can be written`;
  return new HubError("cache_unusable", message, { cause: error });
}
