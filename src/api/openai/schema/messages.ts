import { z } from "zod";
import { REQUEST_LIMITS } from "../../schema/limits.ts";
import { listOf } from "../../schema/list.ts";

/** Messages of a chat. */

const textPart = z.object({
  type: z.literal("text", { error: "must be text: other parts are not taken" }),
  text: z.string(),
});
export const contentSchema = z.union([z.string(), listOf(textPart, { most: REQUEST_LIMITS.parts })], {
  error: "must be a string, or a list of parts that are text",
});
/** Of clients from before there were tools. */
const functionCall = z.object({ name: z.string(), arguments: z.string() });
const toolCallSchema = z.object({
  id: z.string(),
  type: z.literal("function"),
  function: functionCall,
});

export const messageSchema = z.discriminatedUnion("role", [
  z.object({ role: z.enum(["system", "developer"]), content: contentSchema }),
  z.object({ role: z.literal("user"), content: contentSchema }),
  z.object({
    role: z.literal("assistant"),
    content: contentSchema.nullish(),
    tool_calls: listOf(toolCallSchema, { most: REQUEST_LIMITS.tools }).nullish(),
    function_call: functionCall.nullish(),
    reasoning_content: z.string().nullish(),
    reasoning: z.string().nullish(),
  }),
  z.object({ role: z.literal("tool"), content: contentSchema, tool_call_id: z.string() }),
  z.object({ role: z.literal("function"), content: contentSchema, name: z.string() }),
]);
