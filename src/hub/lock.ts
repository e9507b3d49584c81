import { type FileHandle, open, readFile, rm, stat } from "node:fs/promises";
import { hostname } from "node:os";
import type { Clock } from "../util/clock.ts";
import { parsedJson } from "../util/json.ts";
import { HubError } from "./errors.ts";
import type { HubLimits } from "./settings.ts";
import { delay } from "./waiting.ts";

/** One process at a time, by a file that only one can make. */
export interface Lock {
  /** false when another process believed this one dead and took over */
  held(): Promise<boolean>;
  release(): Promise<void>;
}

export interface LockOptions {
  readonly clock: Clock;
  readonly limits: HubLimits;
  /** unlike that of any other lock */
  readonly id: string;
  /** longest wait for another process; 0: none */
  readonly waitMs: number;
  /** called once if another process holds it */
  readonly waiting?: () => void;
}

/**
 * A holder shows that it lives by writing a number into the file that rises. A waiter takes over from one that
 * is dead, or that has been silent on the waiter's own clock: clocks of two machines need not agree.
 * @throws HubError `busy`
 */
export async function acquireLock(path: string, options: LockOptions): Promise<Lock> {
  const { clock, limits, waitMs, waiting } = options;
  const startMs = clock.nowMs();
  let seen: string | null = null;
  let seenMs = startMs;
  for (;;) {
    const handle = await create(path);
    if (handle) return hold(path, handle, options);
    if (seen === null) waiting?.();
    const found = await look(path);
    if (found !== null) {
      if (seen !== found.sign) [seen, seenMs] = [found.sign, clock.nowMs()];
      const silentMs = clock.nowMs() - seenMs;
      // A takeover is a few calls of the file system. One that takes so long died in the middle of them.
      if (silentMs >= 2 * limits.staleMs) await rm(guardOf(path), { force: true });
      const dead = isDead(found.text) || silentMs >= limits.staleMs;
      if (dead && (await takeOver(path, found.sign))) continue;
    }
    if (clock.nowMs() - startMs >= waitMs) {
      const { pid } = ownerIn(found?.text ?? "");
      const who = pid === null ? "another process" : `process ${pid}`;
      throw new HubError("busy", `${who} is downloading this model; wait until it is done, or end it`);
    }
    await delay(clock, limits.lockPollMs);
  }
}

/** null: it is there already. */
async function create(path: string): Promise<FileHandle | null> {
  try {
    return await open(path, "wx");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return null;
    throw error;
  }
}

async function hold(path: string, handle: FileHandle, { clock, limits, id }: LockOptions): Promise<Lock> {
  let beat = 0;
  let released = false;
  const show = async () => {
    const line = JSON.stringify({
      pid: process.pid,
      host: hostname(),
      id,
      beat: String(beat++).padStart(12),
    });
    // Through the handle: were the lock taken over, the new holder's file would not be touched.
    await handle.write(`${line}\n`, 0);
  };
  let cancel = () => {};
  let writing = Promise.resolve();
  const next = () => {
    cancel = clock.schedule(clock.nowMs() + limits.beatMs, () => {
      // A beat that cannot be written, as on a full disk, is one that no other process sees.
      writing = show()
        .catch(() => {})
        .then(() => (released ? undefined : next()));
    });
  };
  try {
    await show();
  } catch (error) {
    await handle.close();
    await rm(path, { force: true });
    throw error;
  }
  next();
  const held = async () => ownerIn(await readFile(path, "utf8").catch(() => "")).id === id;
  return {
    held,
    async release() {
      released = true;
      cancel();
      await writing;
      cancel();
      await handle.close();
      if (await held()) await rm(path, { force: true });
    },
  };
}

interface Found {
  readonly text: string;
  /** another one for every file and every write, also where the text is the same */
  readonly sign: string;
}

/** null: there is no such file. */
async function look(path: string): Promise<Found | null> {
  try {
    const text = await readFile(path, "utf8");
    const { ino, mtimeMs } = await stat(path);
    return { text, sign: `${ino} ${mtimeMs} ${text}` };
  } catch {
    return null;
  }
}

/**
 * Removes a dead holder's file. Of several waiters one may at a time, and it looks once more: what is there by then
 * may be the file of a new holder, who came in when another waiter had removed the old one.
 * @returns false when another waiter is at it
 */
async function takeOver(path: string, sign: string): Promise<boolean> {
  const handle = await create(guardOf(path));
  if (!handle) return false;
  try {
    if ((await look(path))?.sign === sign) await rm(path, { force: true });
  } finally {
    await handle.close();
    await rm(guardOf(path), { force: true });
  }
  return true;
}

const guardOf = (path: string) => `${path}.takeover`;

interface Owner {
  readonly pid: number | null;
  readonly host: string | null;
  readonly id: string | null;
}

function ownerIn(text: string): Owner {
  const { pid, host, id } = (parsedJson(text) ?? {}) as Record<string, unknown>;
  return {
    pid: typeof pid === "number" && Number.isSafeInteger(pid) && pid > 0 ? pid : null,
    host: typeof host === "string" ? host : null,
    id: typeof id === "string" ? id : null,
  };
}

/** Whether the process that wrote this ran here and runs no more. */
function isDead(text: string): boolean {
  const { pid, host } = ownerIn(text);
  if (pid === null || host !== hostname()) return false;
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}
