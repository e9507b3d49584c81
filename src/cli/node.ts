import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Seed, toSeed } from "../sampling/random.ts";

/** What commands need of the machine that they run on. */

/** A path within the package. */
export function packagePath(relative: string): string {
  return fileURLToPath(new URL(`../../${relative}`, import.meta.url));
}

export const BUNDLED_TARGET = packagePath("models/pico-target-q8_0.gguf");
export const BUNDLED_DRAFTER = packagePath("models/pico-drafter-q8_0.gguf");

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

/** Resolves when this process is to stop: by a signal, or because the parent that started it has gone. */
export function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
    if (process.send) process.once("disconnect", () => resolve());
  });
}
