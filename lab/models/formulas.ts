/**
 * Published closed forms, as their papers give them. Times are in ms, rates in tokens/s, alpha is the
 * probability that a draft made in the right context is accepted (drafts independent of each other), gamma is how
 * many are drafted a cycle.
 *
 * [P] PicoSpec, arXiv 2603.19133: its performance model; it knows no bonus token.
 * [D] Speculation at a Distance, arXiv 2606.25091: its inequalities for stop-and-wait with a bonus token.
 * [L] Leviathan, Kalman, Matias, arXiv 2211.17192.
 */

/** What a cycle of [P] is made of. */
export interface CycleTimes {
  /** all drafts of a cycle, ms */
  readonly draftMs: number;
  /** RTT + T_verify, ms: what the edge waits for after it has sent */
  readonly answerMs: number;
}

/** 1 + a + ... + a^(terms - 1): also where a is 1. */
function geometricSum(ratio: number, terms: number): number {
  if (ratio === 1) return terms;
  return (1 - ratio ** terms) / (1 - ratio);
}

/** Tokens a cycle without a bonus token, [P]: E[L] = (1 - alpha^gamma) / (1 - alpha). */
export function tokensPerCycle(alpha: number, gamma: number): number {
  return geometricSum(alpha, gamma);
}

/** Tokens a cycle with a bonus token, [L] equation 1: (1 - alpha^(gamma + 1)) / (1 - alpha). */
export function tokensPerBonusCycle(alpha: number, gamma: number): number {
  return geometricSum(alpha, gamma + 1);
}

/** Accepted drafts a cycle, without the token that follows them: alpha (1 - alpha^gamma) / (1 - alpha). */
export function acceptedPerCycle(alpha: number, gamma: number): number {
  return alpha * geometricSum(alpha, gamma);
}

/** The whole segment is accepted, [P]: P_hit = alpha^gamma. */
export function hitProbability(alpha: number, gamma: number): number {
  return alpha ** gamma;
}

/** Drafting and waiting one after the other, ms, [P]: L_sync = T_draft + RTT + T_verify. */
export function syncLatencyMs({ draftMs, answerMs }: CycleTimes): number {
  return draftMs + answerMs;
}

/** Drafting and waiting at the same time, ms, [P]: L_async = max(T_draft, RTT + T_verify). */
export function asyncLatencyMs({ draftMs, answerMs }: CycleTimes): number {
  return Math.max(draftMs, answerMs);
}

/** A cycle whose guess was right, ms, [P]: T_hit = max(T_draft, RTT + T_verify). */
export const hitMs = asyncLatencyMs;

/** A cycle whose guess was wrong: its drafts are made anew, ms, [P]: T_miss = T_draft + RTT + T_verify. */
export const missMs = syncLatencyMs;

/** Expected time of a cycle, ms, [P]: E[T] = P_hit T_hit + (1 - P_hit) T_miss. */
export function expectedCycleMs(times: CycleTimes, alpha: number, gamma: number): number {
  const hit = hitProbability(alpha, gamma);
  return hit * hitMs(times) + (1 - hit) * missMs(times);
}

/** Tokens/s of the pipeline, [P]: R = E[L] / E[T]. */
export function asyncTokensPerSecond(times: CycleTimes, alpha: number, gamma: number): number {
  return (1000 * tokensPerCycle(alpha, gamma)) / expectedCycleMs(times, alpha, gamma);
}

/** Tokens/s without Parallel Drafting, [P]: E[L] / L_sync. */
export function syncTokensPerSecond(times: CycleTimes, alpha: number, gamma: number): number {
  return (1000 * tokensPerCycle(alpha, gamma)) / syncLatencyMs(times);
}

/**
 * How long the edge has nothing to do in a cycle, ms, [P]: T_bubble = max(0, RTT + T_verify - T_draft - T_pre).
 * @param aheadMs T_pre: what is drafted ahead meanwhile
 */
export function bubbleMs({ draftMs, answerMs }: CycleTimes, aheadMs: number): number {
  return Math.max(0, answerMs - draftMs - aheadMs);
}

/**
 * Speed-up over stop-and-wait for alpha to 1, [P]: 1 + (RTT + T_verify) / T_draft. Their own T_hit gives that
 * only where drafting is the slower part; see `overlapLimit`.
 */
export function publishedSpeedUpLimit({ draftMs, answerMs }: CycleTimes): number {
  return 1 + answerMs / draftMs;
}

/** The same limit from L_sync / L_async: two things at a time are never more than twice as fast as in turn. */
export function overlapLimit(times: CycleTimes): number {
  return syncLatencyMs(times) / asyncLatencyMs(times);
}

/** Times of stop-and-wait over a network, ms. */
export interface DistanceTimes {
  /** one draft token, t_d */
  readonly draftMs: number;
  /** one token of the cloud alone, t_ar; a pass that verifies takes as long */
  readonly passMs: number;
}

/**
 * The round trip, ms, below which stop-and-wait beats the cloud alone, [D]:
 * RTT < alpha (1 - alpha^gamma) / (1 - alpha) t_ar - gamma t_d. Negative: not on any network.
 */
export function breakEvenRttMs({ draftMs, passMs }: DistanceTimes, alpha: number, gamma: number): number {
  return acceptedPerCycle(alpha, gamma) * passMs - gamma * draftMs;
}

/** Tokens/s of stop-and-wait with a bonus token over a round trip: what the inequality of [D] compares. */
export function stopAndWaitTokensPerSecond(
  { draftMs, passMs }: DistanceTimes,
  rttMs: number,
  alpha: number,
  gamma: number,
): number {
  return (1000 * tokensPerBonusCycle(alpha, gamma)) / (gamma * draftMs + rttMs + passMs);
}

/** How many times as many clients a saturated server carries once it no longer drafts, [D]: 1 + gamma t_d / t_v. */
export function offloadFactor({ draftMs, passMs }: DistanceTimes, gamma: number): number {
  return 1 + (gamma * draftMs) / passMs;
}
