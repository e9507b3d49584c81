import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { rename, rm, statfs } from "node:fs/promises";
import { dirname } from "node:path";
import type { Clock } from "../util/clock.ts";
import { HubError } from "./errors.ts";
import { listFiles } from "./listing.ts";
import { acquireLock, type Lock } from "./lock.ts";
import { type HubName, hubNameText } from "./name.ts";
import { bytesText, type HubFile, pickFiles } from "./pick.ts";
import type { Wire } from "./request.ts";
import { HUB_LIMITS, type HubLimits, type HubSettings } from "./settings.ts";
import {
  type CachedModel,
  cachedModels,
  diskError,
  type FilePaths,
  type FileRecord,
  filesOf,
  isComplete,
  makeFolder,
  pathsOf,
  readRecord,
  removeEmptyFolders,
  removeFile,
  sizeOf,
  wishKey,
  writeRecord,
} from "./store.ts";
import { transfer } from "./transfer.ts";

export interface PullProgress {
  readonly phase: "waiting" | "downloading" | "verifying";
  readonly path: string;
  /** of a split model: [1, parts] */
  readonly part: number;
  readonly parts: number;
  readonly doneBytes: number;
  readonly totalBytes: number;
}

export interface HubOptions extends HubSettings {
  readonly clock: Clock;
  /** text that no other process makes */
  readonly freshId: () => string;
  readonly progress?: (progress: PullProgress) => void;
  readonly limits?: HubLimits;
  /** room on the disk of a folder */
  readonly freeBytes?: (folder: string) => Promise<number>;
}

export interface PulledModel {
  /** the path to load */
  readonly file: string;
  readonly name: string;
  readonly sizeBytes: number;
  /** false: it was there */
  readonly downloaded: boolean;
  /** null: the hub named no hash, and only the size was compared */
  readonly sha256: readonly (string | null)[];
}

/**
 * The model that a name means, from the cache or else from the hub. What is in the cache is used without asking
 * the hub whether there is a newer one.
 * @throws HubError
 */
export async function pullModel(name: HubName, options: HubOptions): Promise<PulledModel> {
  const models = await cachedModels(options.cacheFolder);
  const known = models.find((model) => model.complete && isAnswerTo(name, model));
  if (known) return pulled(known, false);
  const wire: Wire = { ...options, limits: options.limits ?? HUB_LIMITS };
  let listed: HubFile[];
  try {
    listed = await listFiles(wire, name.repository);
  } catch (error) {
    const close = error instanceof HubError && error.retry !== null ? amongCached(name, models) : null;
    if (close) return pulled(close, false);
    throw error;
  }
  const files = pickFiles(name, listed);
  if (files.length > wire.limits.parts) {
    throw new HubError("no_file", `${files[0]!.path} is split into more than ${wire.limits.parts} parts`);
  }
  let downloaded = false;
  try {
    for (const [index, file] of files.entries()) {
      downloaded =
        (await pullFile({ options, wire, name, file, part: index + 1, parts: files.length })) || downloaded;
    }
  } catch (error) {
    throw diskError(error, options.cacheFolder);
  }
  const now = await cachedModels(options.cacheFolder);
  const model = now.find(({ repository, path }) => repository === name.repository && path === files[0]!.path);
  if (!model?.complete)
    throw new HubError("busy", `${files[0]!.path} was removed while it came; run the command again`);
  return pulled(model, downloaded);
}

/**
 * The cached model that a name means, whole or not, without the network.
 * @throws HubError `not_cached`, `ambiguous_file`
 */
export async function cachedModel(name: HubName, cacheFolder: string): Promise<CachedModel> {
  const models = await cachedModels(cacheFolder);
  const own = models.filter(({ repository }) => repository === name.repository);
  const known = own.find((model) => isAnswerTo(name, model)) ?? amongCached(name, own);
  if (known) return known;
  if (own.length > 1 && name.wish === null) pickFiles(name, filesOf(own));
  const text = hubNameText(name);
  throw new HubError(
    "not_cached",
    `${text} is not on this machine; picospec models list shows what is, and picospec models pull ${text} downloads it`,
  );
}

/**
 * Removes a cached model, and what is left of a broken transfer.
 * @throws HubError `busy` while it is downloaded, `cache_unusable`
 */
export async function removeModel(model: CachedModel, options: HubOptions): Promise<void> {
  const { clock, cacheFolder, limits = HUB_LIMITS } = options;
  try {
    for (const { repository, path } of model.records) {
      const paths = pathsOf(cacheFolder, repository, path);
      const lock = await acquireLock(paths.lock, { clock, limits, id: options.freshId(), waitMs: 0 });
      await removeFile(paths).finally(() => lock.release());
      await removeEmptyFolders(cacheFolder, paths);
    }
  } catch (error) {
    throw diskError(error, cacheFolder);
  }
}

/** Whether it is what the hub gave, or would give, for this name. */
function isAnswerTo(name: HubName, { repository, path, records }: CachedModel): boolean {
  const wishes = records.flatMap((record) => record.wishes);
  return repository === name.repository && (path === name.wish || wishes.includes(wishKey(name)));
}

