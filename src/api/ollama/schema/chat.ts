import { z } from "zod";
import { REQUEST_LIMITS } from "../../schema/limits.ts";
import { listOf } from "../../schema/list.ts";
import type { Ignored } from "../../schema/parse.ts";
import { commonFields, noImages, parsedRequest } from "./common.ts";

/** A request of /api/chat. */

const ROLES = ["system", "user", "assistant", "tool"] as const;
const name = z.string().min(1).max(256);
const { messages, tools } = REQUEST_LIMITS;

const toolCall = z.object({
  id: z.string().max(256).nullish(),
  function: z.object({ name, arguments: z.record(z.string(), z.unknown()).nullish() }),
});

const messageSchema = z.object({
  role: z.string().toLowerCase().pipe(z.enum(ROLES)),
  content: z.string().nullish(),
  thinking: z.string().nullish(),
  images: noImages,
  tool_calls: listOf(toolCall, { most: tools }).nullish(),
  /** of the tool whose result a message is, and the call that it answers */
  tool_name: z.string().max(256).nullish(),
  tool_call_id: z.string().max(256).nullish(),
});
export type OllamaMessage = z.infer<typeof messageSchema>;

const toolSchema = z.object({
  type: z.literal("function").nullish(),
  function: z.object({
    name,
    description: z.string().nullish(),
    parameters: z.record(z.string(), z.unknown()).nullish(),
  }),
});

const chatSchema = z.object({
  ...commonFields,
  messages: listOf(messageSchema, { most: messages }).nullish(),
  tools: listOf(toolSchema, { most: tools }).nullish(),
});
export type ChatBody = z.infer<typeof chatSchema>;

/** @throws HttpError 400 that names the field */
export function parseChat(body: unknown, ignored: Ignored): ChatBody {
  return parsedRequest(chatSchema, body, ignored);
}
