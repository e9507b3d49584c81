import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LlamaContext } from "../../src/engine/llama/context.ts";
import { LlamaModel } from "../../src/engine/llama/model.ts";
import { LlamaTokenizer } from "../../src/engine/llama/tokenizer.ts";
import { argmax } from "../../src/sampling/select.ts";
import { chatPrompt } from "../../src/text/chat-template.ts";
import { StreamingText } from "../../src/text/tokenizer.ts";

const TARGET = "models/pico-target-q8_0.gguf";

const decode = (context: LlamaContext) =>
  new Promise<void>((resolve, reject) => context.decode((error) => (error ? reject(error) : resolve())));

describe("llama engine on the bundled target", () => {
  let model: LlamaModel;
  let tokenizer: LlamaTokenizer;
  const progress: number[] = [];

  beforeAll(async () => {
    model = await LlamaModel.load(TARGET, { gpu: "off", progress: (fraction) => progress.push(fraction) });
    tokenizer = new LlamaTokenizer(model);
  });
  afterAll(() => model.close());

  it("reports loading up to the end", () => {
    expect(progress.length).toBeGreaterThan(3);
    expect(progress.at(-1)).toBe(1);
  });

  it("answers a prompt", async () => {
    const context = await LlamaContext.create(model, {
      sequences: 2,
      contextTokens: 256,
      batchTokens: 128,
      rows: 8,
      threads: 1,
    });
    const prompt = chatPrompt(
      model.file.chatTemplate,
      [
        {
          role: "user",
          content:
            "Carl has 38 leaves. He drops 14 leaves, then collects 2 more, and then receives 23 leaves. How many leaves does Carl have now?",
        },
      ],
      tokenizer,
    );
    const text = new StreamingText(tokenizer);
    let tokens = prompt;
    let out = "";
    for (let i = 0; i < 100; i++) {
      const index = context.add(1, tokens, 1);
      await decode(context);
      const next = argmax(context.row(index));
      if (tokenizer.endTokens().includes(next)) break;
      out += text.push(next);
      tokens = Int32Array.of(next);
    }
    console.log(out);
    context.close();
    expect(out).toContain("49");
  });
});
