import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { cacheFolder } from "../hub/settings.ts";
import { freshSecret } from "./node.ts";

/** Vocabularies that clouds gave away, by their SHA-256. What cannot be written or read is only fetched again. */

/** Files that are kept; the one that was used longest ago makes way. */
const MOST_KEPT = 16;

function folder(): string {
  return join(cacheFolder(process.env, process.platform, homedir()), "vocabularies");
}

/** null: it is not here, or is another by now */
export async function cachedVocabulary(hash: string): Promise<Uint8Array | null> {
  const path = join(folder(), `${hash}.gguf`);
  const bytes = await readFile(path).catch(() => null);
  if (!bytes || sha256(bytes) !== hash) return null;
  const now = Date.now() / 1000;
  await utimes(path, now, now).catch(() => {});
  return bytes;
}

export async function keepVocabulary(hash: string, bytes: Uint8Array): Promise<void> {
  const path = join(folder(), `${hash}.gguf`);
  // Another process may read it meanwhile.
  const fresh = `${path}.${freshSecret()}`;
  try {
    await mkdir(folder(), { recursive: true });
    await writeFile(fresh, bytes);
    await rename(fresh, path);
    await makeRoom();
  } catch {
    await rm(fresh, { force: true }).catch(() => {});
  }
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function makeRoom(): Promise<void> {
  const names = (await readdir(folder())).filter((name) => name.endsWith(".gguf"));
  const paths = names.map((name) => join(folder(), name));
  const files = await Promise.all(paths.map(async (path) => ({ path, usedMs: (await stat(path)).mtimeMs })));
  files.sort((a, b) => b.usedMs - a.usedMs);
  for (const { path } of files.slice(MOST_KEPT)) await rm(path, { force: true });
}
