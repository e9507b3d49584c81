import { describe, expect, it } from "vitest";
import { answerOf } from "./sampling.ts";
import { parseChat } from "./schema/chat.ts";

/** Options as the sampler's settings, under their own names and in their own senses. */

const sampled = (options: object) => answerOf(parseChat({ model: "m", options }, () => {})).sampling;

describe("options", () => {
  it("are the sampler's settings", () => {
    const options = {
      ...{ temperature: 0.3, top_k: 20, top_p: 0.9, min_p: 0.05, repeat_penalty: 1.2, repeat_last_n: 33 },
      ...{ presence_penalty: 1.5, frequency_penalty: -3, seed: 42, num_predict: 100, stop: ["\n", "user:"] },
    };
    expect(sampled(options)).toEqual({
      sampler: {
        ...{ temperature: 0.3, topK: 20, topP: 0.9, minP: 0.05, repetitionPenalty: 1.2, penaltyLastN: 33 },
        ...{ presencePenalty: 1.5, frequencyPenalty: -3 },
      },
      ...{ seed: 42, stop: ["\n", "user:"], maxTokens: 100, policy: undefined },
    });
  });

  it("that are not given leave the edge's own", () => {
    expect(sampled({ temperature: null, num_ctx: 4096 })).toEqual({
      ...{ sampler: {}, seed: null, stop: [], maxTokens: undefined, policy: undefined },
    });
  });

  it.each([
    [{ top_k: -1 }, { sampler: { topK: 0 } }],
    [{ repeat_last_n: -1 }, { sampler: { penaltyLastN: 4096 } }],
    [{ repeat_last_n: 0 }, { sampler: { penaltyLastN: 0 } }],
    [{ seed: -1 }, { seed: null }],
    [{ seed: 0 }, { seed: 0 }],
    [{ num_predict: -1 }, { maxTokens: undefined }],
    [{ num_predict: -2 }, { maxTokens: undefined }],
    [{ stop: "x" }, { stop: ["x"] }],
  ])("%j are %j", (options, sampling) => {
    expect(sampled(options)).toMatchObject(sampling);
  });

  it("that mean nothing here are told, with the fields that do", () => {
    const told: string[] = [];
    const body = { model: "m", options: { num_ctx: 1, top_k: 3 }, width: 3, keep_alive: "5m" };
    parseChat(body, (fields) => told.push(...fields));
    expect(told.sort()).toEqual(["options.num_ctx", "width"]);
  });
});
