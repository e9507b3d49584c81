import { createHash } from "node:crypto";
import { mkdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { partsOf } from "../../engine/llama/gguf.ts";
import { platformBuilds } from "../../engine/llama/library.ts";
import { cacheFolder } from "../../hub/settings.ts";
import { parsedJson } from "../../util/json.ts";
import { freshSecret, version } from "../node.ts";
import { ISOLATION_LIMITS } from "./limits.ts";
import type { Extent } from "./requests.ts";

/**
 * Which files were found fine, over all processes of this user. A model is known by what the file system says of its
 * parts (path, size, place on the disk, times of change): hashing 40 GB at each start would take a minute. What the
 * cloud sends is small, and known by its hash. Failures are not kept: a busy machine can cause one.
 */

const schema = z.object({ fine: z.array(z.string()) });

/** null: it is not there, or is no file; then there is nothing to remember */
export async function keyOfFile(path: string, extent: Extent): Promise<string | null> {
  try {
    const parts = await Promise.all(partsOf(path).map((part) => stat(part, { bigint: true })));
    const facts = parts.map(({ dev, ino, size, mtimeNs, ctimeNs }) =>
      [dev, ino, size, mtimeNs, ctimeNs].join(),
    );
    return keyOf(extent, [path, ...facts]);
  } catch {
    return null;
  }
}

export function keyOfBytes(bytes: Uint8Array): string {
  return keyOf("vocabulary", [createHash("sha256").update(bytes).digest("hex")]);
}

/** Another release, or another llama.cpp, looks again. */
function keyOf(extent: Extent, facts: readonly string[]): string {
  const builds = platformBuilds()?.installed.map((build) => `${build.name}@${build.version}`) ?? [];
  const all = [version(), process.env.PICOSPEC_CPU_BUILD ?? "", ...builds, extent, ...facts];
  return createHash("sha256").update(all.join("\0")).digest("hex").slice(0, 32);
}

function place(): string {
  return cacheFolder(process.env, process.platform, homedir());
}

/** Of this process: also where the folder cannot be written. */
const here = new Set<string>();

export async function isKnownFine(key: string): Promise<boolean> {
  return here.has(key) || (await kept()).includes(key);
}

export async function rememberFine(key: string): Promise<void> {
  if (here.size >= ISOLATION_LIMITS.remembered) here.clear();
  here.add(key);
  const others = (await kept()).filter((other) => other !== key);
  const fine = [...others, key].slice(-ISOLATION_LIMITS.remembered);
  const file = join(place(), "checked.json");
  // Another process may write meanwhile: what one of them loses is only checked once more.
  const fresh = `${file}.${freshSecret()}`;
  try {
    await mkdir(place(), { recursive: true });
    await writeFile(fresh, JSON.stringify({ fine }));
    await rename(fresh, file);
  } catch {
    // A folder that cannot be written: the next process checks again.
  }
}

async function kept(): Promise<readonly string[]> {
  const text = await readFile(join(place(), "checked.json"), "utf8").catch(() => "");
  return schema.safeParse(parsedJson(text)).data?.fine ?? [];
}
