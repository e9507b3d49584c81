import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Seed, toSeed } from "../sampling/random.ts";
import { assert } from "../util/assert.ts";

/** What an edge needs of the machine and of the package that it is in. */

/** Sources and what is built of them lie at different depths: the package begins at the first package.json above. */
const PACKAGE_FOLDER = packageFolder(dirname(fileURLToPath(import.meta.url)));

function packageFolder(folder: string): string {
  if (existsSync(join(folder, "package.json"))) return folder;
  const above = dirname(folder);
  assert(above !== folder, "this file is in no package");
  return packageFolder(above);
}

/** A path within the package. */
export function packagePath(relative: string): string {
  return join(PACKAGE_FOLDER, relative);
}

export function version(): string {
  return JSON.parse(readFileSync(packagePath("package.json"), "utf8")).version;
}

/** Name and version, as hello and welcome say them. */
export function software(): string {
  return `picospec/${version()}`;
}

/** 128 bits that cannot be guessed, as text. */
export function freshSecret(): string {
  return randomBytes(16).toString("hex");
}

/** 64 fresh random bits. */
export function freshSeed(): Seed {
  return toSeed(`0x${randomBytes(8).toString("hex")}`);
}
