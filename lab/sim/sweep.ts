import { checkPolicy } from "../../src/decoding/policy.ts";
import { SettingError } from "../../src/util/errors.ts";
import {
  type Scenario,
  type ScenarioField,
  scenarioFields,
  scenarioSchema,
  sized,
} from "../models/scenario.ts";
import { type NamedPolicy, type SimulatedPolicy, type SimulateOptions, simulate } from "./simulate.ts";

/** Scenarios with some of their fields changed, and runs over a range of one. */

export const MOST_SWEEP_VALUES = 1000;

/** A field and what it is instead; null: no limit. */
export interface Setting {
  readonly field: keyof Scenario;
  readonly value: number | string | null;
}

export interface Sweep {
  readonly field: keyof Scenario;
  /** rising */
  readonly values: readonly number[];
}

/** What the policies give at one value of the field that is swept. */
export interface SweepPoint {
  readonly value: number;
  readonly results: SimulatedPolicy[];
}

const UNIT_SUFFIX = /(?:Ms|Mbps|TokensPerSecond|PerHour|PerToken|Tokens|Rows)$/;

/**
 * A field by its name, or by its name without the unit at its end, where no other field has that: `rtt`.
 * @throws SettingError that lists the fields with their units
 */
export function fieldNamed(name: string): ScenarioField {
  const known = scenarioFields();
  const exact = known.find((field) => field.name === name);
  if (exact) return exact;
  const short = known.filter((field) => field.name.replace(UNIT_SUFFIX, "") === name);
  if (short.length === 1) return short[0]!;
  if (short.length > 1) {
    const names = short.map((field) => field.name).join(" or ");
    throw new SettingError("field", `"${name}" is short for more than one field: say ${names}`);
  }
  const all = known.map((field) => {
    const unit = unitOf(field);
    return unit ? `${field.name} (${unit})` : field.name;
  });
  throw new SettingError("field", `unknown field "${name}"; there are ${all.join(", ")}`);
}

/** "ms" of "ms: round trip"; nothing for a text. */
export function unitOf({ meaning }: ScenarioField): string {
  return /^([^:]+): /.exec(meaning)?.[1] ?? "";
}

/**
 * @param text FIELD=VALUE: a number in the field's unit, null for no limit, any text for a name
 * @throws SettingError that says what the field takes
 */
export function parseSetting(text: string): Setting {
  const [, name, given] = /^\s*([^=\s]+)\s*=(.*)$/s.exec(text) ?? [];
  if (name === undefined || given === undefined) {
    throw new SettingError("set", `it is FIELD=VALUE, such as rttMs=80, not "${text}"`);
  }
  const field = fieldNamed(name);
  const value = typeof field.fallback === "string" ? given : numberOrNull(given.trim(), field);
  return { field: field.name, value: checked(field, value) };
}

function numberOrNull(text: string, field: ScenarioField): number | null {
  if (text === "null") return null;
  const value = Number(text);
  if (text === "" || Number.isNaN(value)) throw badValue(field, `"${text}"`, "it is no number");
  return value;
}

function checked<T>(field: ScenarioField, value: T): T {
  const parsed = scenarioSchema.shape[field.name].safeParse(value);
  if (parsed.success) return value;
  throw badValue(field, String(value), parsed.error.issues[0]!.message);
}

function badValue({ name, meaning }: ScenarioField, value: string, problem: string): SettingError {
  return new SettingError(name, `${name} (${meaning}) cannot be ${value}: ${problem}`);
}

/**
 * The scenario with fields changed; of two settings of one field the later counts.
 * @throws SettingError for a link that is never there for long enough
 */
export function withSettings(scenario: Scenario, settings: readonly Setting[]): Scenario {
  const changed = { ...scenario, ...Object.fromEntries(settings.map(({ field, value }) => [field, value])) };
  const { disconnectsPerHour, reconnectMs, rttMs } = changed;
  // A new link, then hello and welcome, then the session is opened again.
  const backMs = reconnectMs + 2 * rttMs;
  if (disconnectsPerHour * backMs < 3_600_000) return changed;
  const message = `with disconnectsPerHour ${disconnectsPerHour} the link breaks again before it is back, which takes ${backMs} ms`;
  throw new SettingError("disconnectsPerHour", message);
}

/**
 * @param text FIELD=FROM:TO:STEP, both ends included
 * @throws SettingError that says what is wrong with it
 */
export function parseSweep(text: string): Sweep {
  const [, name, ...ends] = /^\s*([^=\s]+)\s*=([^:]+):([^:]+):([^:]+)$/.exec(text) ?? [];
  if (name === undefined) {
    throw new SettingError("sweep", `it is FIELD=FROM:TO:STEP, such as rtt=10:300:10, not "${text}"`);
  }
  const field = fieldNamed(name);
  if (typeof field.fallback === "string") {
    throw new SettingError("sweep", `${field.name} is a text: sweep a field that is a number`);
  }
  const [from, to, step] = ends.map((end) => {
    const value = Number(end);
    if (end.trim() !== "" && Number.isFinite(value)) return value;
    throw new SettingError("sweep", `FROM, TO and STEP of a sweep are numbers, not "${end}"`);
  }) as [number, number, number];
  if (step <= 0) throw new SettingError("sweep", `the STEP of a sweep is above 0, not ${step}`);
  if (to < from) throw new SettingError("sweep", `a sweep rises: FROM ${from} is above TO ${to}`);
  // The end belongs to it, also where the quotient is a hair below a whole number: (0.3 - 0) / 0.1.
  const count = Math.floor((to - from) / step + 1e-9) + 1;
  if (count > MOST_SWEEP_VALUES) {
    const message = `a sweep has at most ${MOST_SWEEP_VALUES} values, not ${count}: take a larger STEP`;
    throw new SettingError("sweep", message);
  }
  // 0.1 + 2 * 0.1 is 0.30000000000000004: that is never meant.
  const values = Array.from({ length: count }, (_, i) => Number((from + i * step).toPrecision(12)));
  return { field: field.name, values: values.map((value) => checked(field, value)) };
}

/** @throws SettingError for a policy that the scenario's segments make impossible, before anything runs */
export function checkPolicies(scenario: Scenario, policies: readonly NamedPolicy[]): void {
  for (const { policy } of policies) checkPolicy(sized(policy, scenario.segmentTokens));
}

/**
 * Runs the policies at every value, each time with the same random numbers.
 * @param progress hears what share of it is done
 */
export function simulateSweep(
  scenario: Scenario,
  { field, values }: Sweep,
  policies: readonly NamedPolicy[],
  options: SimulateOptions,
  progress: (fraction: number) => void = () => {},
): SweepPoint[] {
  const scenarios = values.map((value) => withSettings(scenario, [{ field, value }]));
  for (const one of scenarios) checkPolicies(one, policies);
  return values.map((value, index) => {
    progress(index / values.length);
    return { value, results: simulate(scenarios[index]!, policies, options) };
  });
}

/**
 * Half of the 95% interval of a speed-up, from those of the two rates (the delta method for a quotient, as if
 * they were independent; policies share the places of rejections, so the real one is rather narrower).
 */
export function speedupError(result: SimulatedPolicy, cloud: SimulatedPolicy): number {
  if (result.policy === cloud.policy) return 0;
  const own = result.tokensPerSecondError / cloud.tokensPerSecond;
  const others = (result.speedup * cloud.tokensPerSecondError) / cloud.tokensPerSecond;
  return Math.hypot(own, others);
}
