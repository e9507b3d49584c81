import { POLICIES } from "../../src/decoding/policy.ts";
import { bestColocated, serverTimes } from "../models/colocated.ts";
import { parseScenario, type Scenario } from "../models/scenario.ts";
import { runAnswers } from "../sim/simulate.ts";
import { type PairedRatio, pairedRatio } from "./grid-paired.ts";

/**
 * Where `race` beats co-located speculation at its best draft length. arXiv 2606.25091 says that pipelined drafts of
 * an edge can where the round trip is shorter than the time of drafting, and not over a wide-area network. `race` is
 * simulated; co-location is its closed form, which favours it: drafts and passes cost nothing but their time, and its
 * drafter is as fast as the edge's.
 */

export interface RegionPoint {
  readonly rttMs: number;
  readonly acceptance: number;
  /** tokens/s of race over those of co-located speculation */
  readonly ratio: PairedRatio;
  /** drafts a cycle of the best co-located speculation */
  readonly colocatedGamma: number;
}

export interface RegionLevels {
  readonly rttMs: readonly number[];
  readonly acceptance: readonly number[];
}

export const REGION_LEVELS = {
  rttMs: [0, 10, 20, 30, 40, 50, 60, 80, 100, 120, 150, 200, 300],
  acceptance: [0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98],
} as const satisfies RegionLevels;

export const REGION_DRAFT_MS = 10;
const PASS_MS = 100;
const SEED = 1;

function regionScenario(rttMs: number, acceptance: number): Scenario {
  return parseScenario({
    ...{ rttMs, draftMs: REGION_DRAFT_MS, passMs: PASS_MS, acceptance, acceptanceCoupled: acceptance },
    ...{ promptTokens: 128, answerTokens: 300 },
  });
}

export function region(levels: RegionLevels, answers: number): RegionPoint[] {
  return levels.acceptance.flatMap((acceptance) =>
    levels.rttMs.map((rttMs) => regionPoint(rttMs, acceptance, answers)),
  );
}

/** Both from asking to the last token: the question and the answer cross the network once in either case. */
function regionPoint(rttMs: number, acceptance: number, answers: number): RegionPoint {
  const scenario = regionScenario(rttMs, acceptance);
  const done = runAnswers(scenario, POLICIES.race, { seed: SEED, edges: 1, answers });
  const own = done.map(({ startedMs, lastTokenMs }) => lastTokenMs - startedMs);
  const { gamma, tokensPerSecond } = bestColocated(serverTimes(scenario), acceptance);
  const { promptTokens, prefillTokensPerSecond, answerTokens } = scenario;
  const colocatedMs = rttMs + 1000 * (promptTokens / prefillTokensPerSecond + answerTokens / tokensPerSecond);
  const ratio = pairedRatio(own, Array(answers).fill(colocatedMs));
  return { rttMs, acceptance, ratio, colocatedGamma: gamma };
}

/** The longest round trip up to which race is at least as fast, between the levels by a straight line; null: none. */
export function reachMs(points: readonly RegionPoint[], acceptance: number): number | null {
  const row = points.filter((point) => point.acceptance === acceptance).sort((a, b) => a.rttMs - b.rttMs);
  let reach: number | null = null;
  for (const [i, { rttMs, ratio }] of row.entries()) {
    if (ratio.ratio >= 1) reach = rttMs;
    else {
      const before = row[i - 1];
      if (!before) return null;
      const share = (before.ratio.ratio - 1) / (before.ratio.ratio - ratio.ratio);
      return before.rttMs + share * (rttMs - before.rttMs);
    }
  }
  return reach;
}
