import { z } from "zod";
import { SESSION_ROWS } from "../../../decoding/session.ts";
import { HttpError } from "../../errors.ts";
import { REQUEST_LIMITS } from "../../schema/limits.ts";
import { listOf } from "../../schema/list.ts";
import { only } from "../../schema/only.ts";
import { type Ignored, parsedBody } from "../../schema/parse.ts";
import { ranged } from "../../schema/ranged.ts";
import { commonFields, outputTokens } from "./common.ts";
import { messageSchema } from "./messages.ts";
import { EFFORTS, thinkingFields } from "./thinking.ts";
import { functionCallSchema, functionSchema, toolChoiceSchema, toolSchema } from "./tools.ts";

/** A request for a chat completion. */

const chatSchema = z.object({
  ...commonFields,
  messages: listOf(messageSchema, { least: 1, most: REQUEST_LIMITS.messages }),
  max_completion_tokens: outputTokens.nullish(),
  max_tokens: outputTokens.nullish(),
  n_predict: outputTokens.nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: ranged(SESSION_ROWS.logprobs.range).nullish(),
  tools: listOf(toolSchema, { most: REQUEST_LIMITS.tools }).nullish(),
  tool_choice: toolChoiceSchema.nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  functions: listOf(functionSchema, { most: REQUEST_LIMITS.tools }).nullish(),
  function_call: functionCallSchema.nullish(),
  reasoning_effort: z.enum(EFFORTS).nullish(),
  ...thinkingFields,
  // Of OpenRouter, and of GLM and DeepSeek.
  reasoning: z
    .object({
      effort: z.enum(EFFORTS).nullish(),
      max_tokens: thinkingFields.thinking_budget_tokens,
      enabled: z.boolean().nullish(),
    })
    .nullish(),
  thinking: z
    .object({
      type: z.enum(["enabled", "disabled", "auto", "adaptive"]),
      budget_tokens: thinkingFields.thinking_budget_tokens,
    })
    .nullish(),
  continue_final_message: z.boolean().nullish(),
  echo: only([false]),
});

export type ChatBody = z.infer<typeof chatSchema>;

/** @throws HttpError 400 that names the field */
export function parseChat(body: unknown, ignored: Ignored = () => {}): ChatBody {
  const chat = parsedBody(chatSchema, body, ignored);
  if (chat.top_logprobs && !chat.logprobs) {
    throw new HttpError(400, "invalid_value", "top_logprobs needs logprobs: true", "top_logprobs");
  }
  for (const [old, now] of [
    ["functions", "tools"],
    ["function_call", "tool_choice"],
  ] as const) {
    if (!chat[old] || !chat[now]) continue;
    throw new HttpError(400, "invalid_value", `${old} is the older name of ${now}: send one of the two`, old);
  }
  return chat;
}
