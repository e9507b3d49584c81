import * as z from "zod";
import { checkPolicy } from "../decoding/policy.ts";
import { SESSION_LIMITS, type SessionSettings } from "../decoding/session.ts";
import { seedText, toSeed } from "../sampling/random.ts";
import { type SamplerSettings, samplerSettings } from "../sampling/sampler.ts";
import { messageOf } from "../util/errors.ts";
import { ProtocolError } from "./errors.ts";
import type { OpenFrame } from "./frame.ts";

/** The JSON inside control frames, checked once, here. JSON has no Infinity: null stands for it. */

const count = z
  .number()
  .int()
  .min(0)
  .max(2 ** 31);
const text = z.string().max(4096);
const orInfinity = z
  .number()
  .nullable()
  .transform((value) => value ?? Number.POSITIVE_INFINITY);

export const helloSchema = z.object({ protocol: count, client: text, fingerprint: text });

export const welcomeSchema = z.object({
  protocol: count,
  server: text,
  target: z.object({
    name: text,
    fingerprint: text,
    vocabularySize: count.min(1),
    contextTokens: count.min(1),
    endTokens: z.array(count).max(1024),
    chatTemplate: z.string().nullable(),
  }),
});

const policySchema = z.object({
  target: z.boolean(),
  coupling: z.enum(["rejection", "gumbel"]),
  adaptive: z.boolean(),
  segmentTokens: z.number(),
  windowTokens: z.number(),
  patienceMs: orInfinity,
  bonusToken: z.boolean(),
  preVerify: z.boolean(),
  truncateAfterMs: orInfinity,
  exchange: z.enum(["sparse", "denseDown", "denseUp"]),
  topK: z.number(),
});

const samplerSchema = z.object({
  temperature: z.number(),
  topK: z.number(),
  topP: z.number(),
  minP: z.number(),
  repetitionPenalty: z.number(),
  presencePenalty: z.number(),
  frequencyPenalty: z.number(),
  penaltyLastN: z.number(),
  logitBias: z.array(z.tuple([z.number(), z.number()])),
}) satisfies z.ZodType<SamplerSettings>;

const openSchema = z.object({
  policy: policySchema,
  sampler: samplerSchema,
  seed: z.string().max(20),
  maxTokens: count.min(1),
  grammar: z.string().min(1).max(SESSION_LIMITS.grammarUnits).optional(),
  logprobs: count.max(SESSION_LIMITS.topLogprobs).optional(),
  secret: z.string().min(16).max(128).nullable().default(null),
  resume: z
    .object({ promptTokens: count.min(1), lineage: count, epoch: count.min(1) })
    .nullable()
    .default(null),
});

const usageSchema = z.object({
  promptTokens: count,
  committedTokens: count,
  targetPasses: count,
  targetRows: count,
  targetMs: z.number().min(0),
  prefillPasses: count,
  fedTokens: count,
  evictions: count,
  reusedTokens: count,
});

export const doneSchema = z.object({
  reason: z.enum(["end", "length", "context", "cancelled"]),
  usage: usageSchema,
});

export const errorSchema = z.object({ code: text, message: text });

/**
 * @param session that a wrong value costs; 0: the connection
 * @throws ProtocolError `bad_frame` that says what in the JSON is off
 */
export function parseControl<T>(schema: z.ZodType<T>, what: string, bytes: Uint8Array, session = 0): T {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new ProtocolError("bad_frame", `the ${what} frame holds no JSON: ${messageOf(error)}`);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const place = issue?.path.join(".") || "it";
  throw new ProtocolError("bad_frame", `the ${what} frame is wrong at ${place}: ${issue?.message}`, session);
}

export function openJson({ settings, secret, resume }: OpenFrame): unknown {
  return { ...settings, seed: seedText(settings.seed), secret, resume };
}

/** The JSON of an open frame. @throws ProtocolError `bad_frame`, or `bad_setting` that costs the session only */
export function parseOpen(
  bytes: Uint8Array,
  session: number,
): Omit<OpenFrame, "type" | "session" | "tokens"> {
  const raw = parseControl(openSchema, "open", bytes, session);
  try {
    const settings: SessionSettings = {
      policy: checkPolicy(raw.policy),
      sampler: samplerSettings(raw.sampler),
      seed: toSeed(raw.seed),
      maxTokens: raw.maxTokens,
      ...(raw.grammar === undefined ? {} : { grammar: raw.grammar }),
      ...(raw.logprobs === undefined ? {} : { logprobs: raw.logprobs }),
    };
    return { settings, secret: raw.secret, resume: raw.resume };
  } catch (error) {
    throw new ProtocolError("bad_setting", messageOf(error), session);
  }
}
