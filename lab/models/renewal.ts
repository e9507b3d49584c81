import type { DecodingPolicy } from "../../src/decoding/policy.ts";
import { SettingError } from "../../src/util/errors.ts";
import { type AheadPasses, allAccepted, type PipelineRules, type PipelineTimes } from "./all-accepted.ts";
import { Cycles } from "./cycles.ts";
import { tokensPerBonusCycle } from "./formulas.ts";
import { type Scenario, sized } from "./scenario.ts";

/**
 * Long-run throughput of our own state machines, exact (but for rounding) where these hold: one edge on an idle
 * cloud; drafts, passes and both ways of the network take constant times, a pass whatever its rows; no limit of
 * bandwidth, no time of our own code, no prefill; each draft is accepted with the same probability, independently; no
 * window so large, and no network so slow, that anybody waits for acknowledgements.
 *
 * Our derivation. Everything starts anew at a rejection, so that tokens/s = E[tokens] / E[time] of the cycle
 * from one to the next (renewal reward theorem). Up to the rejection of draft j a cycle goes as if every draft
 * was accepted: that course is deterministic, and one run of it gives the time T_j at which the edge hears of draft j,
 * for every j. The first rejection is at j with probability (1 - a) a^(j - 1), and such a cycle is worth j
 * tokens, the correction being one. So E[tokens] = 1 / (1 - a) and E[time] = sum over j of (1 - a) a^(j - 1) T_j.
 *
 * Two things outlive a rejection: the drafter may be busy with a draft that is void, and the cloud's estimate of
 * how long drafts are in coming decides whether a correction has a pass of its own. Cycles are then a Markov
 * chain over these two, and the expectation is over its stationary distribution. Where that estimate wavers
 * around the time of a pass it is followed on a grid, and the result is good to about 0.3%.
 */

export interface SteadyRate {
  readonly tokensPerSecond: number;
  /** passes of the target a token */
  readonly passesPerToken: number;
  /**
   * Whether a correction has a pass of its own, ahead of its drafts. `estimate`: at times, since the cloud's
   * estimate of how long drafts take goes up and down across the time of a pass.
   */
  readonly aheadPasses: AheadPasses;
}

const GRID_PER_MS = 2 ** 16;
/** With as many undecided drafts an edge may have something to acknowledge between two segments: src/edge/core/session.ts. */
const ACKNOWLEDGE_TOKENS = 64;

/**
 * Tokens/s in the long run.
 * @param acceptance that of the policy's coupling
 * @throws SettingError for a policy that is not covered
 */
export function steadyRate(policy: DecodingPolicy, times: PipelineTimes, acceptance: number): SteadyRate {
  const alone = { aheadPasses: "never" } as const;
  if (!policy.target) return { ...alone, tokensPerSecond: 1000 / times.draftMs, passesPerToken: 0 };
  // Pass after pass, and the network only delays the stream.
  const streaming = { ...alone, tokensPerSecond: 1000 / times.passMs, passesPerToken: 1 };
  if (policy.segmentTokens === 0) return streaming;
  checkCovered(policy, times);
  if (!policy.bonusToken) return pipelineRate(policy, onGrid(times), acceptance);
  // Stop-and-wait: after a bonus token or a correction both sides are idle, and every cycle takes as long.
  const tokens = tokensPerBonusCycle(acceptance, policy.segmentTokens);
  const tokensPerSecond = (1000 * tokens) / firstTokenMs(policy, times);
  return { ...alone, tokensPerSecond, passesPerToken: 1 / tokens };
}

/**
 * From opening a session, whose prompt costs nothing, to the first token, ms.
 * @throws SettingError for a policy that is not covered
 */
export function firstTokenMs(policy: DecodingPolicy, times: PipelineTimes): number {
  const { upMs, downMs, draftMs, passMs } = times;
  if (!policy.target) return draftMs;
  if (policy.segmentTokens === 0) return upMs + passMs + downMs;
  checkCovered(policy, times);
  if (policy.bonusToken) return policy.segmentTokens * draftMs + upMs + passMs + downMs;
  return allAccepted(policy, onGrid(times), "open", 1).verdictMs[0]!;
}

