import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Seed, toSeed } from "../sampling/random.ts";

/** What an edge needs of the machine and of the package that it is in. */

/** A path within the package. */
export function packagePath(relative: string): string {
  return fileURLToPath(new URL(`../../${relative}`, import.meta.url));
}

export function version(): string {
  return JSON.parse(readFileSync(packagePath("package.json"), "utf8")).version;
}

/** Name and version, as hello and welcome say them. */
export function software(): string {
  return `picospec/${version()}`;
}

/** 128 bits that nobody can guess, as text. */
export function freshSecret(): string {
  return randomBytes(16).toString("hex");
}

/** 64 fresh random bits. */
export function freshSeed(): Seed {
  return toSeed(`0x${randomBytes(8).toString("hex")}`);
}
