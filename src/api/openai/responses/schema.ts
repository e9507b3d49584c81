import { z } from "zod";
import { SESSION_ROWS } from "../../../decoding/session.ts";
import { HttpError } from "../../errors.ts";
import { REQUEST_LIMITS } from "../../schema/limits.ts";
import { listOf } from "../../schema/list.ts";
import { only } from "../../schema/only.ts";
import { type Ignored, parsedBody } from "../../schema/parse.ts";
import { ranged } from "../../schema/ranged.ts";
import { modelField, outputTokens, stopField } from "../schema/common.ts";
import { clientFields, refusedFields } from "../schema/foreign.ts";
import { samplerFields } from "../schema/sampler.ts";
import { EFFORTS, thinkingFields } from "../schema/thinking.ts";
import { itemSchema } from "./item-schema.ts";
import { responseToolsSchema } from "./tool-schema.ts";

/** A request for a response. */

const reasoningSchema = z.object({
  effort: z.enum(EFFORTS).nullish(),
  summary: z.enum(["auto", "concise", "detailed", "none"]).nullish(),
  generate_summary: z.enum(["auto", "concise", "detailed"]).nullish(),
});

const textSchema = z.object({
  format: z
    .discriminatedUnion("type", [
      z.object({ type: z.literal("text") }),
      z.object({ type: z.literal("json_object") }),
      z.object({
        type: z.literal("json_schema"),
        name: z.string().nullish(),
        description: z.string().nullish(),
        schema: z.record(z.string(), z.unknown()),
        strict: z.boolean().nullish(),
      }),
    ])
    .nullish(),
  verbosity: z.string().nullish(),
});

const namedTool = z.object({
  type: z.enum(["function", "custom"], { error: "must be function or custom: other tools are not run here" }),
  name: z.string().min(1).max(256),
  namespace: z.string().nullish(),
});
const toolChoiceSchema = z.union(
  [
    z.enum(["none", "auto", "required"]),
    namedTool,
    z.object({
      type: z.literal("allowed_tools"),
      mode: z.enum(["auto", "required"]),
      tools: listOf(namedTool, { least: 1, most: REQUEST_LIMITS.tools }),
    }),
  ],
  {
    error:
      "must be none, auto, required, a function by its name, or allowed_tools with a mode and such functions",
  },
);

const called = (name: string) => `or give ${name}, as it is called in this API`;

const responseSchema = z.object({
  ...refusedFields,
  ...clientFields,
  model: modelField,
  input: z
    .union([z.string(), listOf(itemSchema, { most: REQUEST_LIMITS.messages })], {
      error: "must be a string, or a list of items",
    })
    .nullish(),
  instructions: z.string().nullish(),
  previous_response_id: z.string().max(REQUEST_LIMITS.idUnits).nullish(),
  store: z.boolean().nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.record(z.string(), z.unknown()).nullish(),
  tools: responseToolsSchema.nullish(),
  tool_choice: toolChoiceSchema.nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  text: textSchema.nullish(),
  max_output_tokens: outputTokens.nullish(),
  reasoning: reasoningSchema.nullish(),
  include: listOf(z.string(), { most: REQUEST_LIMITS.stops }).nullish(),
  top_logprobs: ranged(SESSION_ROWS.logprobs.range).nullish(),
  ...{ temperature: samplerFields.temperature, top_p: samplerFields.top_p },
  metadata: z.record(z.string(), z.unknown()).nullish(),
  truncation: z.enum(["auto", "disabled"]).nullish(),
  service_tier: z.string().nullish(),
  user: z.string().nullish(),
  safety_identifier: z.string().nullish(),
  prompt_cache_key: z.string().nullish(),
  max_tool_calls: z.number().int().nullish(),
  // Of this endpoint, and of other servers.
  ...samplerFields,
  ...thinkingFields,
  stop: stopField,
  seed: z.number().int().nullish(),
  policy: z.string().nullish(),
  // What this API has and this endpoint does not.
  background: only([false], "and read the answer as a stream"),
  conversation: only([], "and thread responses by previous_response_id"),
  prompt: only([], "and send its text as instructions and input"),
  // What clients of chat completions would send.
  response_format: only([{ type: "text" }], called("text.format")),
  messages: only([], called("input")),
  max_tokens: only([], called("max_output_tokens")),
  max_completion_tokens: only([], called("max_output_tokens")),
  reasoning_effort: only([], called("reasoning.effort")),
  functions: only([[]], called("tools")),
  function_call: only([], called("tool_choice")),
  n: only([1], "and send the request again"),
});

export type ResponseBody = z.infer<typeof responseSchema>;

/** @throws HttpError 400 that names the field */
export function parseResponse(body: unknown, ignored: Ignored = () => {}): ResponseBody {
  const parsed = parsedBody(responseSchema, body, ignored);
  const { input, previous_response_id: previous } = parsed;
  if ((input ?? null) === null && !previous) {
    throw new HttpError(
      400,
      "missing_required_parameter",
      "input: must be a string, or a list of items",
      "input",
    );
  }
  return parsed;
}
