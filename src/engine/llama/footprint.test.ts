import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { writeRandomGguf } from "../../../test/support/random-gguf.ts";
import { attention, footprintOf } from "./footprint.ts";
import { readHeader } from "./gguf.ts";

const folder = mkdtempSync(join(tmpdir(), "picospec-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe("a model's footprint", () => {
  it.each(["F16", "Q4_0"] as const)("is in the header, to the byte: %s", async (weights) => {
    const path = join(folder, `${weights}.gguf`);
    writeRandomGguf(path, { kind: "spm", vocabularySize: 400, layers: 2, seed: 1, weights });
    const { fileBytes, contextTokens, kvBytesPerToken } = footprintOf(1000, await readHeader(path));
    expect(fileBytes).toBe(1000);
    // 2 layers of 2 heads with keys and values of 32 numbers.
    expect([contextTokens, kvBytesPerToken]).toEqual([512, 2 * 2 * 64 * 2]);
  });

  it("is refused where the header is garbage", async () => {
    const path = join(folder, "garbage.gguf");
    writeFileSync(path, Buffer.concat([Buffer.from("GGUF"), Buffer.alloc(200, 0xff)]));
    await expect(readHeader(path)).rejects.toMatchObject({ code: "bad_model" });
  });

  it("knows heads that differ by layer, and lengths that are given", () => {
    const metadata = {
      "general.architecture": "x",
      "x.block_count": 3,
      "x.embedding_length": 64,
      "x.attention.head_count": 4,
      "x.context_length": 1024,
    };
    expect(attention(metadata)).toEqual({ contextTokens: 1024, kvBytesPerToken: 3 * 4 * 32 * 2 });
    const grouped = { ...metadata, "x.attention.head_count_kv": [1, 0, 2] };
    expect(attention(grouped).kvBytesPerToken).toBe(3 * 32 * 2);
    const given = { ...grouped, "x.attention.key_length": 10, "x.attention.value_length": 6 };
    expect(attention(given).kvBytesPerToken).toBe(3 * 16 * 2);
    expect(attention({ "general.architecture": "x" })).toEqual({ contextTokens: 0, kvBytesPerToken: 0 });
  });
});
