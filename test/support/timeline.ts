import { allAccepted, type CourseStart, stateAfter } from "../../lab/models/all-accepted.ts";
import { parseScenario, type Scenario } from "../../lab/models/scenario.ts";
import { World } from "../../lab/sim/world.ts";
import type { DecodingPolicy } from "../../src/decoding/policy.ts";
import { toSeed } from "../../src/sampling/random.ts";

/** One long answer of the real machines under virtual time, and what the exact model says of it. */

/** When each token was committed, ms, and which tokens are corrections. */
export interface Timeline {
  readonly startMs: number;
  readonly atMs: readonly number[];
  /** indices into atMs */
  readonly corrections: readonly number[];
}

/** Constant times, and prompts that cost nothing. */
export function constantScenario(
  rttMs: number,
  passMs: number,
  draftMs: number,
  acceptance: number,
  more: Partial<Scenario> = {},
): Scenario {
  const times = { rttMs, passMs, draftMs, acceptance, acceptanceCoupled: acceptance, promptTokens: 8 };
  const free = Number.POSITIVE_INFINITY;
  const prompts = { prefillTokensPerSecond: free, draftPrefillTokensPerSecond: free };
  return { ...parseScenario({ ...times, ...more }), ...prompts };
}

export function timesOf({ rttMs, upShare, draftMs, passMs }: Scenario) {
  return { upMs: rttMs * upShare, downMs: rttMs * (1 - upShare), draftMs, passMs };
}

export function timeline(policy: DecodingPolicy, scenario: Scenario, tokens: number, seed = 1): Timeline {
  const world = new World({ scenario: { ...scenario, answerTokens: tokens }, seed });
  const edge = world.edge();
  const atMs: number[] = [];
  const corrections: number[] = [];
  let startMs = 0;
  edge.start(policy, (opener) =>
    world.open(opener, policy, toSeed(seed), {
      token(_, origin) {
        if (origin === "correction") corrections.push(atMs.length);
        atMs.push(world.clock.nowMs());
      },
      finished(_, statistics) {
        startMs = statistics.startedMs;
        edge.close();
      },
    }),
  );
  world.clock.run(Number.POSITIVE_INFINITY, 1e9);
  return { startMs, atMs, corrections };
}

/** How far the exact model is from each token's time at most, ms, given which drafts were rejected; without the end. */
export function worstErrorMs(policy: DecodingPolicy, scenario: Scenario, line: Timeline): number {
  const times = timesOf(scenario);
  const last = line.atMs.length - 2 * policy.windowTokens;
  let start: CourseStart = "open";
  let [first, originMs, worst] = [0, line.startMs, 0];
  for (const rejected of line.corrections) {
    if (rejected >= last) break;
    const drafts = rejected - first + 1;
    const course = allAccepted(policy, times, start, drafts);
    for (let i = 0; i < drafts; i++) {
      worst = Math.max(worst, Math.abs(line.atMs[first + i]! - originMs - course.verdictMs[i]!));
    }
    start = stateAfter(course, drafts - 1, start);
    first = rejected + 1;
    originMs = line.atMs[rejected]!;
  }
  return worst;
}

/**
 * Tokens/s from rejection to rejection. How many tokens a cycle has on average is known, 1 / (1 - a): by how much
 * this sample is off is taken out of its mean time by regression, which leaves a tenth of the noise.
 */
export function measuredRate(line: Timeline, acceptance: number): number {
  const ends = line.corrections.slice(5, -2);
  const cycles = ends.slice(1).map((end, i) => ({
    tokens: end - ends[i]!,
    ms: line.atMs[end]! - line.atMs[ends[i]!]!,
  }));
  const mean = (of: (cycle: (typeof cycles)[number]) => number) =>
    cycles.reduce((sum, cycle) => sum + of(cycle), 0) / cycles.length;
  const [tokens, ms] = [mean((cycle) => cycle.tokens), mean((cycle) => cycle.ms)];
  const covariance = mean((cycle) => (cycle.tokens - tokens) * (cycle.ms - ms));
  const slope = covariance / mean((cycle) => (cycle.tokens - tokens) ** 2);
  const expected = 1 / (1 - acceptance);
  return (1000 * expected) / (ms + slope * (expected - tokens));
}
