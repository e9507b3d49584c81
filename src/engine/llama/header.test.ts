import { createHash } from "node:crypto";
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, it, vi } from "vitest";
import { type Entry, type Gguf, number, Type, text, writeGguf } from "../../../test/files/gguf.ts";
import { readModelFile } from "./gguf.ts";
import { metadataOfBytes, readHeaderOf } from "./header.ts";
import { readVocabularyTable } from "./vocabulary-table.ts";

const folder = mkdtempSync(join(tmpdir(), "picospec-header-"));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
function written(bytes: Uint8Array): string {
  const path = join(folder, `${files++}.gguf`);
  writeFileSync(path, bytes);
  return path;
}

const entry = (key: string, type: number, ...values: Uint8Array[]): Entry => ({
  ...{ key, type, elementType: 0, length: null, values },
});
const list = (key: string, elementType: number, values: Uint8Array[]): Entry => ({
  ...entry(key, Type.array, ...values),
  elementType,
});
const gguf = (entries: Entry[], more: Partial<Gguf> = {}): Gguf => ({
  ...{ version: 3, tensorCount: null, entryCount: null, entries, tensors: [], data: new Uint8Array(0) },
  ...more,
});

interface Vocabulary {
  readonly tokens: readonly (string | Uint8Array)[];
  readonly types: readonly number[];
  readonly scores: readonly number[];
  readonly merges: readonly string[];
}

const TOKENIZER: Vocabulary = {
  tokens: ["<s>", "a", "b", "ab", "[PAD0]"],
  types: [3, 1, 1, 1, 5],
  scores: [],
  merges: ["a b"],
};

function fileOf(change: Partial<Vocabulary>, more: Entry[] = []): string {
  const { tokens, types, scores, merges } = { ...TOKENIZER, ...change };
  const key = (name: string) => `tokenizer.ggml.${name}`;
  return written(
    writeGguf(
      gguf([
        entry(key("model"), Type.string, text("gpt2")),
        entry(key("pre"), Type.string, text("qwen2")),
        list(key("tokens"), Type.string, tokens.map(text)),
        list(
          key("token_type"),
          Type.i32,
          types.map((type) => number(Type.i32, type)),
        ),
        list(
          key("scores"),
          Type.f32,
          scores.map((score) => number(Type.f32, score)),
        ),
        list(key("merges"), Type.string, merges.map(text)),
        ...more,
      ]),
    ),
  );
}

/** As docs/protocol.md has it, over strings. */
function plainFingerprint({ tokens, types, scores, merges }: Vocabulary): string {
  const kept = types.at(-1) === 5 ? tokens.length - 1 : tokens.length;
  const decoder = new TextDecoder();
  const texts = tokens.map((token) =>
    decoder.decode(typeof token === "string" ? new TextEncoder().encode(token) : token),
  );
  const parts = (label: string, values: readonly unknown[]) => [label, values.length, ...values];
  const all = [
    ...parts("kind", ["gpt2", "qwen2"]),
    ...parts("tokens", texts.slice(0, kept)),
    ...parts("types", types.slice(0, kept)),
    ...parts("scores", scores.slice(0, kept).map(Math.fround)),
    ...parts("merges", merges),
  ];
  const hash = createHash("sha256").update(all.map((value) => `${value}\0`).join(""));
  return `gpt2-${kept}-${hash.digest("hex").slice(0, 16)}`;
}

