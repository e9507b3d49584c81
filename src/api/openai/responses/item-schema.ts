import { z } from "zod";
import { REQUEST_LIMITS } from "../../schema/limits.ts";
import { listOf } from "../../schema/list.ts";
import { responseToolsSchema } from "./tool-schema.ts";

/** Items of a conversation, as clients send them and responses have them. */

const id = z.string().max(REQUEST_LIMITS.idUnits);
const name = z.string().min(1).max(256);

const partSchema = z
  .object({
    type: z.enum(["input_text", "output_text", "text", "refusal"], {
      error: "must be input_text or output_text: images, audio and files are not taken",
    }),
    text: z.string().nullish(),
    refusal: z.string().nullish(),
  })
  .refine(({ text, refusal }) => typeof (text ?? refusal) === "string", { error: "must have a text" })
  .transform(({ type, text, refusal }) =>
    type === "refusal" ? { type, refusal: (refusal ?? text)! } : { type, text: (text ?? refusal)! },
  );

export type ContentPart = z.infer<typeof partSchema>;

const contentSchema = z.union([z.string(), listOf(partSchema, { most: REQUEST_LIMITS.parts })], {
  error: "must be a string, or a list of parts that are text",
});
const textsSchema = listOf(z.object({ type: z.string(), text: z.string() }), { most: REQUEST_LIMITS.parts });

/** Arguments of calls: the clients of some servers send them as an object. */
const argumentsSchema = z
  .union([z.string(), z.record(z.string(), z.unknown())], { error: "must be JSON as a string" })
  .transform((given) => (typeof given === "string" ? given : JSON.stringify(given)));

const typedItem = z.discriminatedUnion(
  "type",
  [
    z.object({
      type: z.literal("message"),
      id: id.nullish(),
      role: z.enum(["user", "assistant", "system", "developer"]),
      content: contentSchema,
    }),
    z.object({
      type: z.literal("function_call"),
      id: id.nullish(),
      call_id: id,
      name,
      namespace: name.nullish(),
      arguments: argumentsSchema,
    }),
    z.object({
      type: z.literal("function_call_output"),
      id: id.nullish(),
      call_id: id,
      output: contentSchema,
    }),
    z.object({
      type: z.literal("custom_tool_call"),
      id: id.nullish(),
      call_id: id,
      name,
      namespace: name.nullish(),
      input: z.string(),
    }),
    z.object({
      type: z.literal("custom_tool_call_output"),
      id: id.nullish(),
      call_id: id,
      output: contentSchema,
    }),
    z.object({
      type: z.literal("reasoning"),
      id: id.nullish(),
      summary: textsSchema.nullish(),
      content: textsSchema.nullish(),
      encrypted_content: z.string().nullish(),
    }),
    z.object({ type: z.literal("item_reference"), id }),
    z.object({ type: z.literal("additional_tools"), tools: responseToolsSchema }),
  ],
  {
    error: ({ input }) =>
      `items of type ${JSON.stringify((input as { type?: unknown }).type ?? null)} are not taken: send messages, calls of functions and their outputs`,
  },
);

/** Messages and references need not say that they are. */
export const itemSchema = z.preprocess((given) => {
  if (typeof given !== "object" || given === null) return given;
  const { type, role, id } = given as Readonly<Record<"type" | "role" | "id", unknown>>;
  if ((type ?? null) !== null) return given;
  const implied = role !== undefined ? "message" : id !== undefined ? "item_reference" : type;
  return { ...given, type: implied };
}, typedItem);

/** An item as a client sent it. */
export type GivenItem = z.infer<typeof typedItem>;

/** An item of a conversation: references are resolved, and tools are elsewhere. */
export type Item = Exclude<GivenItem, { readonly type: "item_reference" | "additional_tools" }>;
