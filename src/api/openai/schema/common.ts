import { z } from "zod";
import { SESSION_ROWS } from "../../../decoding/session.ts";
import { HttpError } from "../../errors.ts";
import { formatFields } from "./format.ts";
import { deepest, listOf } from "./list.ts";
import { said } from "./said.ts";
import { ranged, samplerFields } from "./sampler.ts";

/** What chat and plain completions have in common: OpenAI's fields, and a few more that other servers have. */

/** Bounds of one request. */
export const REQUEST_LIMITS = {
  choices: 16,
  stops: 16,
  stopUnits: 256,
  tools: 128,
  messages: 10_000,
  /** parts of a message */
  parts: 1000,
  /** prompts of a plain completion, and tokens of one */
  prompts: 32,
  promptTokens: 300_000,
} as const;

const stopString = z.string().min(1).max(REQUEST_LIMITS.stopUnits);

export const commonFields = {
  model: z.string().max(512).optional(),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  // Those that OpenAI does not have go by the names that other servers use.
  ...samplerFields,
  seed: z.number().int().nullish(),
  n: z.number().int().min(1).max(REQUEST_LIMITS.choices).nullish(),
  max_tokens: ranged(SESSION_ROWS.maxTokens.range).nullish(),
  stop: z
    .union([stopString, listOf(stopString, { most: REQUEST_LIMITS.stops })], {
      error: "must be a string, or a list of strings",
    })
    .nullish(),
  user: z.string().nullish(),
  ...formatFields,
  /** name of a preset; OpenAI has no such field */
  policy: z.string().nullish(),
};

const commonSchema = z.object(commonFields);
export type CommonBody = z.infer<typeof commonSchema>;

/** @throws HttpError 400 that names the field */
export function parseBody<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body, { error: said });
  if (parsed.success) return parsed.data;
  const issue = deepest(parsed.error.issues[0]!);
  const param = issue.path.join(".");
  const message = param === "" ? issue.message : `${param}: ${issue.message}`;
  throw new HttpError(400, "invalid_value", message, param || null);
}