describe("a fingerprint", () => {
  it("is that of the protocol's page", async () => {
    expect((await readModelFile(fileOf({}))).fingerprint).toBe("gpt2-4-288c040da223b5c4");
  });

  it.each<[string, Partial<Vocabulary>]>([
    ["no padding", { types: [3, 1, 1, 1, 1] }],
    ["scores of all kinds", { scores: [0, -1, 1.5, -1e-7, 1e30] }],
    ["the least and the largest whole numbers", { scores: [-0, 999_999_999, -1e9, 123_456_792, 2 ** 60] }],
    ["no number", { scores: [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 0] }],
    ["types of several digits", { types: [3, 10, -1, 2 ** 31 - 1, 0] }],
    ["other scripts", { tokens: ["é", "你好", "🦙", "", "\u0000"] }],
    ["a mark of byte order", { tokens: ["\uFEFF", "\uFEFFa", "a\uFEFF", "\uFEFF\uFEFF", "b"] }],
    ["what is no UTF-8", { tokens: ["a", Uint8Array.of(0xff, 0x61), "\uFEFFb", Uint8Array.of(0xef), "c"] }],
  ])("is that of release 0.1: %s", async (_, change) => {
    const expected = plainFingerprint({ ...TOKENIZER, ...change });
    expect((await readModelFile(fileOf(change))).fingerprint).toBe(expected);
  });
});

describe("an identity", () => {
  const identity = async (...args: Parameters<typeof fileOf>) =>
    (await readModelFile(fileOf(...args))).identity;

  it("sees all that the tokenizer says, and nothing else", async () => {
    const one = await identity({});
    const flag = (key: string, value: number) => [entry(key, Type.bool, Uint8Array.of(value))];
    expect(await identity({}, flag("general.flag", 1))).toBe(one);
    const others = await Promise.all([
      identity({ types: [3, 1, 1, 4, 5] }),
      identity({ merges: [] }),
      identity({}, flag("tokenizer.ggml.add_bos_token", 0)),
      identity({}, flag("tokenizer.ggml.add_bos_token", 1)),
    ]);
    expect(new Set([one, ...others]).size).toBe(5);
  });
});

describe("a table of a vocabulary", () => {
  it("counts without padding of whatever type, and knows what may differ", async () => {
    const tokens = ["<s>", "a", "<pad>", "b", "[PAD]", "[PAD12]", "<dummy00003>", "[PAD 1]x"];
    const types = [3, 1, 4, 5, 1, 4, 4, 1];
    const table = await readVocabularyTable(fileOf({ tokens, types }));
    const exempt = tokens.map((_, id) => table.entries[2 * id + 1]! >>> 31);
    expect(exempt).toEqual([1, 0, 1, 1, 1, 1, 1, 0]);
    expect([table.type, table.ids, table.tokens]).toEqual(["BPE", 8, 8]);
    const padded = await readVocabularyTable(
      fileOf({ tokens: tokens.slice(0, 7), types: types.slice(0, 7) }),
    );
    expect([padded.ids, padded.tokens]).toEqual([7, 2]);
  });
});

describe("a header", () => {
  it("larger than what is read first is read whole", async () => {
    const tokens = Array.from({ length: 60_000 }, (_, i) => `${i} ${"x".repeat(100)}`);
    const types = Array<number>(60_000).fill(1);
    const { metadata } = await readHeaderOf(fileOf({ tokens, types }));
    expect(metadata["tokenizer.ggml.tokens"]).toMatchObject({ length: 60_000 });
    expect((await readModelFile(fileOf({ tokens, types }))).fingerprint).toBe(
      plainFingerprint({ ...TOKENIZER, tokens, types }),
    );
  });

  it("has values of every type, and the last of a key that is there twice", () => {
    const all = gguf([
      entry("a", 0, number(0, 200)),
      entry("b", 1, number(1, -3)),
      entry("c", 10, number(10, 2 ** 40)),
      entry("d", 12, number(12, 0.1)),
      entry("e", Type.bool, Uint8Array.of(1)),
      list("f", Type.string, [text("x"), text("é")]),
      list("g", Type.i32, [number(Type.i32, -7)]),
      entry("a", Type.string, text("again")),
      entry("__proto__", Type.string, text("no harm")),
    ]);
    const { metadata } = metadataOfBytes(writeGguf(all));
    expect({ ...metadata }).toEqual({
      ...{ a: "again", b: -3, c: 2n ** 40n, d: 0.1, e: true, f: ["x", "é"], g: [-7] },
      ["__proto__"]: "no harm",
    });
  });

  const plain = () => gguf([entry("a", Type.u32, number(Type.u32, 1))]);
  it.each<[string, Gguf, RegExp]>([
    ["another version", { ...plain(), version: 1 }, /version 1 of the format/],
    ["more keys than any", { ...plain(), entryCount: 2n ** 63n }, /it says that it has \d+ keys/],
    ["more keys than there are", { ...plain(), entryCount: 5n }, /it ends at \d+ bytes, within its header/],
    ["more tensors than there are", { ...plain(), tensorCount: 2n ** 64n - 1n }, /within its header/],
    ["a type that is none", gguf([entry("a", 13, number(Type.u32, 1))]), /no type 13 of values/],
    ["lists in lists", gguf([list("a", Type.array, [number(Type.u32, 1)])]), /lists in lists/],
    [
      "a list that is longer than the file",
      gguf([{ ...list("tokenizer.x", Type.string, [text("a")]), length: 2n ** 40n }]),
      /within its header/,
    ],
    [
      "a list of more numbers than any",
      gguf([{ ...list("a", Type.u8, [number(0, 1)]), length: 2n ** 30n }]),
      /a list says that it has 1073741824 elements/,
    ],
    [
      "an alignment that is none",
      gguf([entry("general.alignment", Type.u32, number(Type.u32, 33))]),
      /its alignment is 33/,
    ],
  ])("is refused for %s", async (_, file, message) => {
    await expect(readHeaderOf(written(writeGguf(file)))).rejects.toMatchObject({
      code: "bad_model",
      message: expect.stringMatching(message),
    });
  });
});

