import * as z from "zod";
import { GRAMMAR_KINDS, type Grammar, isGrammarKind } from "../decoding/grammar.ts";
import { MOST_IDENTITY_UNITS } from "../decoding/identity.ts";
import { checkPolicy, type DecodingPolicy, POLICY_ROWS } from "../decoding/policy.ts";
import { SESSION_LIMITS, SESSION_ROWS, type SessionSettings } from "../decoding/session.ts";
import { seedText, toSeed } from "../sampling/random.ts";
import { SAMPLER_ROWS, type SamplerSettings, samplerSettings } from "../sampling/settings.ts";
import { messageOf } from "../util/errors.ts";
import { type JsonLimits, JsonScan } from "../util/json-scan.ts";
import type { NumberRow, SettingRow, SettingTable } from "../util/setting.ts";
import { ProtocolError } from "./errors.ts";
import { sentSampler } from "./features.ts";
import { type OpenFrame, PROTOCOL_LIMITS } from "./frame.ts";

/** The JSON inside control frames, checked once, here. JSON has no Infinity: null is written for it. */

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

/** So that no control frame takes 50 ms: the most that 0.1 sends is a thousand biases, and a hello has a hundred values. */
const CONTROL_JSON_LIMITS: JsonLimits = { depth: 32, containers: 4096, fields: 4096, values: 16_384 };

/** A list, of which no element is looked at when there are too many, and none past the first wrong one. */
function list<T>(most: number, what: string, isOne: (value: unknown) => value is T): z.ZodType<T[]> {
  return z.unknown().transform((value, context): T[] => {
    const wrong = (message: string, path: number[]) => {
      context.issues.push({ code: "custom", message, path, input: value });
      return z.NEVER;
    };
    if (!Array.isArray(value)) return wrong("expected a list", []);
    if (value.length > most) return wrong(`${value.length} are too many, and ${most} the most`, []);
    const at = value.findIndex((one) => !isOne(one));
    return at < 0 ? value : wrong(`expected ${what}`, [at]);
  });
}

const isCount = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 2 ** 31;
const isFeature = (value: unknown): value is string =>
  typeof value === "string" && value.length <= PROTOCOL_LIMITS.featureUnits;
const isPair = (value: unknown): value is [number, number] =>
  Array.isArray(value) && value.length === 2 && value.every((number) => typeof number === "number");

/** A bound of a peer. It may be larger than anything that we send. */
const bound = z.number().int().min(1).optional();

/** Default: release 0.1. Names and bounds that we do not know are ignored. */
const growth = {
  features: list(
    PROTOCOL_LIMITS.features,
    `a name of at most ${PROTOCOL_LIMITS.featureUnits} units`,
    isFeature,
  ).optional(),
  limits: z
    .object({ frameBytes: bound, promptTokens: bound, draftTokens: bound, sessions: bound })
    .optional(),
};

export const helloSchema = z.object({ protocol: count, client: text, fingerprint: text, ...growth });

const part = z.string().max(MOST_IDENTITY_UNITS);

export const welcomeSchema = z.object({
  protocol: count,
  server: text,
  target: z.object({
    name: text,
    fingerprint: text,
    vocabularySize: count.min(1),
    contextTokens: count.min(1),
    endTokens: list(1024, "a count", isCount),
    chatTemplate: z.string().nullable(),
    identity: z
      .object({
        ...{ weights: part, quantisation: part, library: part, backend: part, cpuBuild: part },
        attention: part.optional(),
      })
      .optional(),
    vocabulary: z
      .object({
        type: part,
        ids: count.min(1).max(PROTOCOL_LIMITS.vocabulary),
        tokens: count,
        identity: part,
        fileBytes: count.min(1).max(PROTOCOL_LIMITS.vocabularyBytes),
        fileHash: z.string().regex(/^[0-9a-f]{64}$/),
      })
      .optional(),
  }),
  ...growth,
});

/**
 * The types of a table's settings; what they may be is checked after, in the table's own words. What release 0.1 does
 * not send may be absent.
 */
