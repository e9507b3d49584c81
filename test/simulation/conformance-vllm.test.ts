import { afterEach, describe, it } from "vitest";
import type { Adapter } from "../../lab/conformance/adapter.ts";
import { CONFORMANCE } from "../../lab/conformance/checks.ts";
import { ToyDraftModel } from "../../src/engine/toy/draft-model.ts";
import { type ToyLanguage, toyLogits } from "../../src/engine/toy/language.ts";
import { toSeed } from "../../src/sampling/random.ts";
import { applySampler, SamplerWorkspace } from "../../src/sampling/sampler.ts";
import { systemClock } from "../../src/transport/node/clock.ts";
import type { FakeVllmOptions } from "../support/fake-vllm.ts";
import { fakePair, vllmEngine } from "../support/vllm.ts";
import { draws } from "../support/world.ts";

/** The adapter for vLLM keeps to what every engine keeps to: over a fake server, on real sockets. */

const language: ToyLanguage = {
  seed: toSeed(3),
  vocabularySize: 12,
  order: 3,
  spread: 6,
  divergence: 3,
  contextTokens: 120,
};

const opened: { close(): Promise<void> }[] = [];

afterEach(async () => {
  for (const one of opened.splice(0)) await one.close();
});

function adapterOf(name: string, given: Partial<FakeVllmOptions>, withMailbox: boolean): Adapter {
  const random = draws(11);
  return {
    name,
    clock: systemClock,
    async target() {
      const pair = await fakePair(language, { random, ...given }, { loses: () => random() < 0.2 });
      opened.push(pair);
      const mailboxes = withMailbox ? [pair.mailbox.address] : [];
      return vllmEngine(language, { urls: [pair.server.url], mailboxes, runs: 8 });
    },
    drafter: async () => new ToyDraftModel(language, systemClock),
    endTokens: [0],
    prompts: [[1], [4, 2, 9], [3, 5, 3, 5, 7, 7, 1, 2]].map((tokens) => Int32Array.from(tokens)),
    maxTokens: 30,
    async distribution(prompt, sampler) {
      const row = toyLogits(language, prompt, "target");
      return applySampler(row, sampler, new Int32Array(0), new SamplerWorkspace()).dense(row.length);
    },
    samples: 600,
    async until(done) {
      while (!done()) await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

describe.each([
  ["vllm, scale-out", {}, true],
  ["vllm, completions", { scaleOut: "off" }, true],
  ["vllm, completions, without the plugin", { scaleOut: "missing", mailbox: null }, false],
] as const)("%s", (name, given, withMailbox) => {
  it.each(CONFORMANCE.map((check) => [check.name, check] as const))("%s", async (_, check) => {
    await check.run(adapterOf(name, given, withMailbox));
  });
});
