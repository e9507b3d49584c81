import { z } from "zod";
import { policyNamed } from "../../decoding/policy.ts";
import { SESSION_ROWS } from "../../decoding/session.ts";
import type { AnswerRequest } from "../../edge/edge.ts";
import { type Seed, toSeed } from "../../sampling/random.ts";
import { HttpError } from "../errors.ts";
import { formatFields } from "./format.ts";
import { ranged, samplerFields, samplerOf } from "./sampler-fields.ts";

/** What chat and plain completions have in common: OpenAI's fields, and a few more that other servers have. */

/** Bounds of one request. */
export const REQUEST_LIMITS = {
  bodyBytes: 8 * 1024 * 1024,
  choices: 16,
  stops: 16,
  stopUnits: 256,
  tools: 128,
} as const;

const name = z.string().min(1).max(256);
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
  stop: z.union([stopString, z.array(stopString).max(REQUEST_LIMITS.stops)]).nullish(),
  user: z.string().nullish(),
  ...formatFields,
  /** name of a preset; OpenAI has no such field */
  policy: z.string().nullish(),
};

const commonSchema = z.object(commonFields);
export type CommonBody = z.infer<typeof commonSchema>;

/** @throws HttpError 400 that names the field */
export function parseBody<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const issue = deepest(parsed.error.issues[0]!);
  const param = issue.path.join(".");
  const message = param === "" ? issue.message : `${param}: ${issue.message}`;
  throw new HttpError(400, "invalid_value", message, param || null);
}

/** Of a union the branch that got furthest says best what is wrong. */
function deepest(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code !== "invalid_union" || issue.errors.length === 0) return issue;
  const inner = issue.errors
    .map((issues) => deepest(issues[0]!))
    .sort((a, b) => b.path.length - a.path.length);
  const best = inner[0]!;
  return best.path.length === 0 ? issue : { ...best, path: [...issue.path, ...best.path] };
}

/** The same for each of a request's choices, but for the seed. */
export function commonRequest(
  body: CommonBody,
  freshSeed: () => Seed,
): (choice: number) => Omit<AnswerRequest, "prompt"> {
  const first = body.seed ?? null;
  const stop = body.stop ?? [];
  const shared = {
    sampler: samplerOf(body),
    stop: typeof stop === "string" ? [stop] : stop,
    ...(body.max_tokens ? { maxTokens: body.max_tokens } : {}),
    ...(body.policy ? { policy: policyNamed(body.policy) } : {}),
  };
  return (choice) => ({
    ...shared,
    seed: first === null ? freshSeed() : toSeed(BigInt.asUintN(64, BigInt(first) + BigInt(choice))),
  });
}

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
