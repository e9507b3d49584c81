import { z } from "zod";

const name = z.string().min(1).max(256);

/** Tools of a chat request, and how one may be called. */
export const toolSchema = z.object({
  type: z.literal("function"),
  function: z.object({
    name,
    description: z.string().nullish(),
    parameters: z.record(z.string(), z.unknown()).nullish(),
    strict: z.boolean().nullish(),
  }),
});
export const toolChoiceSchema = z.union([
  z.enum(["none", "auto", "required"]),
  z.object({ type: z.literal("function"), function: z.object({ name }) }),
]);