/** What the name would mean if the repository held nothing but this; null: nothing, or one of several. */
function amongCached(name: HubName, models: readonly CachedModel[]): CachedModel | null {
  const own = models.filter(({ repository, complete }) => complete && repository === name.repository);
  try {
    const [first] = pickFiles(name, filesOf(own));
    return own.find(({ path }) => path === first!.path) ?? null;
  } catch (error) {
    if (error instanceof HubError) return null;
    throw error;
  }
}

function pulled({ file, name, records }: CachedModel, downloaded: boolean): PulledModel {
  const sizeBytes = records.reduce((sum, record) => sum + record.sizeBytes, 0);
  return { file, name, sizeBytes, downloaded, sha256: records.map(({ sha256 }) => sha256) };
}

interface FileJob {
  readonly options: HubOptions;
  readonly wire: Wire;
  readonly name: HubName;
  readonly file: HubFile;
  readonly part: number;
  readonly parts: number;
}

/** @returns whether anything was downloaded */
async function pullFile(job: FileJob): Promise<boolean> {
  const { options, wire, name, file } = job;
  const { clock, limits } = wire;
  const paths = pathsOf(options.cacheFolder, name.repository, file.path);
  await makeFolder(paths.file);
  const waiting = () => report(job, "waiting", 0);
  const lock = await acquireLock(paths.lock, {
    ...{ clock, limits, waiting },
    id: options.freshId(),
    waitMs: limits.lockWaitMs,
  });
  try {
    const old = await readRecord(paths.record);
    const wishes = [...new Set([...(old?.wishes ?? []), wishKey(name)])];
    if (await isComplete(paths, old)) {
      await writeRecord(paths.record, { ...old!, wishes });
      return false;
    }
    const { path, sizeBytes, sha256 } = file;
    const fresh: FileRecord = { repository: name.repository, path, sizeBytes, sha256, etag: null, wishes };
    await bring(job, paths, lock, await goOn(paths, old, fresh));
    return true;
  } finally {
    await lock.release();
  }
}

/** The record of a part that can be gone on with; a part of another content is removed. */
async function goOn(paths: FilePaths, old: FileRecord | null, fresh: FileRecord): Promise<FileRecord> {
  const same = old?.sizeBytes === fresh.sizeBytes && (old.sha256 === fresh.sha256 || fresh.sha256 === null);
  if (!same) await rm(paths.part, { force: true });
  const record = same ? { ...old, wishes: fresh.wishes } : fresh;
  await writeRecord(paths.record, record);
  return record;
}

async function bring(job: FileJob, paths: FilePaths, lock: Lock, begun: FileRecord): Promise<void> {
  const { wire, file, name } = job;
  let record = begun;
  for (;;) {
    const haveBytes = (await sizeOf(paths.part)) ?? 0;
    await checkRoom(job, paths, file.sizeBytes - haveBytes);
    const progress = (doneBytes: number) => report(job, "downloading", doneBytes);
    record = await transfer({ wire, repository: name.repository, file, paths, record, progress });
    if (await isRight(job, paths, record.sha256)) break;
    await rm(paths.part, { force: true });
    // What was there before may have been the wrong half; what came in one go is the server's.
    if (haveBytes === 0) {
      const message = `${file.path} came with other bytes than its sha256 says; it was removed: run the command again, or try another network or mirror`;
      throw new HubError("corrupt", message);
    }
  }
  if (!(await lock.held())) {
    throw new HubError(
      "busy",
      `another process took the download of ${file.path} over; run the command again`,
    );
  }
  await rename(paths.part, paths.file);
}

async function isRight(job: FileJob, paths: FilePaths, sha256: string | null): Promise<boolean> {
  if (sha256 === null) return true;
  const hash = createHash("sha256");
  let doneBytes = 0;
  // From the disk, and not as it comes: what is on the disk is what will be loaded.
  for await (const chunk of createReadStream(paths.part, { highWaterMark: 1024 * 1024 })) {
    hash.update(chunk as Buffer);
    doneBytes += (chunk as Buffer).length;
    report(job, "verifying", doneBytes);
  }
  return hash.digest("hex") === sha256;
}

async function checkRoom({ options, file }: FileJob, paths: FilePaths, neededBytes: number): Promise<void> {
  const folder = dirname(paths.file);
  const freeBytes = await (options.freeBytes ?? freeOn)(folder);
  if (freeBytes >= neededBytes) return;
  const message = `${file.path} needs ${bytesText(neededBytes)} more, and the disk of ${options.cacheFolder} has ${bytesText(freeBytes)}; make room, or set PICOSPEC_CACHE to a folder on another disk`;
  throw new HubError("disk_full", message);
}

async function freeOn(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

function report(
  { options, file, part, parts }: FileJob,
  phase: PullProgress["phase"],
  doneBytes: number,
): void {
  options.progress?.({ phase, path: file.path, part, parts, doneBytes, totalBytes: file.sizeBytes });
}
