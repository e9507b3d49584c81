import { z } from "zod";
import { REQUEST_LIMITS } from "../../schema/limits.ts";
import { listOf } from "../../schema/list.ts";

/** Tools of a chat, and how they may be called. */

const name = z.string().min(1).max(256);

export const functionSchema = z.object({
  name,
  description: z.string().nullish(),
  parameters: z.record(z.string(), z.unknown()).nullish(),
  strict: z.boolean().nullish(),
});
export const toolSchema = z.object({ type: z.literal("function"), function: functionSchema });

const namedTool = z.object({ type: z.literal("function"), function: z.object({ name }) });
export const toolChoiceSchema = z.union(
  [
    z.enum(["none", "auto", "required"]),
    z.discriminatedUnion("type", [
      namedTool,
      z.object({
        type: z.literal("allowed_tools"),
        allowed_tools: z.object({
          mode: z.enum(["auto", "required"]),
          tools: listOf(namedTool, { least: 1, most: REQUEST_LIMITS.tools }),
        }),
      }),
    ]),
  ],
  { error: "must be none, auto, required, a tool by its name, or allowed_tools with a mode and tools" },
);
/** Of clients from before there were tools. */
export const functionCallSchema = z.union([z.enum(["none", "auto"]), z.object({ name })], {
  error: "must be none, auto, or a function by its name",
});
