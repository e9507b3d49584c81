import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { readPrompt } from "../../src/edge/prompt.ts";
import { LlamaModel } from "../../src/engine/llama/model.ts";
import { LlamaTokenizer } from "../../src/engine/llama/tokenizer.ts";
import { renderTemplate } from "../../src/text/chat-template.ts";
import { realVocabularies } from "../support/vocabularies.ts";

/** Prompts that fill in the middle, against llama.cpp's: hashes of token ids by scripts/chat-references.mjs. */

interface References {
  readonly before: string;
  readonly after: string;
  readonly hashes: Readonly<Record<string, string>>;
}

const file = new URL("../support/chat/fill-in.json", import.meta.url);
const { before, after, hashes }: References = JSON.parse(readFileSync(file, "utf8"));
const paths = new Map((await realVocabularies()).map(({ name, path }) => [name, path]));

async function promptOf(vocabulary: string): Promise<Int32Array> {
  const model = await LlamaModel.load(paths.get(vocabulary)!, { gpu: "off", vocabularyOnly: true });
  try {
    const tokenizer = new LlamaTokenizer(model);
    const render = async (...all: Parameters<typeof renderTemplate>) => renderTemplate(...all);
    const prompt = { kind: "text", text: before, suffix: after, special: false } as const;
    return await readPrompt(prompt, { tokenizer, render, contextTokens: 4096 });
  } finally {
    model.close();
  }
}

describe("a prompt with a suffix", () => {
  it.each(Object.keys(hashes))("is llama.cpp's for the tokens of %s", async (vocabulary) => {
    const tokens = await promptOf(vocabulary);
    const hash = createHash("sha256")
      .update([...tokens].join(" "))
      .digest("hex")
      .slice(0, 16);
    expect(hash).toBe(hashes[vocabulary]);
  });

  it("is refused for a model that fills nothing in", async () => {
    await expect(promptOf("phi-3")).rejects.toMatchObject({ setting: "suffix" });
  });
});
