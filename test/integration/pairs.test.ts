import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { createCloud } from "../../src/device/cloud.ts";
import { createEdge } from "../../src/device/edge.ts";
import { LlamaModel } from "../../src/engine/llama/model.ts";
import { LlamaTokenizer } from "../../src/engine/llama/tokenizer.ts";
import { ownCache } from "../support/own-cache.ts";
import { greedyOf, pairTexts } from "../support/pair-texts.ts";
import { writeRandomGguf } from "../support/random-gguf.ts";
import { type WornVocabulary, wearVocabulary } from "../support/wear-vocabulary.ts";

/** Pairs out of the bundled vocabulary, each verdict stated beforehand; test/real/pairs.test.ts has those of families. */

const VOCABULARY = "models/pico-target-q8_0.gguf";
const NORMAL = 1;
const CONTROL = 3;
const USER_DEFINED = 4;
const UNUSED = 5;

const { folder, cache } = ownCache();
const target = join(folder, "target.gguf");
beforeAll(() => {
  wearVocabulary(VOCABULARY, target, { layers: 2 });
});

type Change = (vocabulary: WornVocabulary) => void;

function drafterOf(name: string, change: Change): string {
  const path = join(folder, `${name.replaceAll(/\W/g, "-")}.gguf`);
  wearVocabulary(VOCABULARY, path, { layers: 1, change });
  return path;
}

const ACCEPTED: readonly (readonly [name: string, change: Change])[] = [
  ["the same file", () => {}],
  ["no pre-tokenizer", (one) => one.drop("pre")],
  ["another name of a pre-tokenizer", (one) => one.say("pre", "default")],
  ["merges in another order", reversed],
  ["one token of another type", (one) => one.retype(700, USER_DEFINED)],
  ["128 tokens of padding", (one) => padded(one, 128, UNUSED)],
  ["300 of padding, typed as defined by a user", (one) => padded(one, 300, USER_DEFINED)],
  ["an added PAD", (one) => one.add("[PAD]", CONTROL)],
  ["64 tokens more", (one) => more(one, 64)],
  [
    "control tokens of other names",
    (one) => {
      for (const id of [0, 2, 3, 4, 5]) one.rename(id, `<|other-${id}|>`);
    },
  ],
  [
    "a control token in place of another's text",
    (one) => {
      one.rename(900, "<|think|>");
      one.retype(900, CONTROL);
    },
  ],
];

const REFUSED: readonly (readonly [name: string, change: Change, reason: RegExp])[] = [
  ["129 tokens more", (one) => more(one, 129), /2177 tokens in the drafter and 2048 in the target/],
  ["129 tokens less", (one) => one.cut(2048 - 129), /1919 tokens in the drafter and 2048 in the target/],
  ["another text at id 1000", (one) => one.rename(1000, "zzzz"), /token 1000, "zzzz" in the drafter/],
  ["ids in another order", swapped, /token 600, /],
];

function padded(vocabulary: WornVocabulary, count: number, type: number): void {
  for (let i = 0; i < count; i++) vocabulary.add(`[PAD${2048 + i}]`, type);
}

function more(vocabulary: WornVocabulary, count: number): void {
  for (let i = 0; i < count; i++) vocabulary.add(`added${i}`, NORMAL);
}

function reversed(vocabulary: WornVocabulary): void {
  vocabulary.list("merges").reverse();
}

function swapped(vocabulary: WornVocabulary): void {
  const tokens = vocabulary.list("tokens");
  [tokens[600], tokens[1700]] = [tokens[1700]!, tokens[600]!];
}

describe("a pair is accepted, and its text is the target's", () => {
  it.each(ACCEPTED)("%s", async (name, change) => {
    const { alone, drafted, accepted } = await pairTexts(target, drafterOf(name, change));
    expect(new Set(alone).size).toBeGreaterThan(3);
    expect(drafted.race).toEqual(alone);
    expect(drafted.picospec).toEqual(greedyOf(alone));
    expect(accepted).toBeGreaterThan(20);
  });

  it("control: by the drafter's own tokenizer the prompt would be another", async () => {
    const tokens = await Promise.all(
      [target, drafterOf("merges in another order", reversed)].map(async (path) => {
        const model = await LlamaModel.load(path, { gpu: "off", vocabularyOnly: true });
        const ids = new LlamaTokenizer(model).encode("Hello, I have 1234567 apples", false);
        model.close();
        return ids.join();
      }),
    );
    expect(tokens[0]).not.toBe(tokens[1]);
  });

  it("control: of two targets of one vocabulary the texts differ", async () => {
    const other = join(folder, "other-target.gguf");
    wearVocabulary(VOCABULARY, other, { layers: 3 });
    const [one, two] = [await pairTexts(target, target), await pairTexts(other, target)];
    expect(one.alone).not.toEqual(two.alone);
  });
});

describe("a pair is refused with its reason", () => {
  it.each(REFUSED)("%s", async (name, change, reason) => {
    await expect(pairTexts(target, drafterOf(name, change))).rejects.toMatchObject({
      code: "tokenizer_mismatch",
      message: expect.stringMatching(reason),
    });
  });

  it("SPM with BPE", async () => {
    const spm = join(folder, "spm.gguf");
    writeRandomGguf(spm, { kind: "spm", vocabularySize: 2048, layers: 1, seed: 1 });
    await expect(pairTexts(target, spm)).rejects.toMatchObject({
      code: "tokenizer_mismatch",
      message: expect.stringMatching(/of different types: SPM in the drafter, BPE in the target/),
    });
  });
});

describe("the target's vocabulary", () => {
  const cached = () => {
    try {
      return readdirSync(join(cache, "vocabularies"));
    } catch {
      return [];
    }
  };

  it("is not fetched for an identical drafter, or one that is refused; else once, and kept", async () => {
    rmSync(join(cache, "vocabularies"), { recursive: true, force: true });
    await using cloud = await createCloud({ model: target, port: 0, threads: 1, gpu: "off" });
    const connect = async (model: string) => {
      const edge = await createEdge({ cloud: cloud.url, model, threads: 1, gpu: "off" });
      await edge.close();
    };
    await connect(drafterOf("same", () => {}));
    await connect(drafterOf("refused", (one) => one.rename(1000, "zzzz"))).catch(() => {});
    expect(cached()).toEqual([]);
    const pre = drafterOf("pre", (one) => one.drop("pre"));
    await connect(pre);
    const [kept, ...others] = cached();
    expect(others).toEqual([]);
    expect(kept).toMatch(/^[0-9a-f]{64}\.gguf$/);
    await connect(pre);
    expect(cached()).toEqual([kept]);
  });
});
