import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { judgeFiles } from "../../src/engine/llama/details.ts";
import { readModelFile } from "../../src/engine/llama/gguf.ts";
import { keepDrafting } from "../support/drafting.ts";
import { ownCache } from "../support/own-cache.ts";
import { realVocabularies } from "../support/vocabularies.ts";
import { type WornVocabulary, wearVocabulary } from "../support/wear-vocabulary.ts";
import { WornWorld } from "../support/worn-world.ts";

/** Pairs as they are found on the hub, imitated by changing real vocabularies, each verdict stated beforehand. */

keepDrafting();

const vocabularies = new Map((await realVocabularies()).map(({ name, path }) => [name, path]));
const { folder } = ownCache();

const [NORMAL, CONTROL, USER_DEFINED, UNUSED] = [1, 3, 4, 5];

/** A model: whose vocabulary it wears, and what is changed in it. */
interface Model {
  readonly name: string;
  readonly wears: string;
  readonly change?: (vocabulary: WornVocabulary) => void;
}

type Renamed = Readonly<Record<number, readonly [name: string, type: number]>>;

const renamed = (tokens: Renamed) => (vocabulary: WornVocabulary) => {
  for (const [id, [name, type]] of Object.entries(tokens)) {
    vocabulary.rename(Number(id), name);
    vocabulary.retype(Number(id), type);
  }
};
const added = (count: number, name: (i: number) => string, type: number) => (vocabulary: WornVocabulary) => {
  for (let i = 0; i < count; i++) vocabulary.add(name(i), type);
};

const QWEN2: Model = { name: "Qwen2 1.5B", wears: "qwen2" };
const QWEN2_72B: Model = {
  name: "Qwen2 72B",
  wears: "qwen2",
  change: added(128, (i) => `[PAD${151_936 + i}]`, UNUSED),
};
const QWEN25: Model = {
  name: "Qwen2.5 1.5B",
  wears: "qwen2",
  change: renamed({
    151646: ["<|object_ref_start|>", CONTROL],
    151647: ["<|object_ref_end|>", CONTROL],
    151648: ["<|box_start|>", CONTROL],
    151649: ["<|box_end|>", CONTROL],
    151657: ["<tool_call>", USER_DEFINED],
  }),
};
const R1_QWEN: Model = {
  name: "DeepSeek-R1-Distill-Qwen",
  wears: "qwen2",
  change: renamed({
    151643: ["<｜end▁of▁sentence｜>", CONTROL],
    151644: ["<｜User｜>", CONTROL],
    151645: ["<｜Assistant｜>", CONTROL],
    151646: ["<｜begin▁of▁sentence｜>", CONTROL],
    151647: ["<|EOT|>", CONTROL],
    151648: ["<think>", USER_DEFINED],
    151649: ["</think>", USER_DEFINED],
    151657: ["<tool_call>", USER_DEFINED],
  }),
};
const LLAMA32: Model = { name: "Llama-3.2-1B", wears: "llama-bpe" };
const HERMES3: Model = {
  name: "Hermes 3",
  wears: "llama-bpe",
  change: renamed({
    128002: ["<tool_call>", USER_DEFINED],
    128013: ["<tool_response>", USER_DEFINED],
    128039: ["<|im_start|>", CONTROL],
    128040: ["<|im_end|>", CONTROL],
  }),
};
const R1_LLAMA: Model = {
  name: "DeepSeek-R1-Distill-Llama",
  wears: "llama-bpe",
  change: renamed({
    128000: ["<｜begin▁of▁sentence｜>", CONTROL],
    128001: ["<｜end▁of▁sentence｜>", CONTROL],
    128011: ["<｜User｜>", CONTROL],
    128012: ["<｜Assistant｜>", CONTROL],
    128013: ["<think>", USER_DEFINED],
    128014: ["</think>", USER_DEFINED],
    128015: ["<｜▁pad▁｜>", CONTROL],
  }),
};
const GEMMA3_27B: Model = {
  name: "Gemma 3 27B",
  wears: "gemma-4",
  change: added(64, (i) => (i === 0 ? "<image_soft_token>" : `<unused${6300 + i}>`), UNUSED),
};

interface Accepted {
  readonly what: string;
  readonly target: Model;
  readonly drafter: Model;
  /** ids that are never drafted */
  readonly barred: number;
}

