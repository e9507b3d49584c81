import type { DecodingPolicy } from "../../src/decoding/policy.ts";
import type { PipelineStatistics } from "../../src/edge/core/statistics.ts";
import type { Opener } from "../../src/edge/opener.ts";
import { toSeed } from "../../src/sampling/random.ts";
import { assert } from "../../src/util/assert.ts";
import { PicoSpecError } from "../../src/util/errors.ts";
import { type Scenario, sized } from "../models/scenario.ts";
import type { AcceptanceModel } from "./acceptance.ts";
import { World } from "./world.ts";

/** What a policy gives in a scenario: the row that `simulate --json` prints. */
export interface SimulatedPolicy {
  readonly policy: string;
  /** of one edge: its tokens over the time that it waited for them, prompt and network included */
  readonly tokensPerSecond: number;
  /** tokens/s over those of the policy `cloud` under the same seed */
  readonly speedup: number;
  /** accepted drafts, of those that were judged; null where none was */
  readonly acceptanceRate: number | null;
  readonly targetPassesPerToken: number | null;
  readonly uplinkBytesPerToken: number;
  readonly downlinkBytesPerToken: number;
  /** drafts that were dropped, a token */
  readonly wastedDraftsPerToken: number;
  /** half of the 95% interval of tokensPerSecond, over answers; 0 where chance has no part */
  readonly tokensPerSecondError: number;
  readonly timeToFirstTokenMs: number;
  /** from the first token of an answer to its last, over the tokens between */
  readonly msPerToken: number;
  /** tokens/s of all edges together */
  readonly totalTokensPerSecond: number;
}

export interface NamedPolicy {
  readonly name: string;
  readonly policy: DecodingPolicy;
}

export interface SimulateOptions {
  readonly seed: number;
  readonly edges: number;
  /** of each edge, one after the other */
  readonly answers: number;
  readonly acceptance?: (answer: number, coupled: boolean) => AcceptanceModel;
  /** the cloud's engine decodes by itself, as vLLM does; default: it runs passes that the cloud schedules */
  readonly live?: boolean;
}

/**
 * Runs policies in a scenario, all with the same random numbers; the first of the results is `cloud`.
 * @example
 * import { policyNamed } from "picospec";
 * import { scenarioNamed, simulate } from "picospec/lab";
 *
 * const policies = ["cloud", "race"].map((name) => ({ name, policy: policyNamed(name) }));
 * const options = { seed: 1, edges: 1, answers: 20 };
 * const [, race] = simulate(scenarioNamed("laptop-gpu"), policies, options);
 * console.log(race?.speedup);
 */
export function simulate(
  scenario: Scenario,
  policies: readonly NamedPolicy[],
  options: SimulateOptions,
): SimulatedPolicy[] {
  const results: SimulatedPolicy[] = [];
  for (const { name, policy } of policies) {
    const answers = runAnswers(scenario, sized(policy, scenario.segmentTokens), options);
    const base = results[0]?.tokensPerSecond ?? Number.NaN;
    results.push(summary(name, answers, options.edges, base));
  }
  return results;
}

/** A link that breaks before anything is through would go on for ever: simulated time without a decision. */
const MOST_SILENCE_MS = 600_000;

/** Every edge asks its questions one after the other; the edges start spread over one round trip and pass. */
export function runAnswers(
  scenario: Scenario,
  policy: DecodingPolicy,
  { seed, edges, answers, acceptance, live = false }: SimulateOptions,
): PipelineStatistics[] {
  // An answer's seed is its number: the same under every policy.
  const bySeed = acceptance && ((given: { low: number }, coupled: boolean) => acceptance(given.low, coupled));
  const world = new World({ scenario, seed, live, ...(bySeed ? { acceptance: bySeed } : {}) });
  const done: PipelineStatistics[] = [];
  let progressMs = 0;
  const token = () => {
    progressMs = world.clock.nowMs();
  };
  const next = (opener: Opener, index: number, number: number) => {
    if (number === answers) {
      opener.close();
      return;
    }
    const own = toSeed((BigInt(seed) << 32n) | BigInt(index * answers + number));
    world.open(opener, policy, own, {
      token,
      finished(outcome, statistics) {
        if (outcome.kind === "failed") {
          throw new PicoSpecError(outcome.code, `a simulated answer failed: ${outcome.message}`);
        }
        done.push(statistics);
        // Not within the session's own last turn.
        world.clock.schedule(world.clock.nowMs(), () => next(opener, index, number + 1));
      },
    });
  };
  for (let index = 0; index < edges; index++) {
    const edge = world.edge();
    const startMs = ((scenario.rttMs + scenario.passMs) * index) / edges;
    world.clock.schedule(startMs, () => edge.start(policy, (opener) => next(opener, index, 0)));
  }
  while (done.length < edges * answers) {
    assert(world.clock.step(), "the simulation ran out of events too early");
    if (world.clock.nowMs() < progressMs + MOST_SILENCE_MS) continue;
    const message = `nothing has been committed for ${MOST_SILENCE_MS / 60_000} simulated minutes: this network does not carry that policy`;
    throw new PicoSpecError("no_progress", message);
  }
  return done;
}

function summary(
  policy: string,
  answers: readonly PipelineStatistics[],
  edges: number,
  base: number,
): SimulatedPolicy {
  const total = (value: (answer: PipelineStatistics) => number) =>
    answers.reduce((sum, answer) => sum + value(answer), 0);
  const tokens = total((answer) => answer.tokens);
  const seconds = total(secondsOf);
  const accepted = total((answer) => answer.accepted);
  const judged = accepted + total((answer) => answer.rejected);
  const between = total((answer) => Math.max(0, answer.tokens - 1));
  const tokensPerSecond = tokens / seconds;
  // What a session was before its link broke is not in the usage.
  const passes = answers.every((answer) => answer.usage && answer.resumptions === 0)
    ? total((answer) => answer.usage!.targetPasses) / tokens
    : null;
  return {
    policy,
    tokensPerSecond,
    speedup: Number.isNaN(base) ? 1 : tokensPerSecond / base,
    acceptanceRate: judged > 0 ? accepted / judged : null,
    targetPassesPerToken: passes,
    uplinkBytesPerToken: total((answer) => answer.uplinkBytes) / tokens,
    downlinkBytesPerToken: total((answer) => answer.downlinkBytes) / tokens,
    wastedDraftsPerToken: total((answer) => answer.discarded) / tokens,
    tokensPerSecondError: ratioError(answers, tokensPerSecond, seconds),
    timeToFirstTokenMs: total((answer) => answer.firstTokenMs - answer.startedMs) / answers.length,
    msPerToken: total((answer) => answer.lastTokenMs - answer.firstTokenMs) / Math.max(1, between),
    totalTokensPerSecond: tokensPerSecond * edges,
  };
}

/** From the question to the last token, s. */
export function secondsOf({ startedMs, lastTokenMs }: PipelineStatistics): number {
  return (lastTokenMs - startedMs) / 1000;
}

/** Half of the 95% interval of a ratio of sums (the delta method; answers are independent). */
function ratioError(answers: readonly PipelineStatistics[], ratio: number, seconds: number): number {
  const n = answers.length;
  if (n < 2) return 0;
  let squares = 0;
  for (const answer of answers) squares += (answer.tokens - ratio * secondsOf(answer)) ** 2;
  return (1.96 * Math.sqrt((squares * n) / (n - 1))) / seconds;
}
