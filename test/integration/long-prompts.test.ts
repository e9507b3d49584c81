import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readPrompt } from "../../src/edge/prompt.ts";
import { LlamaModel } from "../../src/engine/llama/model.ts";
import { LlamaTokenizer } from "../../src/engine/llama/tokenizer.ts";
import { TOKENIZER_LIMITS, TokenizerProcess } from "../../src/engine/llama/tokenizer-process.ts";
import { chatPrompt, renderTemplate } from "../../src/text/chat-template.ts";
import type { ChatMessage, PromptText } from "../../src/text/conversation.ts";
import type { TemplateVariables } from "../../src/text/templates/render.ts";
import { fragile } from "../attacks/suite.ts";
import { DRAFTER } from "../support/processes.ts";

/** Prompts that are read in a process of their own, with a pre-tokenizer that overflows its stack. */

let folder = "";
let path = "";
let model: LlamaModel;
let tokenizer: LlamaTokenizer;
const reader = () => ({
  tokenizer,
  render: async (source: string, variables: TemplateVariables) => renderTemplate(source, variables),
  contextTokens: 1_000_000,
});
const text = (text: string, special = true): PromptText => ({ kind: "text", text, special });

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "picospec-prompts-"));
  path = join(folder, "model.gguf");
  writeFileSync(path, fragile(readFileSync(DRAFTER)));
  model = await LlamaModel.load(path, { gpu: "off", vocabularyOnly: true });
  tokenizer = new LlamaTokenizer(model);
});

afterAll(() => {
  model.close();
  rmSync(folder, { recursive: true });
});

describe("a long prompt", () => {
  it("has the tokens that the library gives it", async () => {
    const parts = [
      "The fox, who was 13, ran. ",
      "<|user|>",
      "\n\n",
      "  ",
      "é漢🙂 ",
      "a1b2-",
      "don't ",
      "<|end|>\n",
      "x".repeat(900),
    ];
    for (let seed = 1; seed <= 6; seed++) {
      let [long, state] = ["", seed];
      while (long.length < 10_000) {
        state = (state * 48_271) % 2_147_483_647;
        long += parts[state % parts.length];
      }
      for (const special of [true, false]) {
        expect(await tokenizer.readUntrusted(text(long, special))).toEqual(tokenizer.encode(long, special));
      }
    }
  });

  it("of many messages has the tokens of the template", async () => {
    const messages = Array.from(
      { length: 100 },
      (_, i): ChatMessage => ({ role: i % 2 ? "assistant" : "user", content: `Number ${i}.` }),
    );
    const { chatTemplate: template } = model.file;
    const read = await readPrompt({ kind: "chat", template, messages, tools: [] }, reader());
    expect(read).toEqual(chatPrompt(template, messages, tokenizer));
  });

  it("that ends the tokenizer's process is refused, and the next one is read", async () => {
    const refused = tokenizer.readUntrusted(text("a".repeat(200_000)));
    const next = tokenizer.readUntrusted(text("a".repeat(2000)));
    await expect(refused).rejects.toMatchObject({ code: "prompt_refused" });
    expect((await next).length).toBeGreaterThan(1000);
  });

  it("whose template fails is the template's error", async () => {
    const messages: ChatMessage[] = [{ role: "user", content: "a ".repeat(9000) }];
    const chat = { kind: "chat", template: "{{ raise_exception('no') }}", messages, tools: [] } as const;
    await expect(readPrompt(chat, reader())).rejects.toMatchObject({
      name: "TemplateError",
      code: "template",
    });
  });

  it("that takes too long is refused", async () => {
    const limits = { ...TOKENIZER_LIMITS, readMs: 1, readMsPerMillion: 0 };
    const aside = new TokenizerProcess(path, limits as unknown as typeof TOKENIZER_LIMITS);
    await expect(aside.read(text("All is well. ".repeat(300_000)))).rejects.toThrow("takes too long");
    aside.close();
  });

  it("waits with few others, and none waits for a tokenizer that was closed", async () => {
    const limits = { ...TOKENIZER_LIMITS, waiting: 2 };
    const aside = new TokenizerProcess(path, limits as unknown as typeof TOKENIZER_LIMITS);
    const three = [1, 2, 3].map((i) => aside.read(text(`${i}`.repeat(9000))));
    const settled = Promise.allSettled(three);
    await expect(aside.read(text("x".repeat(9000)))).rejects.toMatchObject({ code: "tokenizer_busy" });
    aside.close();
    for (const one of await settled)
      expect(one).toMatchObject({ status: "rejected", reason: { code: "prompt_refused" } });
  });

  it("of a model whose file is gone is read from the vocabulary", async () => {
    const { vocabularyFile } = await import("../../src/engine/llama/vocabulary.ts");
    const aside = new TokenizerProcess(await vocabularyFile(path));
    expect(await aside.read(text("Hello, fox!"))).toEqual(tokenizer.encode("Hello, fox!", true));
    aside.close();
  });
});
