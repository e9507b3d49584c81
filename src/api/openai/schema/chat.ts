import { z } from "zod";
import { SESSION_ROWS } from "../../../decoding/session.ts";
import { HttpError } from "../../errors.ts";
import { REQUEST_LIMITS } from "../../schema/limits.ts";
import { listOf } from "../../schema/list.ts";
import { type Ignored, parsedBody } from "../../schema/parse.ts";
import { ranged } from "../../schema/ranged.ts";
import { commonFields } from "./common.ts";
import { messageSchema } from "./messages.ts";
import { functionCallSchema, functionSchema, toolChoiceSchema, toolSchema } from "./tools.ts";

/** A request for a chat completion. */

const EFFORTS = ["none", "minimal", "low", "medium", "high", "xhigh"] as const;
const thinkingTokens = z.number().int().min(1).max(SESSION_ROWS.maxTokens.range.most);

const chatSchema = z.object({
  ...commonFields,
  messages: listOf(messageSchema, { least: 1, most: REQUEST_LIMITS.messages }),
  max_completion_tokens: ranged(SESSION_ROWS.maxTokens.range).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: ranged(SESSION_ROWS.logprobs.range).nullish(),
  tools: listOf(toolSchema, { most: REQUEST_LIMITS.tools }).nullish(),
  tool_choice: toolChoiceSchema.nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  functions: listOf(functionSchema, { most: REQUEST_LIMITS.tools }).nullish(),
  function_call: functionCallSchema.nullish(),
  reasoning_effort: z.enum(EFFORTS).nullish(),
  // Of other servers: whether the model thinks, for how long at most, and what else its template takes.
  enable_thinking: z.boolean().nullish(),
  thinking_budget_tokens: thinkingTokens.nullish(),
  thinking_token_budget: thinkingTokens.nullish(),
  chat_template_kwargs: z.record(z.string(), z.unknown()).nullish(),
  continue_final_message: z.boolean().nullish(),
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
