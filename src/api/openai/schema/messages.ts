import { z } from "zod";
import { REQUEST_LIMITS } from "../../schema/limits.ts";
import { listOf } from "../../schema/list.ts";
import { only } from "../../schema/only.ts";

/** Messages of a chat. */

const textPart = z.object({
  type: z.literal("text", { error: "must be text: other parts are not taken" }),
  text: z.string(),
});
const refusalPart = z
  .object({ type: z.literal("refusal"), refusal: z.string() })
  .transform(({ refusal }) => ({ type: "text" as const, text: refusal }));
const contentOf = (part: z.ZodType<z.infer<typeof textPart>>) =>
  z.union([z.string(), listOf(part, { most: REQUEST_LIMITS.parts })], {
    error: "must be a string, or a list of parts that are text",
  });
export const contentSchema = contentOf(textPart);
const ownContentSchema = contentOf(z.union([textPart, refusalPart]));

/** JSON as text. Some clients send the object that it is, or nothing where there is none. */
const argumentsSchema = z
  .union([z.string(), z.record(z.string(), z.unknown())], { error: "must be JSON as a string" })
  .nullish()
  .transform((given) => (typeof given === "string" ? given : JSON.stringify(given ?? {})));
/** Of clients from before there were tools. */
const functionCall = z.object({ name: z.string(), arguments: argumentsSchema });
const toolCallSchema = z.object({
  id: z.string(),
  type: z.literal("function").default("function"),
  function: functionCall,
});

/** Names of who speaks (`name`) are not shown to the model: templates have no place for them. */
export const messageSchema = z.discriminatedUnion("role", [
  z.object({ role: z.enum(["system", "developer"]), content: contentSchema }),
  z.object({ role: z.literal("user"), content: contentSchema }),
  z.object({
    role: z.literal("assistant"),
    content: ownContentSchema.nullish(),
    refusal: z.string().nullish(),
    audio: only([]),
    tool_calls: listOf(toolCallSchema, { most: REQUEST_LIMITS.tools }).nullish(),
    function_call: functionCall.nullish(),
    reasoning_content: z.string().nullish(),
    reasoning: z.string().nullish(),
  }),
  z.object({ role: z.literal("tool"), content: contentSchema.nullish(), tool_call_id: z.string() }),
  z.object({ role: z.literal("function"), content: contentSchema.nullish(), name: z.string() }),
]);
