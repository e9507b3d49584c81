import { z } from "zod";
import { REQUEST_LIMITS } from "../../schema/limits.ts";
import { listOf } from "../../schema/list.ts";

/** Messages and what they are made of. What marks caches and citations is taken and means nothing here. */

const most = REQUEST_LIMITS.parts;
const id = z.string().min(1).max(REQUEST_LIMITS.idUnits);
const name = z.string().min(1).max(REQUEST_LIMITS.idUnits);

const textBlock = z.object({
  type: z.literal("text", { error: "must be text: images and documents are not taken" }),
  text: z.string(),
});

const TEXT_ONLY = "must be a string, or a list of blocks that are text: images and documents are not taken";
/** A string, or blocks of text. */
export const textSchema = z.union([z.string(), listOf(textBlock, { most })], { error: TEXT_ONLY });

const toolResult = z.object({
  type: z.literal("tool_result"),
  tool_use_id: id,
  content: textSchema.nullish(),
  is_error: z.boolean().nullish(),
});
const userBlock = z.discriminatedUnion("type", [textBlock, toolResult], {
  error: "must be a block of text or a tool_result: images, documents and others are not taken",
});

const assistantBlock = z.discriminatedUnion(
  "type",
  [
    textBlock,
    z.object({ type: z.literal("thinking"), thinking: z.string() }),
    // What Anthropic's models thought and do not show: nobody here can read it.
    z.object({ type: z.literal("redacted_thinking") }),
    z.object({ type: z.literal("tool_use"), id, name, input: z.record(z.string(), z.unknown()).nullish() }),
  ],
  { error: "must be a block of text, thinking, redacted_thinking or tool_use" },
);

const blocks = <T>(block: z.ZodType<T>) =>
  z.union([z.string(), listOf(block, { most })], { error: "must be a string, or a list of blocks" });

export const messageSchema = z.discriminatedUnion(
  "role",
  [
    z.object({ role: z.literal("user"), content: blocks(userBlock) }),
    z.object({ role: z.literal("assistant"), content: blocks(assistantBlock) }),
    // Of Claude Code, beside `system`.
    z.object({ role: z.literal("system"), content: textSchema }),
  ],
  { error: "must have the role user, assistant or system" },
);

export type AnthropicMessage = z.infer<typeof messageSchema>;
export type TextContent = z.infer<typeof textSchema>;
