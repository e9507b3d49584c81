import { describe, expect, it } from "vitest";
import {
  acceptedPerCycle,
  asyncLatencyMs,
  breakEvenRttMs,
  bubbleMs,
  expectedCycleMs,
  hitMs,
  hitProbability,
  missMs,
  offloadFactor,
  overlapLimit,
  publishedSpeedUpLimit,
  stopAndWaitTokensPerSecond,
  syncLatencyMs,
  tokensPerBonusCycle,
  tokensPerCycle,
} from "./formulas.ts";

describe("tokens a cycle", () => {
  /** The same by adding up what each place of the first rejection gives. */
  const byPlace = (alpha: number, gamma: number, bonus: number) => {
    let total = alpha ** gamma * (gamma + bonus);
    for (let accepted = 0; accepted < gamma; accepted++)
      total += alpha ** accepted * (1 - alpha) * (accepted + 1);
    return total;
  };

  it("count the correction, and a bonus token where there is one", () => {
    for (const alpha of [0, 0.3, 0.8, 0.99]) {
      for (const gamma of [1, 4, 9]) {
        expect(tokensPerCycle(alpha, gamma)).toBeCloseTo(byPlace(alpha, gamma, 0), 12);
        expect(tokensPerBonusCycle(alpha, gamma)).toBeCloseTo(byPlace(alpha, gamma, 1), 12);
        expect(acceptedPerCycle(alpha, gamma)).toBeCloseTo(tokensPerBonusCycle(alpha, gamma) - 1, 12);
      }
    }
  });

  it("are all drafts when all are accepted", () => {
    expect([tokensPerCycle(1, 5), tokensPerBonusCycle(1, 5), acceptedPerCycle(1, 5)]).toEqual([5, 6, 5]);
    expect(hitProbability(1, 5)).toBe(1);
  });
});

describe("times of a cycle", () => {
  const times = { draftMs: 40, answerMs: 160 };

  it("add up without overlap, and are the longer one with it", () => {
    expect([syncLatencyMs(times), asyncLatencyMs(times)]).toEqual([200, 160]);
    expect([hitMs(times), missMs(times)]).toEqual([160, 200]);
    expect(expectedCycleMs(times, 0.5, 2)).toBe(0.25 * 160 + 0.75 * 200);
  });

  it("leave a bubble where drafting ahead does not fill the wait", () => {
    expect([bubbleMs(times, 0), bubbleMs(times, 50), bubbleMs(times, 130)]).toEqual([120, 70, 0]);
  });

  it("give the published limit only where drafting takes longer than the answer", () => {
    const slowDrafts = { draftMs: 160, answerMs: 40 };
    expect(publishedSpeedUpLimit(slowDrafts)).toBe(overlapLimit(slowDrafts));
    expect([publishedSpeedUpLimit(times), overlapLimit(times)]).toEqual([5, 1.25]);
  });
});

describe("Speculation at a Distance", () => {
  const times = { draftMs: 10, passMs: 100 };

  it("is even with the cloud alone at the break-even round trip", () => {
    for (const alpha of [0.5, 0.8, 1]) {
      for (const gamma of [1, 4]) {
        const rttMs = breakEvenRttMs(times, alpha, gamma);
        expect(stopAndWaitTokensPerSecond(times, rttMs, alpha, gamma)).toBeCloseTo(10, 10);
        expect(stopAndWaitTokensPerSecond(times, rttMs - 1, alpha, gamma)).toBeGreaterThan(10);
      }
    }
  });

  it("is never even with a drafter that is too slow or too often wrong", () => {
    expect(breakEvenRttMs({ draftMs: 60, passMs: 100 }, 0.5, 4)).toBeLessThan(0);
  });

  it("frees a server from drafting", () => {
    expect(offloadFactor(times, 4)).toBeCloseTo(1.4, 12);
  });
});
