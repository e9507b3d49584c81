import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, vi } from "vitest";

/**
 * A folder for the files of one test file, with PicoSpec's cache in it: what was checked or fetched before is known there,
 * and nothing else. It goes after the last test.
 */
export function ownCache(): { readonly folder: string; readonly cache: string } {
  const folder = mkdtempSync(join(tmpdir(), "picospec-"));
  const cache = join(folder, "cache");
  beforeAll(() => {
    vi.stubEnv("PICOSPEC_CACHE", cache);
  });
  afterAll(() => {
    vi.unstubAllEnvs();
    rmSync(folder, { recursive: true });
  });
  return { folder, cache };
}
