import { z } from "zod";
import { REQUEST_LIMITS } from "../../schema/limits.ts";

/** Tools, and how they may be called. */

const name = z.string().min(1).max(REQUEST_LIMITS.idUnits);

/** `type`: others than custom are known to Anthropic's models by heart, or run on its servers. */
export const toolSchema = z.object({
  type: z
    .literal("custom", {
      error: ({ input }) =>
        `tools of type ${JSON.stringify(input)} are Anthropic's own: describe the tool with name, description and input_schema`,
    })
    .nullish(),
  name,
  description: z.string().nullish(),
  input_schema: z.record(z.string(), z.unknown()),
  strict: z.boolean().nullish(),
});

const parallel = { disable_parallel_tool_use: z.boolean().nullish() };

export const toolChoiceSchema = z.discriminatedUnion(
  "type",
  [
    z.object({ type: z.enum(["auto", "any"]), ...parallel }),
    z.object({ type: z.literal("none") }),
    z.object({ type: z.literal("tool"), name, ...parallel }),
  ],
  { error: "must have the type auto, any, none, or tool with a name" },
);
