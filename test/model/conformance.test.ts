import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
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
import { writeRandomModel } from "../support/gguf/random.ts";

/**
 * llama.cpp keeps to what every engine keeps to: by the bundled pair, and by random weights of models that cannot be
 * cut back at any place (hybrid), or whose cells are moved with care (sliding window).
 */

const PAIRS = ["bundled", "lfm2", "qwen35", "gemma3"];
let folder: string;

function filesOf(pair: string): { readonly target: string; readonly drafter: string } {
  if (pair === "bundled") {
    return { target: "models/pico-target-q8_0.gguf", drafter: "models/pico-drafter-q8_0.gguf" };
  }
  const files = { target: join(folder, `${pair}.gguf`), drafter: join(folder, `${pair}-drafter.gguf`) };
  writeRandomModel(files.target, { architecture: pair });
  writeRandomModel(files.drafter, { architecture: pair, noise: 0.08 });
  return files;
}

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

async function open(pair: string): Promise<void> {
  const files = filesOf(pair);
  target = await LlamaModel.load(files.target, { gpu: "off" });
  drafter = await LlamaModel.load(files.drafter, { gpu: "off" });
  const tokenizer = new LlamaTokenizer(target);
  const context = { threads: 1, contextTokens: 512 };
  adapter = {
    name: `llama.cpp, ${pair}`,
    clock: systemClock,
    target: () => llamaTargetModel(target, { ...context, kvSlots: 3 }),
    drafter: () => llamaDraftModel(drafter, context),
    // Random weights end an answer anywhere: a check that needs a long one would not have it.
    endTokens: pair === "bundled" ? tokenizer.endTokens() : [],
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
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "picospec-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe.each(PAIRS.map((pair) => [pair]))("llama.cpp, %s", (pair) => {
  beforeAll(() => open(pair));
  afterAll(() => {
    target.close();
    drafter.close();
  });

  it.each(CONFORMANCE.map((check) => [check.name, check] as const))("%s", async (_, check) => {
    await check.run(adapter);
  });

  it("has a prompt after which more than one token is likely", async () => {
    const p = await adapter.distribution(adapter.prompts[0]!, samplerSettings({ temperature: 1, topK: 8 }));
    expect(p!.filter((share) => share > 0.02).length).toBeGreaterThan(1);
  });
});
