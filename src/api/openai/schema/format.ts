import { z } from "zod";
import { SESSION_LIMITS } from "../../../decoding/session.ts";
import { listOf } from "../../schema/list.ts";

/** What an answer has to look like: fields of OpenAI, llama.cpp and vLLM. */

const MOST_CHOICES = 2000;

/** Empty is none, as llama.cpp has it. */
const source = z.string().max(SESSION_LIMITS.grammarUnits);
const schema = z.union([z.record(z.string(), z.unknown()), z.boolean()], {
  error: "must be a JSON Schema: an object, true or false",
});
/** vLLM takes a schema as text as well. */
const schemaOrText = z.union([schema, source], { error: "must be a JSON Schema, or its text" });
const choices = listOf(z.string().min(1), { least: 1, most: MOST_CHOICES });

const responseFormat = z.discriminatedUnion("type", [
  z.object({ type: z.literal("text") }),
  z.object({ type: z.literal("json_object"), schema: schema.nullish() }),
  z.object({
    type: z.literal("json_schema"),
    json_schema: z.object({
      name: z.string().nullish(),
      schema: schema.nullish(),
      strict: z.boolean().nullish(),
    }),
  }),
  // llama.cpp's, which other servers took over.
  z.object({ type: z.literal("grammar"), grammar: source }),
]);

export const structuredOutputs = z.object({
  json: schemaOrText.nullish(),
  regex: source.nullish(),
  choice: choices.nullish(),
  grammar: source.nullish(),
  json_object: z.boolean().nullish(),
  structural_tag: z.unknown().optional(),
});

/** Fields of chat and plain completions alike. */
export const formatFields = {
  response_format: responseFormat.nullish(),
  grammar: source.nullish(),
  json_schema: schema.nullish(),
  guided_json: schemaOrText.nullish(),
  guided_regex: source.nullish(),
  guided_choice: choices.nullish(),
  guided_grammar: source.nullish(),
  structured_outputs: structuredOutputs.nullish(),
};

export const formatSchema = z.object(formatFields);