const ACCEPTED: readonly Accepted[] = [
  {
    what: "Gemma 3 27B and 1B",
    target: GEMMA3_27B,
    drafter: { name: "Gemma 3 1B", wears: "gemma-4" },
    barred: 0,
  },
  { what: "Qwen2 72B and 1.5B", target: QWEN2_72B, drafter: QWEN2, barred: 0 },
  {
    what: "a file without a pre-tokenizer",
    target: QWEN2,
    drafter: { name: "Qwen2 without pre", wears: "qwen2", change: (one) => one.drop("pre") },
    barred: 0,
  },
  {
    what: "a file with another name of its pre-tokenizer",
    target: LLAMA32,
    drafter: { name: "Llama with an alias", wears: "llama-bpe", change: (one) => one.say("pre", "llama-v3") },
    barred: 0,
  },
  {
    what: "one token of another type",
    target: QWEN2,
    drafter: { name: "Qwen2 retyped", wears: "qwen2", change: (one) => one.retype(1234, USER_DEFINED) },
    barred: 0,
  },
  { what: "Hermes 3 and Llama-3.2-1B", target: HERMES3, drafter: LLAMA32, barred: 4 },
  { what: "R1-Distill-Llama and Llama-3.2-1B", target: R1_LLAMA, drafter: LLAMA32, barred: 7 },
  { what: "R1-Distill-Qwen and Qwen2.5", target: R1_QWEN, drafter: QWEN25, barred: 7 },
  {
    what: "a file with an added PAD",
    target: LLAMA32,
    drafter: {
      name: "Llama with PAD",
      wears: "llama-bpe",
      change: added(1, () => "<|pad|>", USER_DEFINED),
    },
    barred: 0,
  },
];

const REFUSED: readonly (readonly [what: string, target: Model, drafter: Model, reason: RegExp])[] = [
  [
    "another family of as many tokens",
    { name: "Aquila", wears: "aquila" },
    { name: "DeepSeek cut", wears: "deepseek-llm", change: (one) => one.cut(100_008) },
    /token \d+, ".+" in the drafter, is another text in the target/,
  ],
  [
    "the same family with renumbered ids",
    LLAMA32,
    { name: "Llama renumbered", wears: "llama-bpe", change: renumbered },
    /token 600, /,
  ],
  [
    "SPM with BPE",
    { name: "Llama 2", wears: "llama-spm" },
    { name: "GPT-2", wears: "gpt-2" },
    /of different types: BPE in the drafter, SPM in the target/,
  ],
  [
    "sizes that are 129 apart",
    QWEN2_72B,
    { name: "Qwen2 enlarged", wears: "qwen2", change: enlarged },
    /151775 tokens in the drafter and 151646 in the target, and may be 128 apart/,
  ],
  [
    "another text at id 1000",
    QWEN2,
    { name: "Qwen2 renamed", wears: "qwen2", change: (one) => one.rename(1000, "zzzz") },
    /token 1000, "zzzz" in the drafter/,
  ],
];

/** Real tokens in place of padding: ids from 151,646 on. */
function enlarged(vocabulary: WornVocabulary): void {
  for (let i = 0; i < 129; i++) {
    vocabulary.rename(151_646 + i, `added${i}`);
    vocabulary.retype(151_646 + i, NORMAL!);
  }
}

function renumbered(vocabulary: WornVocabulary): void {
  const tokens = vocabulary.list("tokens");
  [tokens[600], tokens[90_000]] = [tokens[90_000]!, tokens[600]!];
}

/** Written once for all pairs that it is in. */
function fileOf({ name, wears, change }: Model, layers: number): string {
  const path = join(folder, `${name.replaceAll(/\W/g, "-")}-${layers}.gguf`);
  if (!existsSync(path))
    wearVocabulary(vocabularies.get(wears)!, path, { layers, ...(change ? { change } : {}) });
  return path;
}

describe("the table of pairs", () => {
  it("has fourteen", () => {
    expect(ACCEPTED.length + REFUSED.length).toBe(14);
  });

  it.each(ACCEPTED)("$what: accepted, and the text is the target's", async ({ target, drafter, barred }) => {
    const [large, small] = [fileOf(target, 2), fileOf(drafter, 1)];
    const [one, other] = await Promise.all([large, small].map((path) => readModelFile(path)));
    // Release 0.1 refused nearly all of them, and none is a pair of one tokenizer.
    expect(one!.identity).not.toBe(other!.identity);
    const verdict = await judgeFiles(other!, one!);
    expect([verdict.problem, verdict.problem === null && verdict.barred.length]).toEqual([null, barred]);
    const world = await WornWorld.open(large);
    // By its own tokenizer, from a file of its own: no pair has a say in it.
    const alone = await world.edge(large, "lookup");
    const edge = await world.edge(small);
    try {
      const [greedy, sampled] = [await alone.texts("cloud"), await alone.texts("cloud", 1)];
      expect(new Set([...greedy, ...sampled]).size).toBe(6);
      expect(await edge.texts("race")).toEqual(greedy);
      expect(await edge.texts("race", 1)).toEqual(sampled);
      expect(await edge.texts("picospec")).toEqual(greedy);
      expect(edge.accepted).toBeGreaterThan(10);
    } finally {
      await edge.close();
      await alone.close();
      world.close();
    }
  });

  it.each(REFUSED)("%s: refused with its reason", async (_, target, drafter, reason) => {
    const world = await WornWorld.open(fileOf(target, 2));
    try {
      await expect(world.edge(fileOf(drafter, 1))).rejects.toMatchObject({
        code: "tokenizer_mismatch",
        message: expect.stringMatching(reason),
      });
    } finally {
      world.close();
    }
  });
});
