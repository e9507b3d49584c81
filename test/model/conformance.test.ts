import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Adapter } from "../../lab/conformance/adapter.ts";
import { CONFORMANCE } from "../../lab/conformance/checks.ts";
import { LlamaContext } from "../../src/engine/llama/context.ts";
import { LlamaModel } from "../../src/engine/llama/model.ts";
import { llamaDraftModel, llamaTargetModel } from "../../src/engine/llama/models.ts";
import { LlamaTokenizer } from "../../src/engine/llama/tokenizer.ts";
import { applySampler, SamplerWorkspace, samplerSettings } from "../../src/sampling/sampler.ts";
import { chatPrompt } from "../../src/text/chat-template.ts";
import { systemClock } from "../../src/transport/node/clock.ts";

const TARGET = "models/pico-target-q8_0.gguf";
const DRAFTER = "models/pico-drafter-q8_0.gguf";

/** llama.cpp, by the bundled pair, keeps to what every engine keeps to. */

const ASKED = [
  "Tell me a story about a fox and a ring.",
  "Bea has 3 pens and buys 4. How many has she?",
  "Hi",
];

let target: LlamaModel;
let drafter: LlamaModel;
let adapter: Adapter;

/** The row after a prompt, from a context of its own. */
async function rowAfter(prompt: Int32Array): Promise<Float32Array> {
  const shape = { sequences: 1, contextTokens: 512, batchTokens: 512, rows: 1, threads: 1 };
  const context = await LlamaContext.create(target, { ...shape, batchInvariant: true });
  const index = context.add(0, prompt, 1);
  await new Promise<void>((resolve, reject) =>
    context.decode((error) => (error ? reject(error) : resolve())),
  );
  const row = context.row(index).slice();
  context.close();
  return row;
}

beforeAll(async () => {
  target = await LlamaModel.load(TARGET, { gpu: "off" });
  drafter = await LlamaModel.load(DRAFTER, { gpu: "off" });
  const tokenizer = new LlamaTokenizer(target);
  const context = { threads: 1, contextTokens: 512 };
  adapter = {
    name: "llama.cpp",
    clock: systemClock,
    target: () => llamaTargetModel(target, { ...context, kvSlots: 3 }),
    drafter: () => llamaDraftModel(drafter, context),
    endTokens: tokenizer.endTokens(),
    prompts: ASKED.map((content) =>
      chatPrompt(target.file.chatTemplate, [{ role: "user", content }], tokenizer),
    ),
    maxTokens: 40,
    async distribution(prompt, sampler) {
      const row = await rowAfter(prompt);
      return applySampler(row, sampler, new Int32Array(0), new SamplerWorkspace()).dense(row.length);
    },
    samples: 400,
    until: (done) =>
      new Promise((resolve, reject) => {
        const givesUpMs = systemClock.nowMs() + 120_000;
        const look = () => {
          if (done()) resolve();
          else if (systemClock.nowMs() > givesUpMs) reject(new Error("what was waited for has not come"));
          else systemClock.schedule(systemClock.nowMs() + 1, look);
        };
        look();
      }),
  };
});

afterAll(() => {
  target.close();
  drafter.close();
});

describe("llama.cpp", () => {
  it.each(CONFORMANCE.map((check) => [check.name, check] as const))("%s", async (_, check) => {
    await check.run(adapter);
  });

  it("has a prompt after which more than one token is likely", async () => {
    const p = await adapter.distribution(adapter.prompts[0]!, samplerSettings({ temperature: 1, topK: 8 }));
    expect(p!.filter((share) => share > 0.02).length).toBeGreaterThan(1);
  });
});