describe("how much of a file is read", () => {
  afterEach(() => vi.restoreAllMocks());

  /** What all open files are made of. */
  async function handles(): Promise<FileHandle> {
    const handle = await open(written(Buffer.alloc(0)));
    await handle.close();
    return Object.getPrototypeOf(handle);
  }

  it("ends where the file does, also where it was longer when it was opened", async () => {
    const path = written(writeGguf(gguf([entry("general.name", Type.string, text("x".repeat(500)))])));
    const prototype = await handles();
    const stat = prototype.stat;
    vi.spyOn(prototype, "stat").mockImplementation(async function (this: FileHandle) {
      const found = await stat.call(this);
      truncateSync(path, 100);
      return found as never;
    });
    await expect(readHeaderOf(path)).rejects.toMatchObject({
      code: "bad_model",
      message: expect.stringContaining("it ends at 100 bytes"),
    });
  });

  it("is no more than a header may have", async () => {
    const most = 256 * 2 ** 20;
    const u64 = (value: number) => new Uint8Array(BigUint64Array.of(BigInt(value)).buffer);
    // A list of 70 MiB, and a second key: the next read would be four times as much as that.
    const [listBytes, keys] = [70 * 2 ** 20, 2];
    const head = Buffer.concat([
      ...[text("tokenizer.x"), number(Type.u32, Type.array), number(Type.u32, Type.u8)],
      u64(listBytes),
    ]);
    const start = Buffer.concat([...[Buffer.from("GGUF"), number(Type.u32, 3), u64(0), u64(keys)], head]);
    const path = written(start);
    truncateSync(path, 2 * most);
    const prototype = await handles();
    const read = prototype.read as (...all: unknown[]) => Promise<{ bytesRead: number }>;
    const secondKey = start.length + listBytes;
    const lengths: number[] = [];
    const reads = async function (this: FileHandle, buffer: Buffer, ...[, length]: [number, number]) {
      lengths.push(length);
      await read.call(this, buffer, 0, Math.min(length, 4096), 0);
      // All that matters of the rest, which would take seconds.
      if (length > secondKey) buffer.fill(0, secondKey, secondKey + 64);
      return { bytesRead: length, buffer };
    };
    vi.spyOn(prototype, "read").mockImplementation(reads as never);
    const { end } = await readHeaderOf(path);
    // A key without a name, its type, and a byte.
    expect(end).toBe(secondKey + 8 + 4 + 1);
    expect(Math.max(...lengths)).toBe(most);
  });
});
