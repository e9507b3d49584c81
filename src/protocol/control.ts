import { z } from "zod";
import { checkPolicy } from "../decoding/policy.ts";
import type { SessionSettings } from "../decoding/session.ts";
import { seedText, toSeed } from "../sampling/random.ts";
import { type SamplerSettings, samplerSettings } from "../sampling/sampler.ts";
import { messageOf } from "../util/errors.ts";
import { ProtocolError } from "./errors.ts";

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

const settingsSchema = z.object({
  policy: policySchema,
  sampler: samplerSchema,
  seed: z.string().max(20),
  maxTokens: count.min(1),
});

const usageSchema = z.object({
  promptTokens: count,
  committedTokens: count,
  targetPasses: count,
  prefillPasses: count,
  fedTokens: count,
  evictions: count,
});

export const doneSchema = z.object({
  reason: z.enum(["end", "length", "context", "cancelled"]),
  usage: usageSchema,
});

export const errorSchema = z.object({ code: text, message: text });

/** @throws ProtocolError `bad_frame` that says what in the JSON is off */
export function parseControl<T>(schema: z.ZodType<T>, what: string, bytes: Uint8Array): T {
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
  throw new ProtocolError("bad_frame", `the ${what} frame is wrong at ${place}: ${issue?.message}`);
}

export function settingsJson(settings: SessionSettings): unknown {
  return { ...settings, seed: seedText(settings.seed) };
}

/** @throws ProtocolError `bad_frame`, or `bad_setting` that costs the session only */
export function parseSettings(bytes: Uint8Array, session: number): SessionSettings {
  const raw = parseControl(settingsSchema, "open", bytes);
  try {
    return {
      policy: checkPolicy(raw.policy),
      sampler: samplerSettings(raw.sampler),
      seed: toSeed(raw.seed),
      maxTokens: raw.maxTokens,
    };
  } catch (error) {
    throw new ProtocolError("bad_setting", messageOf(error), session);
  }
}
