import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { type Entry, Type, text, writeGguf } from "../../test/files/gguf.ts";
import { encode } from "../protocol/encode.ts";
import { PROTOCOL_LIMITS } from "../protocol/frame.ts";
import { givenVocabulary } from "./given-vocabulary.ts";

const folder = mkdtempSync(join(tmpdir(), "picospec-given-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Of a file with a vocabulary of three tokens, and a text of so many bytes. */
function given(padding: number) {
  const entry = (key: string, value: string | Uint8Array): Entry => ({
    ...{ key, type: Type.string, elementType: 0, length: null },
    values: [text(value)],
  });
  const tokens: Entry = {
    ...{ key: "tokenizer.ggml.tokens", type: Type.array, elementType: Type.string, length: null },
    values: ["a", "b", "c"].map(text),
  };
  const path = join(folder, "m.gguf");
  const entries = [
    entry("tokenizer.ggml.model", "gpt2"),
    tokens,
    entry("general.description", new Uint8Array(padding).fill(0x20)),
  ];
  const shape = { version: 3, tensorCount: null, entryCount: null, tensors: [], data: new Uint8Array(0) };
  writeFileSync(path, writeGguf({ ...shape, entries }));
  return givenVocabulary(path);
}

describe("a vocabulary that is given away", () => {
  it("has the hash of its file, and hashes of its blocks that are made once", async () => {
    const { tokenizer, vocabulary } = await given(0);
    expect(vocabulary!.about).toMatchObject({ type: "BPE", ids: 3, fileBytes: tokenizer!.length });
    expect(vocabulary!.about.fileHash).toBe(createHash("sha256").update(tokenizer!).digest("hex"));
    const blocks = await vocabulary!.chunk("blocks", 0);
    expect(blocks).toHaveLength(8);
    expect(await vocabulary!.chunk("blocks", 0)).toBe(blocks);
  });

  it("is given whole up to the last byte of a frame, and in chunks beyond", async () => {
    const { tokenizer } = await given(0);
    const most = PROTOCOL_LIMITS.frameBytes - encode({ type: "tokenizer", file: tokenizer! }).length;
    const whole = await given(most);
    expect(encode({ type: "tokenizer", file: whole.tokenizer! })).toHaveLength(PROTOCOL_LIMITS.frameBytes);
    const beyond = await given(most + 1);
    expect(beyond.tokenizer).toBe(null);
    expect(beyond.vocabulary).not.toBe(null);
  });
});
