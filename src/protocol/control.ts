import { z } from "zod";
import { checkPolicy, type DecodingPolicy, POLICY_ROWS } from "../decoding/policy.ts";
import { SESSION_LIMITS, SESSION_ROWS, type SessionSettings } from "../decoding/session.ts";
import { seedText, toSeed } from "../sampling/random.ts";
import { SAMPLER_ROWS, type SamplerSettings, samplerSettings } from "../sampling/settings.ts";
import { messageOf } from "../util/errors.ts";
import { laterSettings, type NumberRow, type SettingRow, type SettingTable } from "../util/setting.ts";
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

/**
 * The types of a table's settings; what they may be is checked after, in the table's own words. What release 0.1 does
 * not send may be absent.
 */
function tableSchema<T>(table: SettingTable): z.ZodType<T> {
  const fields = Object.entries(table).map(([name, row]) => {
    const schema = valueSchema(row);
    return [name, row.since === undefined ? schema : schema.optional()];
  });
  return z.object(Object.fromEntries(fields)) as unknown as z.ZodType<T>;
}

function valueSchema(row: SettingRow): z.ZodType {
  switch (row.kind) {
    case "number":
      return row.range.most === Number.POSITIVE_INFINITY ? orInfinity : z.number();
    case "flag":
      return z.boolean();
    case "choice":
      return z.enum(row.choices);
    case "pairs":
      return z.array(z.tuple([z.number(), z.number()]));
    default:
      return row satisfies never;
  }
}

const countOf = ({ range }: NumberRow) => count.min(range.least).max(range.most);

const openSchema = z.object({
  policy: tableSchema<DecodingPolicy>(POLICY_ROWS),
  sampler: tableSchema<Partial<SamplerSettings>>(SAMPLER_ROWS),
  seed: z.string().max(20),
  maxTokens: countOf(SESSION_ROWS.maxTokens),
  grammar: z.string().min(1).max(SESSION_LIMITS.grammarUnits).optional(),
  logprobs: countOf(SESSION_ROWS.logprobs).optional(),
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
  const sampler = withoutLaterDefaults(settings.sampler, SAMPLER_ROWS);
  return { ...settings, sampler, seed: seedText(settings.seed), secret, resume };
}

/** What release 0.1 does not know is sent only where it is in use: everything else are that release's bytes. */
function withoutLaterDefaults(values: object, table: SettingTable): object {
  const inUse = laterSettings(values, table);
  return Object.fromEntries(
    Object.entries(values).filter(([name]) => table[name]?.since === undefined || inUse.includes(name)),
  );
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
