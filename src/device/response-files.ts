import { mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import {
  type ResponseStore,
  type StoredResponse,
  type StoredThread,
  storedOf,
  storedText,
  threadOf,
} from "../api/openai/responses/store.ts";
import { PicoSpecError } from "../util/errors.ts";
import type { Log } from "../util/log.ts";
import { freshSecret } from "./node.ts";

/** Responses of the endpoint on disk, a file each, for their owner's eyes alone. */

const DAY_MS = 24 * 3600 * 1000;
const SWEEP_MS = 3600 * 1000;
/** Of all files; the oldest make way. */
const MOST_BYTES = 1024 ** 3;
/** An id is the name of a file: it leads nowhere else. */
const ID = /^resp_[\w-]{1,64}$/;
const FILE = /^(resp_[\w-]{1,64})\.json$/;
/** What a process that died while it wrote has left. */
const UNFINISHED = /^resp_[\w-]{1,64}\.json\.\w+\.new$/;
const OPEN_TO_OTHERS = 0o077;

export interface ResponseFilesOptions {
  readonly folder: string;
  /** older ones are removed */
  readonly days: number;
  readonly log: Log;
  readonly nowMs: () => number;
  /** default: 1 GiB */
  readonly mostBytes?: number;
}

interface Entry {
  readonly bytes: number;
  readonly writtenMs: number;
}

export class ResponseFiles implements ResponseStore {
  private readonly options: ResponseFilesOptions;
  /** in order of age */
  private entries = new Map<string, Entry>();
  private readonly sweeping: NodeJS.Timeout;

  /** @throws PicoSpecError `bad_store` for a folder that cannot be used, or that others may read */
  constructor(options: ResponseFilesOptions) {
    this.options = options;
    makePrivate(options.folder);
    this.sweep();
    this.sweeping = setInterval(() => {
      try {
        this.sweep();
      } catch (error) {
        options.log.error({ reason: reasonOf(error) }, "the folder of responses could not be read");
      }
    }, SWEEP_MS);
    this.sweeping.unref();
  }

  close(): void {
    clearInterval(this.sweeping);
  }

  async put(stored: StoredResponse): Promise<void> {
    const text = storedText(stored);
    const path = this.pathOf(stored.id);
    if (path === null) return;
    const fresh = `${path}.${freshSecret()}.new`;
    try {
      const file = await open(fresh, "wx", 0o600);
      try {
        await file.writeFile(text);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(fresh, path);
    } catch (error) {
      await rm(fresh, { force: true }).catch(() => {});
      // The answer was given: only what would go on from it fails, and says so.
      this.options.log.error({ reason: reasonOf(error) }, "a response could not be stored");
      return;
    }
    this.entries.set(stored.id, { bytes: Buffer.byteLength(text), writtenMs: this.options.nowMs() });
    this.makeRoom();
  }

  async get(id: string, owner: string): Promise<StoredResponse | null> {
    return this.read(id, (text) => storedOf(text, owner));
  }

  async thread(id: string, owner: string): Promise<StoredThread | null> {
    return this.read(id, (text) => threadOf(text, owner));
  }

  async delete(id: string, owner: string): Promise<boolean> {
    if ((await this.thread(id, owner)) === null) return false;
    this.remove(id);
    return true;
  }

  /** Others may write to the folder, too: what is there is read anew. */
  sweep(): void {
    const { folder, nowMs } = this.options;
    const found: [string, Entry][] = [];
    for (const name of readdirSync(folder)) {
      const id = FILE.exec(name)?.[1];
      if (id === undefined && !UNFINISHED.test(name)) continue;
      const path = join(folder, name);
      const state = statSync(path, { throwIfNoEntry: false });
      if (!state) continue;
      if (id !== undefined) found.push([id, { bytes: state.size, writtenMs: state.mtimeMs }]);
      else if (nowMs() - state.mtimeMs > SWEEP_MS) rmSync(path, { force: true });
    }
    this.entries = new Map(found.sort(([, a], [, b]) => a.writtenMs - b.writtenMs));
    this.makeRoom();
  }

  private async read<T>(id: string, parse: (text: string) => T | null): Promise<T | null> {
    const path = this.pathOf(id);
    if (path === null) return null;
    try {
      const entry = this.entries.get(id);
      if (entry && this.isOld(entry)) this.remove(id);
      return parse(await readFile(path, "utf8"));
    } catch (error) {
      const reason = reasonOf(error);
      if (reason !== "ENOENT") this.options.log.error({ reason }, "a stored response could not be read");
      return null;
    }
  }

  private makeRoom(): void {
    const { mostBytes = MOST_BYTES } = this.options;
    let bytes = [...this.entries.values()].reduce((sum, entry) => sum + entry.bytes, 0);
    for (const [id, entry] of this.entries) {
      if (bytes <= mostBytes && !this.isOld(entry)) break;
      bytes -= entry.bytes;
      this.remove(id);
    }
  }

  private isOld({ writtenMs }: Entry): boolean {
    return this.options.nowMs() - writtenMs > this.options.days * DAY_MS;
  }

  private remove(id: string): void {
    this.entries.delete(id);
    rmSync(this.pathOf(id)!, { force: true });
  }

  /** null: no response has this id */
  private pathOf(id: string): string | null {
    return ID.test(id) ? join(this.options.folder, `${id}.json`) : null;
  }
}

/** For a log, which quotes no file. */
function reasonOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? "its text is broken";
}

/** @throws PicoSpecError */
function makePrivate(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const { mode } = statSync(folder);
    if (process.platform === "win32" || (mode & OPEN_TO_OTHERS) === 0) return;
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new PicoSpecError("bad_store", `cannot use ${folder} (${code}); give a folder of your own`, {
      cause,
    });
  }
  const message = `others may read ${folder}, and conversations are stored there: chmod 700 it, or give another folder`;
  throw new PicoSpecError("bad_store", message);
}
