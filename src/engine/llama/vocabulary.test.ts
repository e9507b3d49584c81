import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { vocabularyFile } from "./vocabulary.ts";

const folder = mkdtempSync(join(tmpdir(), "picospec-"));
afterAll(() => rmSync(folder, { recursive: true }));

const u32 = (value: number) => Buffer.from(Uint32Array.of(value).buffer);
const u64 = (value: number) => Buffer.from(BigUint64Array.of(BigInt(value)).buffer);
const text = (value: string) => Buffer.concat([u64(value.length), Buffer.from(value)]);
/** A file of a model in three parts: metadata of a number, a list of texts and the number of parts; then tensors. */
const file = Buffer.concat([
  Buffer.from("GGUF"),
  u32(3),
  ...[u64(5), u64(3)],
  ...[text("a"), u32(4), u32(7)],
  ...[text("split.count"), u32(2), Buffer.from([3, 0])],
  ...[text("b"), u32(9), u32(8), u64(2), text("x"), text("yz")],
  Buffer.from("tensors"),
]);

describe("a file for a tokenizer alone", () => {
  it("has the metadata, no tensors, and is whole although the model has parts", async () => {
    const path = join(folder, "split.gguf");
    writeFileSync(path, file);
    const expected = Buffer.from(file.subarray(0, file.length - 7));
    expected.writeBigUInt64LE(0n, 8);
    expected[expected.indexOf("split.count") + "split.count".length + 4] = 1;
    expect(Buffer.from(await vocabularyFile(path)).equals(expected)).toBe(true);
  });

  it("is refused where the metadata ends too early", async () => {
    const path = join(folder, "cut.gguf");
    writeFileSync(path, file.subarray(0, file.length - 12));
    await expect(vocabularyFile(path)).rejects.toMatchObject({ code: "bad_model" });
  });
});
