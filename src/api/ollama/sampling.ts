import { SAMPLER_ROWS, type SamplerSettings } from "../../sampling/settings.ts";
import type { AnswerFormat, Conversation, Sampling, Thinking } from "../conversation.ts";
import { llamaNames } from "../llama-names.ts";
import type { CommonBody } from "./schema/common.ts";
import type { Options } from "./schema/options.ts";

/** What questions and chats say of their answers, as a conversation has it. */
export function answerOf(
  body: CommonBody,
): Pick<Conversation, "choices" | "thinking" | "format" | "logprobs" | "sampling"> {
  return {
    choices: 1,
    thinking: thinkingOf(body),
    format: formatOf(body),
    logprobs: body.logprobs ? (body.top_logprobs ?? 0) : null,
    sampling: samplingOf(body.options ?? {}),
  };
}

function samplingOf(options: Options): Sampling {
  const { seed, stop, num_predict: most } = options;
  return {
    sampler: samplerOf(options),
    seed: seed === -1 ? null : (seed ?? null),
    stop: typeof stop === "string" ? [stop] : (stop ?? []),
    maxTokens: most === undefined || most === null || most < 0 ? undefined : most,
    policy: undefined,
  };
}

/** Below 0, top_k is off, and repeat_last_n as far as can be. */
function samplerOf(options: Options): Partial<SamplerSettings> {
  const sampler: { -readonly [Name in keyof SamplerSettings]?: SamplerSettings[Name] } = {};
  for (const [name, setting] of llamaNames) {
    const value = options[name] ?? null;
    if (value !== null) sampler[setting] = value;
  }
  if (options.top_k === -1) sampler.topK = 0;
  if (options.repeat_last_n === -1) sampler.penaltyLastN = SAMPLER_ROWS.penaltyLastN.range.most;
  return sampler;
}

/** No level is above "high" for the templates that know levels. */
function thinkingOf({ think }: CommonBody): Thinking {
  if (think === undefined || think === null) return { variables: {}, budgetTokens: null };
  if (typeof think === "boolean") return { variables: { enable_thinking: think }, budgetTokens: null };
  const reasoning_effort = think === "max" ? "high" : think;
  return { variables: { enable_thinking: true, reasoning_effort }, budgetTokens: null };
}

function formatOf({ format }: CommonBody): AnswerFormat | null {
  if (!format) return null;
  const schema = format === "json" ? { type: "object" } : format;
  return { kind: "schema", schema, relaxes: false, param: "format" };
}