function tableSchema<T>(table: SettingTable): z.ZodObject & z.ZodType<T> {
  const fields = Object.entries(table).map(([name, row]) => {
    const schema = valueSchema(row);
    return [name, row.since === undefined ? schema : schema.optional()];
  });
  return z.object(Object.fromEntries(fields)) as unknown as z.ZodObject & z.ZodType<T>;
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
      return list(CONTROL_JSON_LIMITS.containers, "a pair of numbers", isPair);
    default:
      return row satisfies never;
  }
}

const countOf = ({ range }: NumberRow) => count.min(range.least).max(range.most);

const grammarSource = z.string().min(1).max(SESSION_LIMITS.grammarUnits);

const openSchema = z.object({
  policy: tableSchema<DecodingPolicy>(POLICY_ROWS),
  // Unknown ones are kept, to be refused: see `samplerOf`.
  sampler: tableSchema<Partial<SamplerSettings>>(SAMPLER_ROWS).catchall(z.unknown()),
  seed: z.string().max(20),
  maxTokens: countOf(SESSION_ROWS.maxTokens),
  grammar: z
    .union([
      grammarSource,
      z.object({ kind: z.string().max(PROTOCOL_LIMITS.featureUnits), source: grammarSource }),
    ])
    .optional(),
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

export const errorSchema = z.object({ code: text, message: text, retryAfterMs: count.optional() });

export const goAwaySchema = z.object({ withinMs: count });

/**
 * @param session that a wrong value costs; 0: the connection
 * @throws ProtocolError `bad_frame` that says what in the JSON is off
 */
export function parseControl<T>(schema: z.ZodType<T>, what: string, bytes: Uint8Array, session = 0): T {
  const tooMuch = new JsonScan(CONTROL_JSON_LIMITS).push(bytes);
  if (tooMuch) throw new ProtocolError("bad_frame", `the ${what} frame has more than ${tooMuch}`, session);
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

export function openJson({ settings, secret, resume, plainGrammar }: OpenFrame): unknown {
  const { sampler, seed, grammar } = settings;
  const sent = { ...settings, sampler: sentSampler(sampler), seed: seedText(seed) };
  return { ...sent, ...(grammar && plainGrammar ? { grammar: grammar.source } : {}), secret, resume };
}

/**
 * The JSON of an open frame.
 * @throws ProtocolError `bad_frame`, or `bad_setting` or `unsupported` that cost the session only
 */
export function parseOpen(
  bytes: Uint8Array,
  session: number,
): Omit<OpenFrame, "type" | "session" | "tokens"> {
  const raw = parseControl(openSchema, "open", bytes, session);
  const sampler = samplerOf(raw.sampler, session);
  const grammar = raw.grammar === undefined ? null : grammarOfWire(raw.grammar, session);
  try {
    const settings: SessionSettings = {
      policy: checkPolicy(raw.policy),
      sampler: samplerSettings(sampler),
      seed: toSeed(raw.seed),
      maxTokens: raw.maxTokens,
      ...(grammar ? { grammar } : {}),
      ...(raw.logprobs === undefined ? {} : { logprobs: raw.logprobs }),
    };
    const plain = typeof raw.grammar === "string" ? { plainGrammar: true } : {};
    return { settings, secret: raw.secret, resume: raw.resume, ...plain };
  } catch (error) {
    throw new ProtocolError("bad_setting", messageOf(error), session);
  }
}

/**
 * A sampler setting changes the text: an unknown one is refused, where other unknown fields are ignored. So an edge does
 * not send what is at its default.
 */
function samplerOf(raw: object, session: number): Partial<SamplerSettings> {
  for (const name of Object.keys(raw)) {
    if (Object.hasOwn(SAMPLER_ROWS, name)) continue;
    const shown = JSON.stringify(name.slice(0, PROTOCOL_LIMITS.featureUnits));
    const message = `this cloud does not know the sampler setting ${shown}: leave it at its default, or update the cloud`;
    throw new ProtocolError("unsupported", message, session);
  }
  return raw as Partial<SamplerSettings>;
}

function grammarOfWire(raw: string | { kind: string; source: string }, session: number): Grammar {
  if (typeof raw === "string") return { kind: "ebnf", source: raw };
  const { kind, source } = raw;
  if (isGrammarKind(kind)) return { kind, source };
  const message = `this cloud does not know the grammar kind ${JSON.stringify(kind)}: send ${GRAMMAR_KINDS.join(" or ")}, or update the cloud`;
  throw new ProtocolError("unsupported", message, session);
}
