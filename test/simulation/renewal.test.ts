import { describe, expect, it } from "vitest";
import { scenarioRate } from "../../lab/models/renewal.ts";
import { type DecodingPolicy, POLICIES } from "../../src/decoding/policy.ts";
import { constantScenario, measuredRate, timeline, worstErrorMs } from "../support/timeline.ts";

/** The exact model against the real machines over a grid: 20,000 tokens each, from a seed. */

const never = Number.POSITIVE_INFINITY;
const TOKENS = 20_000;

/** Round trip, pass, draft, ms; numbers whose sums are exact. */
const grid: [number, number, number][] = [
  [60, 100, 10],
  [61.75, 103.125, 9.25],
  [20, 15, 10],
  [150, 17.25, 7.125],
  [15, 72, 24.375],
  [36, 146, 24.375],
  [300, 50, 5],
  [60, 0, 10],
  [0, 50, 20],
];
/** With sizes that stay as they are. */
const picospec: DecodingPolicy = { ...POLICIES.picospec, adaptive: false };
const untruncated = { ...picospec, truncateAfterMs: never };
const policies: [string, DecodingPolicy][] = [
  ["picospec", picospec],
  ["segments of 3 in a window of 7", { ...untruncated, segmentTokens: 3, windowTokens: 7 }],
  ["segments of 1 in a window of 16", { ...untruncated, segmentTokens: 1, windowTokens: 16 }],
  ["segments cut off at 35 ms", { ...picospec, truncateAfterMs: 35 }],
  ["no Parallel Drafting", POLICIES["picospec-no-parallel-drafting"]],
  ["no Fast Verification", POLICIES["picospec-no-fast-verification"]],
];

describe.each(policies)("%s", (_, policy) => {
  it.each(
    grid,
  )("RTT %d, pass %d, draft %d: every token when the model says, tokens/s within 1%", (...times) => {
    for (const acceptance of [0.6, 0.9]) {
      const scenario = constantScenario(...times, acceptance);
      const line = timeline(policy, scenario, TOKENS);
      const start = { ...line, atMs: line.atMs.slice(0, 3000) };
      expect(worstErrorMs(policy, scenario, start)).toBeLessThan(1e-6);
      const { tokensPerSecond } = scenarioRate(policy, scenario);
      expect(Math.abs(measuredRate(line, acceptance) / tokensPerSecond - 1)).toBeLessThan(0.01);
    }
  });
});

describe("vanilla", () => {
  // Nothing but chance is left between the two, as every cycle takes the same time: 0.25% at 80,000 tokens.
  it.each(grid.slice(0, 3))("RTT %d, pass %d, draft %d: tokens/s within 1%", (...times) => {
    for (const acceptance of [0.6, 0.9]) {
      const scenario = constantScenario(...times, acceptance);
      const { atMs, startMs } = timeline(POLICIES.vanilla, scenario, 4 * TOKENS);
      const { tokensPerSecond } = scenarioRate(POLICIES.vanilla, scenario);
      const measured = (1000 * atMs.length) / (atMs.at(-1)! - startMs);
      expect(Math.abs(measured / tokensPerSecond - 1)).toBeLessThan(0.01);
    }
  });
});
