import { z } from "zod";
import type { DecodingPolicy } from "../../src/decoding/policy.ts";
import { SettingError } from "../../src/util/errors.ts";

/**
 * One plain value for the closed forms, the simulator and the benchmark: what the network, the machines and the
 * pair of models are like. JSON has no Infinity: null is written for it.
 */

const time = (unit: string, what: string) => z.number().min(0).max(1e7).describe(`${unit}: ${what}`);
const share = (what: string, most = 1) => z.number().min(0).max(most).describe(`0 to ${most}: ${what}`);
const rate = (unit: string, what: string) =>
  z.number().positive().nullable().default(null).describe(`${unit}: ${what}; null: no limit`);
const count = (unit: string, what: string, least = 1) =>
  z.number().int().min(least).max(10_000_000).describe(`${unit}: ${what}`);

export const scenarioSchema = z.strictObject({
  name: z.string().max(100).default("unnamed").describe("what it is called"),
  description: z.string().max(1000).default("").describe("what it describes, and the source of its numbers"),

  // network
  rttMs: time("ms", "round trip, without what the rates add"),
  upShare: share("of the round trip that is on the way up").default(0.5),
  jitterMs: time("ms", "up to this much more, each message, each way").default(0),
  upMbps: rate("Mbit/s", "from edge to cloud"),
  downMbps: rate("Mbit/s", "from cloud to edge"),
  loss: share("of messages that are lost and sent again, which holds up all behind them", 0.5).default(0),
  lossDelayMs: time("ms", "what a loss costs: TCP notices and sends again").default(200),
  disconnectsPerHour: z.number().min(0).max(3600).default(0).describe("1/h: times that the link breaks"),
  reconnectMs: time("ms", "until a broken link is there again").default(1000),

  // edge
  draftMs: time("ms", "one token of the drafter"),
  draftPrefillTokensPerSecond: z.number().positive().default(2000).describe("tokens/s: prompt, on the edge"),

  // cloud
  passMs: time("ms", "a pass of the target over one token"),
  passMsPerToken: time("ms", "each further row in the same pass, of any session").default(0),
  passFreeRows: count("rows", "so many cost nothing more: the pass is bound by memory").default(1),
  prefillTokensPerSecond: z.number().positive().default(4000).describe("tokens/s: prompt, on the cloud"),
  sequences: count("sessions", "whose KV a server keeps at a time").default(256),
  servers: count("servers", "behind one address").default(1),

  // pair
  acceptance: share("probability that a draft in the right context is accepted, rejection coupling"),
  acceptanceCoupled: share("the same under Gumbel coupling; equal at temperature 0 only"),
  acceptanceMemory: share(
    "how much acceptance comes in runs: 0 is independent; a two-state chain stays with this probability beyond chance",
    0.99,
  ).default(0),

  // text and policies
  vocabularySize: count("tokens", "of the target: what a dense exchange sends").default(151_936),
  promptTokens: count("tokens", "of the prompt").default(128),
  answerTokens: count("tokens", "of an answer").default(300),
  segmentTokens: count("tokens", "drafts a frame of vanilla and picospec; 0: their own", 0).default(0),
  colocatedDraftMs: time(
    "ms",
    "one token of the drafter in the data centre, for co-located speculation; 0: as on the edge",
  ).default(0),
});

export type Scenario = z.infer<typeof scenarioSchema>;

/** A field's name, its unit and meaning, and its default (undefined: it has to be given). */
export interface ScenarioField {
  readonly name: keyof Scenario;
  readonly meaning: string;
  readonly fallback: unknown;
}

export function scenarioFields(): ScenarioField[] {
  return Object.entries(scenarioSchema.shape).map(([name, field]) => ({
    name: name as keyof Scenario,
    meaning: describe(field),
    fallback: field instanceof z.ZodDefault ? field.def.defaultValue : undefined,
  }));
}

/** A default hides the description of what it wraps. */
function describe(field: z.ZodType): string {
  if (field.description !== undefined) return field.description;
  return field instanceof z.ZodDefault ? describe(field.unwrap() as z.ZodType) : "";
}

/**
 * @throws SettingError that names the field, what it is and what it has to be
 * @example
 * import { parseScenario } from "picospec/lab";
 *
 * const times = { rttMs: 60, draftMs: 10, passMs: 100 };
 * const scenario = parseScenario({ name: "mine", ...times, acceptance: 0.7, acceptanceCoupled: 0.6 });
 * console.log(scenario.vocabularySize);
 */
export function parseScenario(value: unknown): Scenario {
  const parsed = scenarioSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const field = issue.path.join(".") || "the scenario";
  throw new SettingError("scenario", `scenario: ${field}: ${issue.message}`);
}

/** The scenario's segment for policies that draft as the paper does, as many of them in the window. 0: their own. */
export function sized(policy: DecodingPolicy, segmentTokens: number): DecodingPolicy {
  if (segmentTokens === 0 || policy.segmentTokens === 0 || policy.coupling !== "rejection") return policy;
  const segments = policy.windowTokens / policy.segmentTokens;
  return { ...policy, adaptive: false, segmentTokens, windowTokens: segmentTokens * segments };
}
