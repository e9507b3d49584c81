import { z } from "zod";
import { SESSION_ROWS } from "../../../decoding/session.ts";
import { SAMPLER_ROWS } from "../../../sampling/settings.ts";
import { REQUEST_LIMITS } from "../../schema/limits.ts";
import { listOf } from "../../schema/list.ts";
import { only } from "../../schema/only.ts";
import { type Ignored, parsedBody } from "../../schema/parse.ts";
import { ranged } from "../../schema/ranged.ts";
import { messageSchema, textSchema } from "./content.ts";
import { toolChoiceSchema, toolSchema } from "./tools.ts";

/** A request for a message. */

const tokens = ranged(SESSION_ROWS.maxTokens.range);

const thinkingSchema = z.discriminatedUnion(
  "type",
  [
    z.object({ type: z.literal("enabled"), budget_tokens: z.number().int().min(1) }),
    z.object({ type: z.enum(["disabled", "adaptive"]) }),
  ],
  { error: "must have the type enabled with budget_tokens, adaptive, or disabled" },
);

const formatSchema = z.object({
  type: z.literal("json_schema"),
  schema: z.record(z.string(), z.unknown()),
});
const EFFORTS = ["low", "medium", "high", "xhigh", "max"] as const;

/** What is asked, and of what an answer is not: tokens are counted of it. */
const promptFields = {
  model: z.string().max(REQUEST_LIMITS.nameUnits).nullish(),
  messages: listOf(messageSchema, { least: 1, most: REQUEST_LIMITS.messages }),
  system: textSchema.nullish(),
  tools: listOf(toolSchema, { most: REQUEST_LIMITS.tools }).nullish(),
  tool_choice: toolChoiceSchema.nullish(),
  thinking: thinkingSchema.nullish(),
  output_config: z.object({ effort: z.enum(EFFORTS).nullish(), format: formatSchema.nullish() }).nullish(),
  // Of older clients.
  output_format: formatSchema.nullish(),
  mcp_servers: only([[]], "and give the tools of the servers as tools"),
  container: only([]),
};

const messageRequest = z.object({
  ...promptFields,
  max_tokens: tokens,
  stream: z.boolean().nullish(),
  stop_sequences: listOf(z.string().min(1).max(REQUEST_LIMITS.stopUnits), {
    most: REQUEST_LIMITS.stops,
  }).nullish(),
  temperature: ranged(SAMPLER_ROWS.temperature.range).nullish(),
  top_p: ranged(SAMPLER_ROWS.topP.range).nullish(),
  top_k: ranged(SAMPLER_ROWS.topK.range).nullish(),
  // Anthropic has no such fields.
  seed: z.number().int().nullish(),
  policy: z.string().nullish(),
  // Of no meaning here.
  metadata: z.unknown().optional(),
  service_tier: z.unknown().optional(),
  cache_control: z.unknown().optional(),
});
const countRequest = z.object(promptFields);

export type MessageBody = z.infer<typeof messageRequest>;
export type PromptBody = z.infer<typeof countRequest>;

/** @throws HttpError 400 that names the field */
export function parseMessage(body: unknown, ignored: Ignored): MessageBody {
  return parsedBody(messageRequest, body, ignored);
}

/** @throws HttpError 400 that names the field */
export function parseCount(body: unknown, ignored: Ignored): PromptBody {
  return parsedBody(countRequest, body, ignored);
}
