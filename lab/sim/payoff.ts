import { Purpose, toSeed, uniform } from "../../src/sampling/random.ts";
import type { Estimate, FittedScenario, RateEstimate } from "../models/fit.ts";
import type { Scenario } from "../models/scenario.ts";
import { type NamedPolicy, simulate } from "./simulate.ts";
import { speedupError } from "./sweep.ts";

/** What each policy would give in a scenario that is only known so well, and what to choose. */

export interface PayoffOfPolicy {
  readonly policy: string;
  readonly tokensPerSecond: Estimate;
  /** over the cloud alone */
  readonly speedup: Estimate;
  readonly targetPassesPerToken: number | null;
}

export interface PayoffReport {
  readonly policies: readonly PayoffOfPolicy[];
  /** the policy to take */
  readonly choice: string;
  /** whether it pays off, in plain words, a line each */
  readonly advice: readonly string[];
}

export interface PayoffOptions {
  readonly policies: readonly NamedPolicy[];
  readonly seed: number;
  /** scenarios that the uncertain numbers are drawn for */
  readonly draws: number;
  /** answers of each */
  readonly answers: number;
}

/** A gain below this is not worth a second model on the device. */
const WORTHWHILE = 1.1;
/** Two speed-ups that are as close as this are a tie: then fewer passes decide. */
const TIE = 0.03;

/**
 * Simulates the policies in the scenario and in others drawn from the intervals of what was measured, all with the
 * same random numbers. @param policies `cloud` is among them, first
 * @example
 * import { policyNamed } from "picospec";
 * import { payoffReport, scenarioNamed } from "picospec/lab";
 *
 * const policies = ["cloud", "race"].map((name) => ({ name, policy: policyNamed(name) }));
 * const known = { scenario: scenarioNamed("laptop-gpu"), intervals: {} };
 * console.log(payoffReport(known, { policies, seed: 1, draws: 0, answers: 20 }).choice);
 */
export function payoffReport({ scenario, intervals }: FittedScenario, options: PayoffOptions): PayoffReport {
  const { policies, seed, draws, answers } = options;
  const run = (some: Scenario) => simulate(some, policies, { seed, edges: 1, answers });
  const base = run(scenario);
  const drawn = Array.from({ length: draws }, (_, draw) =>
    run(drawScenario(scenario, intervals, seed, draw)),
  );
  const planned = base.map((result, i) => ({
    policy: result.policy,
    tokensPerSecond: range(
      result.tokensPerSecond,
      result.tokensPerSecondError,
      drawn.map((all) => all[i]!.tokensPerSecond),
    ),
    speedup: range(
      result.speedup,
      speedupError(result, base[0]!),
      drawn.map((all) => all[i]!.speedup),
    ),
    targetPassesPerToken: result.targetPassesPerToken,
  }));
  const choice = choose(planned);
  return { policies: planned, choice: choice.policy, advice: advise(scenario, planned, choice) };
}

/** Each uncertain number by itself, uniformly within its interval. */
function drawScenario(
  scenario: Scenario,
  intervals: FittedScenario["intervals"],
  seed: number,
  draw: number,
): Scenario {
  const changed: Record<string, number> = {};
  for (const [i, [field, interval]] of Object.entries(intervals).entries()) {
    const { value, low, high } = interval as Estimate | RateEstimate;
    const u = uniform(toSeed(seed), Purpose.draft, draw, 1, i);
    const most = field.startsWith("acceptance") ? 1 : Number.POSITIVE_INFINITY;
    changed[field] = Math.min(most, Math.max(0, low + u * ((high ?? 2 * value) - low)));
  }
  return { ...scenario, ...changed };
}

function range(value: number, error: number, others: readonly number[]): Estimate {
  const all = [value, ...others];
  return { value, low: Math.min(...all) - error, high: Math.max(...all) + error };
}

/** The fastest; of those that are as good as that, the one that asks least of the cloud. */
function choose(planned: readonly PayoffOfPolicy[]): PayoffOfPolicy {
  const best = Math.max(...planned.map(({ speedup }) => speedup.value));
  const good = planned.filter(({ speedup }) => speedup.value >= best * (1 - TIE));
  const passes = (one: PayoffOfPolicy) => one.targetPassesPerToken ?? Number.POSITIVE_INFINITY;
  const fewest = good.reduce((a, b) => (passes(b) < passes(a) ? b : a));
  return fewest.speedup.value < WORTHWHILE ? planned[0]! : fewest;
}

function advise(scenario: Scenario, planned: readonly PayoffOfPolicy[], choice: PayoffOfPolicy): string[] {
  const { rttMs, passMs, draftMs, acceptanceCoupled } = scenario;
  const times = ({ low, value, high }: Estimate) =>
    `${value.toFixed(2)} times (${low.toFixed(2)} to ${high.toFixed(2)})`;
  const best = planned.reduce((a, b) => (b.speedup.value > a.speedup.value ? b : a));
  const lines: string[] = [];
  if (choice === planned[0]) {
    lines.push(
      `PicoSpec does not pay off here: the best policy, ${best.policy}, is ${times(best.speedup)} as fast as the cloud alone.`,
    );
    lines.push(reason(scenario));
  } else {
    lines.push(
      `PicoSpec pays off here: ${choice.policy} is ${times(choice.speedup)} as fast as the cloud alone.`,
    );
    if (choice.speedup.low < WORTHWHILE) {
      lines.push("The measurements leave room for less than a tenth of gain: measure longer, or try it.");
    }
    const saved = choice.targetPassesPerToken;
    if (saved !== null) lines.push(`The cloud computes ${saved.toFixed(2)} passes a token instead of 1.`);
  }
  const loses = planned.filter(({ speedup }) => speedup.high < 1).map(({ policy }) => policy);
  if (loses.length > 0) lines.push(`Slower than the cloud alone: ${loses.join(", ")}.`);
  lines.push(
    `Assumed: RTT ${rttMs.toFixed(0)} ms, a pass ${passMs.toFixed(1)} ms, a draft ${draftMs.toFixed(1)} ms, ${(100 * acceptanceCoupled).toFixed(0)}% of drafts agree.`,
  );
  return lines;
}

/** What is in the way. */
function reason({ rttMs, passMs, draftMs, acceptanceCoupled }: Scenario): string {
  if (draftMs > 0.7 * passMs)
    return "A draft takes nearly as long as a pass of the target: take a smaller drafter.";
  if (acceptanceCoupled < 0.4) return "The drafter agrees too seldom: take one of the target's own family.";
  if (rttMs > 4 * passMs)
    return "The network is slow and the target fast: drafts come after the cloud has gone on.";
  return "What drafts save is about what they cost here.";
}