function checkCovered(policy: DecodingPolicy, times: PipelineTimes): void {
  const { segmentTokens, windowTokens, bonusToken, preVerify, truncateAfterMs } = policy;
  const refuse = (field: keyof DecodingPolicy, what: string) => {
    throw new SettingError(field, `${field}: the exact model does not cover ${what}; use the simulator`);
  };
  if (policy.coupling !== "rejection") refuse("coupling", "drafts under Gumbel coupling");
  if (policy.exchange === "denseUp") refuse("exchange", "a dense exchange, which bandwidth decides");
  if (windowTokens >= ACKNOWLEDGE_TOKENS) refuse("windowTokens", `windows of ${ACKNOWLEDGE_TOKENS} or more`);
  if (bonusToken && preVerify) refuse("preVerify", "Fast Verification with a bonus token");
  if (bonusToken && truncateAfterMs < segmentTokens * times.draftMs) {
    refuse("truncateAfterMs", "truncation with a bonus token");
  }
}

/**
 * Rounded so that sums of times are exact: a segment that is drafted upon one verdict is often done at the very
 * moment of another, and then the order of events must not hang on the last bit.
 */
function onGrid(times: PipelineTimes): PipelineTimes {
  const round = (ms: number) => Math.round(ms * GRID_PER_MS) / GRID_PER_MS;
  const { upMs, downMs, draftMs, passMs } = times;
  return { upMs: round(upMs), downMs: round(downMs), draftMs: round(draftMs), passMs: round(passMs) };
}

/** The same for a scenario, as if it kept to the assumptions: `brokenAssumptions` says where it does not. */
export function scenarioRate(policy: DecodingPolicy, scenario: Scenario): SteadyRate {
  const { rttMs, upShare, draftMs, passMs } = scenario;
  const times = { upMs: rttMs * upShare, downMs: rttMs * (1 - upShare), draftMs, passMs };
  const acceptance = policy.coupling === "rejection" ? scenario.acceptance : scenario.acceptanceCoupled;
  return steadyRate(sized(policy, scenario.segmentTokens), times, acceptance);
}

/** What of a scenario the exact model leaves out, in words; empty: nothing. */
export function brokenAssumptions(policy: DecodingPolicy, scenario: Scenario): string[] {
  const rows = policy.segmentTokens === 0 ? 1 : sized(policy, scenario.segmentTokens).windowTokens + 1;
  const broken: [boolean, string][] = [
    [scenario.jitterMs > 0, "jitter"],
    [scenario.loss > 0, "losses"],
    [scenario.disconnectsPerHour > 0, "disconnects"],
    [scenario.upMbps !== null || scenario.downMbps !== null, "bandwidth"],
    [scenario.passMsPerToken > 0 && rows > scenario.passFreeRows, "passes that take longer with more rows"],
    [scenario.acceptanceMemory > 0, "acceptance that comes in runs"],
  ];
  return broken.filter(([is]) => is).map(([, what]) => what);
}

function pipelineRate(rules: PipelineRules, times: PipelineTimes, acceptance: number): SteadyRate {
  const rate = (aheadPasses: AheadPasses, { meanMs, passes, tokens }: Cycles): SteadyRate => ({
    tokensPerSecond: (1000 * tokens) / meanMs,
    passesPerToken: passes / tokens,
    aheadPasses,
  });
  // An average of gaps that are all shorter than a pass is shorter than a pass: no need to follow it.
  const never = new Cycles(rules, times, acceptance, "never");
  if (!rules.preVerify || never.mostGapMs < times.passMs) return rate("never", never);
  const always = new Cycles(rules, times, acceptance, "always");
  if (always.leastGapMs >= times.passMs) return rate("always", always);
  return rate("estimate", new Cycles(rules, times, acceptance, "estimate"));
}
