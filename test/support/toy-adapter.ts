import type { Adapter } from "../../lab/conformance/adapter.ts";
import { ToyDraftModel } from "../../src/engine/toy/draft-model.ts";
import { type ToyLanguage, toyLogits } from "../../src/engine/toy/language.ts";
import { toSeed } from "../../src/sampling/random.ts";
import { applySampler, SamplerWorkspace } from "../../src/sampling/sampler.ts";
import type { Clock } from "../../src/util/clock.ts";

/** What adapters have in common whose target speaks the toy language. */

export const TOY_LANGUAGE: ToyLanguage = {
  seed: toSeed(3),
  vocabularySize: 12,
  order: 3,
  spread: 6,
  divergence: 3,
  contextTokens: 120,
};

export function toyAdapter(clock: Clock): Omit<Adapter, "name" | "target" | "until"> {
  return {
    clock,
    drafter: async () => new ToyDraftModel(TOY_LANGUAGE, clock),
    endTokens: [0],
    prompts: [[1], [4, 2, 9], [3, 5, 3, 5, 7, 7, 1, 2]].map((tokens) => Int32Array.from(tokens)),
    maxTokens: 30,
    async distribution(prompt, sampler) {
      const row = toyLogits(TOY_LANGUAGE, prompt, "target");
      return applySampler(row, sampler, new Int32Array(0), new SamplerWorkspace()).dense(row.length);
    },
    samples: 600,
  };
}
