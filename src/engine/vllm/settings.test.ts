import { describe, expect, it } from "vitest";
import { DEFAULT_SAMPLER, type SamplerSettings, samplerSettings } from "../../sampling/sampler.ts";
import { samplingFields, settingsLack } from "./settings.ts";

const lack = (given: Partial<SamplerSettings>, speculates = false, sequenceTokens = 100) =>
  settingsLack({ sampler: samplerSettings(given) }, DEFAULT_SAMPLER, { speculates, sequenceTokens });

describe("settings that vLLM means as we do", () => {
  it.each<[string, Partial<SamplerSettings>, Record<string, unknown>]>([
    ["nothing", {}, { temperature: 1, top_p: 1, top_k: 0, min_p: 0, repetition_penalty: 1 }],
    ["a temperature", { temperature: 0.7 }, { temperature: 0.7 }],
    ["top-k, behind any temperature", { temperature: 0.7, topK: 5 }, { temperature: 0.7, top_k: 5 }],
    ["top-p, without a temperature", { topP: 0.9, topK: 7 }, { temperature: 1, top_p: 0.9, top_k: 7 }],
    ["min-p, as it is behind the temperature", { temperature: 0.5, minP: 0.2 }, { min_p: 0.04 }],
    [
      "a penalty over all that there is",
      { repetitionPenalty: 1.3, penaltyLastN: 100 },
      { repetition_penalty: 1.3 },
    ],
    ["a penalty's reach without a penalty", { penaltyLastN: 3 }, { repetition_penalty: 1 }],
    [
      "a bias, twice",
      {
        logitBias: [
          [3, 2],
          [3, 1],
          [4, -9],
        ],
      },
      { logit_bias: { 3: 3, 4: -9 } },
    ],
  ])("pass on %s", (_, given, fields) => {
    expect(lack(given)).toBeNull();
    const sent = samplingFields(samplerSettings(given));
    for (const [name, value] of Object.entries(fields)) {
      if (typeof value === "number") expect(sent[name], name).toBeCloseTo(value, 12);
      else expect(sent[name], name).toEqual(value);
    }
  });

  it("cut nothing where the likeliest token is taken anyway, and name no setting that a server could refuse", () => {
    const greedy = { temperature: 0, topK: 3, topP: 0.5, minP: 0.1 };
    expect(lack(greedy, true)).toBeNull();
    expect(samplingFields(samplerSettings(greedy))).toMatchObject({
      temperature: 0,
      top_p: 1,
      top_k: 0,
      min_p: 0,
    });
    expect(samplingFields(samplerSettings(greedy))).not.toHaveProperty("logit_bias");
  });
});

describe("settings that vLLM means otherwise are refused, with what to do:", () => {
  it.each<[string, Partial<SamplerSettings>, RegExp]>([
    ["top-p with a temperature", { temperature: 0.7, topP: 0.9 }, /set temperature to 1, or leave topP at 1/],
    ["top-p with min-p", { topP: 0.9, minP: 0.1 }, /leave one of topP and minP/],
    ["a temperature that vLLM would raise", { temperature: 0.005 }, /from 0\.01 to 2/],
    ["a temperature that vLLM refuses", { temperature: 2.5 }, /from 0\.01 to 2/],
    ["a penalty that looks back less far", { repetitionPenalty: 1.3 }, /set penaltyLastN to as many/],
    [
      "a presence penalty",
      { presencePenalty: 1, penaltyLastN: 4096 },
      /presencePenalty.*leave it at its default/,
    ],
    ["a frequency penalty", { frequencyPenalty: 1, penaltyLastN: 4096 }, /frequencyPenalty.*leave it/],
    [
      "a bias that vLLM would cut",
      {
        logitBias: [
          [1, 60],
          [1, 60],
        ],
      },
      /at most 100, not 120/,
    ],
  ])("%s", (_, given, message) => {
    expect(lack(given)).toMatch(message);
  });

  it("what no session of a server with speculation can have", () => {
    expect(lack({ minP: 0.1 }, true)).toMatch(/min-p while its server speculates/);
    expect(lack({ logitBias: [[1, 5]] }, true)).toMatch(/logitBias while its server speculates/);
    expect(lack({ topP: 0.9 }, true)).toBeNull();
  });
});
