import { z } from "zod";
import { REQUEST_LIMITS } from "../../schema/limits.ts";
import { listOf } from "../../schema/list.ts";
import { functionSchema } from "../schema/tools.ts";

/** Tools of a response. */

/**
 * Tools that run on OpenAI's own servers and that clients add by themselves, such as Codex. They are left out, as if the
 * client had not sent them, and the client is told: an answer without a search is what the model can give here.
 */
const LEFT_OUT = [
  ...["web_search", "web_search_2025_08_26", "web_search_preview", "web_search_preview_2025_03_11"],
  ...["image_generation", "tool_search"],
] as const;

const functionTool = functionSchema.extend({ type: z.literal("function") });
const customTool = z.object({
  type: z.literal("custom"),
  name: functionSchema.shape.name,
  description: z.string().nullish(),
  format: z
    .discriminatedUnion("type", [
      z.object({ type: z.literal("text") }),
      z.object({ type: z.literal("grammar"), syntax: z.string(), definition: z.string() }),
    ])
    .nullish(),
});
const namespaceTool = z.object({
  type: z.literal("namespace"),
  name: functionSchema.shape.name,
  description: z.string().nullish(),
  tools: listOf(z.discriminatedUnion("type", [functionTool, customTool]), { most: REQUEST_LIMITS.tools }),
});

const responseToolSchema = z.discriminatedUnion(
  "type",
  [functionTool, customTool, namespaceTool, z.object({ type: z.enum(LEFT_OUT) })],
  {
    error: ({ input }) =>
      `tools of type ${JSON.stringify((input as { type?: unknown }).type ?? null)} are not run here: give functions`,
  },
);
export const responseToolsSchema = listOf(responseToolSchema, { most: REQUEST_LIMITS.tools });

export type ResponseTool = z.infer<typeof responseToolSchema>;
/** One that the model may call. */
export type NamedTool = z.infer<typeof functionTool> | z.infer<typeof customTool>;
