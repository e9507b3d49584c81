import { z } from "zod";
import { SESSION_ROWS } from "../../../decoding/session.ts";
import { HttpError } from "../../errors.ts";
import { commonFields, parseBody, REQUEST_LIMITS } from "./common.ts";
import { listOf } from "./list.ts";
import { messageSchema } from "./messages.ts";
import { ranged } from "./sampler.ts";
import { toolChoiceSchema, toolSchema } from "./tools.ts";

/** A request for a chat completion. */

const chatSchema = z.object({
  ...commonFields,
  messages: listOf(messageSchema, { least: 1, most: REQUEST_LIMITS.messages }),
  max_completion_tokens: ranged(SESSION_ROWS.maxTokens.range).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: ranged(SESSION_ROWS.logprobs.range).nullish(),
  tools: listOf(toolSchema, { most: REQUEST_LIMITS.tools }).nullish(),
  tool_choice: toolChoiceSchema.nullish(),
  parallel_tool_calls: z.boolean().nullish(),
});

export type ChatBody = z.infer<typeof chatSchema>;

/** @throws HttpError 400 that names the field */
export function parseChat(body: unknown): ChatBody {
  const chat = parseBody(chatSchema, body);
  if (chat.top_logprobs && !chat.logprobs) {
    throw new HttpError(400, "invalid_value", "top_logprobs needs logprobs: true", "top_logprobs");
  }
  return chat;
}
