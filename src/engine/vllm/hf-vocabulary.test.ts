import { describe, expect, it } from "vitest";
import { judgePair, summarised } from "../../decoding/vocabulary-pair.ts";
import { metadataOfBytes } from "../llama/header.ts";
import { MetadataList } from "../llama/metadata-list.ts";
import { vocabularyTable } from "../llama/vocabulary-table.ts";
import { hfVocabulary } from "./hf-vocabulary.ts";
import type { ModelFolder } from "./model-folder.ts";

const added = (id: number, content: string, special = true) => ({ id, content, special });

/** A tokenizer.json, as far as it is looked at. */
function folderOf(given: Record<string, unknown> = {}, more: Partial<ModelFolder> = {}): ModelFolder {
  const vocab = { "<|end|>": 0, a: 1, b: 2, c: 3, Ġ: 4, ab: 5, Ġc: 6, é: 7 };
  const model = { type: "BPE", vocab, merges: ["a b", "Ġ c"] };
  const cutting = { type: "ByteLevel", add_prefix_space: false };
  return {
    path: "/model",
    tokenizer: {
      added_tokens: [added(0, "<|end|>"), added(8, "<tool>", false)],
      model,
      pre_tokenizer: cutting,
      ...given,
    },
    ...{ chatTemplate: null, beginText: null, endText: "<|end|>", endIds: [0], vocabularySize: 12 },
    ...more,
  };
}

const read = (folder: ModelFolder) => metadataOfBytes(hfVocabulary(folder).file("gpt-2"));

function list(folder: ModelFolder, name: string): (string | number)[] {
  const value = read(folder).metadata[`tokenizer.ggml.${name}`];
  expect(value).toBeInstanceOf(MetadataList);
  const found = value as MetadataList;
  return Array.from({ length: found.length }, (_, i) => (found.isOfTexts ? found.text(i) : found.number(i)));
}

describe("a tokenizer.json as GGUF", () => {
  it("has its tokens, their types, its merges, and padding up to the model's rows", () => {
    const tokens = ["<|end|>", "a", "b", "c", "Ġ", "ab", "Ġc", "é", "<tool>", "[PAD9]", "[PAD10]", "[PAD11]"];
    expect(list(folderOf(), "tokens")).toEqual(tokens);
    expect(list(folderOf(), "token_type")).toEqual([3, 1, 1, 1, 1, 1, 1, 1, 4, 5, 5, 5]);
    expect(list(folderOf(), "merges")).toEqual(["a b", "Ġ c"]);
    const pairs = {
      model: { type: "BPE", vocab: { a: 0, b: 1, ab: 2 }, merges: [["a", "b"]] },
      added_tokens: [],
    };
    expect(list(folderOf(pairs), "merges")).toEqual(["a b"]);
    expect(read(folderOf()).metadata).toMatchObject({
      "tokenizer.ggml.model": "gpt2",
      "tokenizer.ggml.pre": "gpt-2",
      "tokenizer.ggml.eos_token_id": 0,
      "tokenizer.ggml.add_bos_token": false,
    });
  });

  it("begins texts as its post-processor does", () => {
    const single = [{ SpecialToken: { id: "<|end|>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }];
    for (const step of [{ single }, { processors: [{ type: "ByteLevel" }, { single }] }]) {
      const { metadata } = read(folderOf({ post_processor: step }));
      expect(metadata["tokenizer.ggml.add_bos_token"]).toBe(true);
      expect(metadata["tokenizer.ggml.bos_token_id"]).toBe(0);
    }
  });

  it("with byte fallback has scores by the rank of its merges", () => {
    const vocab = { "<unk>": 0, "<s>": 1, "<0x0A>": 2, "▁": 3, a: 4, "▁a": 5, aa: 6 };
    const merges = [
      ["a", "a"],
      ["▁", "a"],
    ];
    const model = { type: "BPE", byte_fallback: true, unk_token: "<unk>", vocab, merges };
    const tokens = [added(0, "<unk>"), added(1, "<s>")];
    const folder = folderOf(
      { model, added_tokens: tokens, normalizer: { type: "Prepend" } },
      { vocabularySize: null },
    );
    expect(list(folder, "token_type")).toEqual([2, 3, 6, 1, 1, 1, 1]);
    expect(list(folder, "scores")).toEqual([-2, -2, -2, -2, -2, -1, -0]);
    expect(read(folder).metadata["tokenizer.ggml.add_space_prefix"]).toBe(true);
    expect(read(folder).metadata["tokenizer.ggml.model"]).toBe("llama");
    expect(hfVocabulary(folder).candidates).toEqual(["default"]);
  });

  it("is judged as any vocabulary: control tokens and padding may differ, and a text may not", async () => {
    const table = (folder: ModelFolder) => vocabularyTable(read(folder));
    const target = summarised(table(folderOf()));
    expect(await judgePair(table(folderOf()), target)).toEqual({ problem: null, barred: new Int32Array(0) });
    const renamed = folderOf({}, { vocabularySize: 9 });
    expect(await judgePair(table(renamed), target)).toEqual({ problem: null, barred: new Int32Array(0) });
    const json = folderOf().tokenizer as { model: { vocab: object } };
    const other = { ...json.model, vocab: { ...json.model.vocab, Ġc: 7, é: 6 } };
    expect((await judgePair(table(folderOf({ model: other })), target)).problem).toMatch(/token 6/);
  });

  it("has the likeliest ways to cut texts first, and all that there are", () => {
    const first = (cutting: unknown) =>
      hfVocabulary(folderOf({ pre_tokenizer: cutting })).candidates.slice(0, 2);
    const split = (regex: string) => ({ type: "Split", pattern: { Regex: regex } });
    expect(first({ type: "ByteLevel" })).toEqual(["gpt-2", "default"]);
    expect(first({ pretokenizers: [{ type: "Digits", individual_digits: true }] })[0]).toBe("smollm");
    expect(first(split("(?i:'s|'t)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?"))[0]).toBe("llama-bpe");
    expect(first(split("(?i:'s|'t)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?"))[0]).toBe("qwen2");
    expect(first(split("[\\p{Lu}\\p{Lt}]*[\\p{Ll}]+|\\p{N}{1,3}"))[0]).toBe("gpt-4o");
    const { candidates } = hfVocabulary(folderOf());
    expect(new Set(candidates).size).toBe(candidates.length);
  });

  it("ends answers with the tokenizer's own end token and the model's", () => {
    expect(hfVocabulary(folderOf({}, { endIds: [5, 0] })).endTokens).toEqual([0, 5]);
    expect(hfVocabulary(folderOf({}, { endText: null, endIds: [5] })).endTokens).toEqual([5]);
  });

  it.each([
    ["no model", { model: undefined }, /its model/],
    ["another algorithm", { model: { type: "Unigram", vocab: [] } }, /of type Unigram/],
    ["ids that are none", { model: { type: "BPE", vocab: { a: -1 }, merges: [] } }, /its vocabulary/],
    ["an id past all bounds", { model: { type: "BPE", vocab: { a: 1e9 }, merges: [] } }, /its vocabulary/],
    ["merges that are none", { model: { type: "BPE", vocab: { a: 0 }, merges: [["a"]] } }, /its merges/],
    ["added tokens that are none", { added_tokens: [{ id: "x" }] }, /its added_tokens/],
  ])("is refused with %s", (_, given, message) => {
    expect(() => hfVocabulary(folderOf(given))).toThrow(message);
  });
});
