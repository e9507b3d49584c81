import { describe, expect, it } from "vitest";
import { PipelineStatistics } from "../../edge/core/statistics.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import type { ChoiceEnd, ConversationEvent } from "../conversation.ts";
import { completion, completionChunks } from "./completion-response.ts";
import { type Usage, usageOf } from "./usage.ts";

/** @param reusedTokens of the prompt; null: there was no cloud */
function end(promptTokens: number, tokens: number, reusedTokens: number | null): ChoiceEnd {
  const statistics = new PipelineStatistics();
  Object.assign(statistics, { tokens, accepted: 2, rejected: 1 });
  if (reusedTokens !== null) {
    statistics.usage = {
      ...{ promptTokens, committedTokens: tokens, targetPasses: 1, targetRows: 1, targetMs: 1 },
      ...{ prefillPasses: 1, fedTokens: 1, evictions: 0, reusedTokens },
    };
  }
  return { answeredBy: "target", reason: "length", promptTokens, statistics, reasoningTokens: 3 };
}

/** Two prompts, of 10 and of 20 tokens, with two choices each; 4 and 16 tokens were in the cache before. */
const ENDS = [end(10, 5, 4), end(10, 6, 9), end(20, 7, 19), end(20, 8, 16)];
const USAGE: Usage = {
  prompt_tokens: 30,
  completion_tokens: 26,
  total_tokens: 56,
  prompt_tokens_details: { cached_tokens: 20 },
  completion_tokens_details: {
    reasoning_tokens: 12,
    accepted_prediction_tokens: 8,
    rejected_prediction_tokens: 4,
  },
};

describe("usage", () => {
  it("counts each prompt once, and as cached what was there before the request", () => {
    expect(usageOf(ENDS, 2)).toEqual(USAGE);
    expect(usageOf(ENDS.slice(0, 2), 2).prompt_tokens).toBe(10);
    const each = usageOf(ENDS, 1);
    expect([each.prompt_tokens, each.prompt_tokens_details.cached_tokens]).toEqual([60, 48]);
  });

  it("has nothing cached where there was no cloud", () => {
    expect(usageOf([end(10, 5, null)], 1).prompt_tokens_details).toEqual({ cached_tokens: 0 });
  });

  it("is the same for plain completions as one object and as a stream, in whatever order choices end", async () => {
    const head = { id: "cmpl-1", created: 0, model: "toy" };
    const shape = { tokenizer: {} as Tokenizer, logprobs: null, choicesPerPrompt: 2, echoed: null };
    const choices = ENDS.map((one) => ({ ...{ text: "", reasoning: "" }, tokens: [], calls: [], end: one }));
    expect(completion(head, choices, shape)).toMatchObject({ usage: USAGE });
    async function* events(): AsyncGenerator<ConversationEvent> {
      for (const choice of [3, 1, 2, 0]) yield { kind: "end", choice, end: ENDS[choice]! };
    }
    const chunks: unknown[] = [];
    for await (const chunk of completionChunks(head, 4, events(), true, shape)) chunks.push(chunk);
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: USAGE });
  });
});
