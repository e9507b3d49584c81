import { copyFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { writeRandomGguf } from "../../../test/support/random-gguf.ts";
import { readModelDetails } from "./details.ts";
import { readHeader } from "./gguf.ts";
import { weightsHash } from "./weights.ts";

const folder = mkdtempSync(join(tmpdir(), "picospec-"));
afterAll(() => rmSync(folder, { recursive: true }));

const SHAPE = { kind: "bpe", vocabularySize: 400, layers: 2, seed: 1 } as const;
const path = join(folder, "a.gguf");
writeRandomGguf(path, SHAPE);

const hashOf = async (...paths: readonly string[]) =>
  weightsHash(await Promise.all(paths.map(async (one) => ({ path: one, header: await readHeader(one) }))));

/** The file with one byte changed. */
function changedAt(offset: number): string {
  const bytes = readFileSync(path);
  bytes[offset]! ^= 1;
  const changed = join(folder, "changed.gguf");
  writeFileSync(changed, bytes);
  return changed;
}

describe("the hash of weights", () => {
  it("is the same for a copy under another name, and other for other weights", async () => {
    const copy = join(folder, "b.gguf");
    copyFileSync(path, copy);
    expect(await hashOf(path)).toMatch(/^[0-9a-f]{32}$/);
    expect(await hashOf(copy)).toBe(await hashOf(path));
    const other = join(folder, "other.gguf");
    for (const change of [{ seed: 2 }, { weights: "Q4_0" }, { chatTemplate: "x" }] as const) {
      writeRandomGguf(other, { ...SHAPE, ...change });
      expect(await hashOf(other)).not.toBe(await hashOf(path));
    }
  });

  it("sees a change in the middle of any tensor, in the header and in the length", async () => {
    const { tensors, dataOffset } = await readHeader(path);
    const { length: size } = readFileSync(path);
    const starts = tensors.map(({ offset }) => dataOffset + Number(offset)).sort((a, b) => a - b);
    expect(starts.length).toBeGreaterThan(10);
    const hashes = new Set([await hashOf(path)]);
    for (const [i, start] of starts.entries()) {
      hashes.add(await hashOf(changedAt(Math.floor((start + (starts[i + 1] ?? size)) / 2))));
    }
    expect(hashes.size).toBe(starts.length + 1);
    const longer = join(folder, "longer.gguf");
    writeFileSync(longer, Buffer.concat([readFileSync(path), Buffer.alloc(1)]));
    expect(hashes).not.toContain(await hashOf(longer));
  });

  it("control: a change outside of the samples is not seen, as the documentation says", async () => {
    const { tensors, dataOffset } = await readHeader(path);
    const starts = tensors.map(({ offset }) => Number(offset)).sort((a, b) => a - b);
    const large = starts.findIndex((start, i) => (starts[i + 1] ?? 0) - start > 3 * 4096);
    expect(large).toBeGreaterThanOrEqual(0);
    expect(await hashOf(changedAt(dataOffset + starts[large]!))).toBe(await hashOf(path));
  });

  it("covers all parts of a model, in order", async () => {
    const other = join(folder, "part.gguf");
    writeRandomGguf(other, { ...SHAPE, seed: 3 });
    const hashes = [await hashOf(path), await hashOf(path, other), await hashOf(other, path)];
    expect(new Set(hashes).size).toBe(3);
  });

  it("refuses a file that ends within its tensors", async () => {
    const cut = join(folder, "cut.gguf");
    copyFileSync(path, cut);
    const { tensors, dataOffset } = await readHeader(path);
    const last = Math.max(...tensors.map(({ offset }) => Number(offset)));
    truncateSync(cut, dataOffset + last - 1);
    await expect(hashOf(cut)).rejects.toMatchObject({ code: "bad_model" });
  });

  it("is among a file's details", async () => {
    expect((await readModelDetails([path])).weights).toBe(await hashOf(path));
  });
});
