import { describe, expect, it } from "vitest";
import { POLICIES } from "../../src/decoding/policy.ts";
import { plainTokensPerSecond, serverTimes } from "../models/colocated.ts";
import { SCALE_SCENARIO, simulateLoad } from "./scale.ts";
import { sessionsAt } from "./scale-report.ts";

const options = { seed: 1, warmMs: 1000, countedMs: 2000 };

describe("a load on one server", () => {
  it.each([10, 60])("of %d edges without drafts is as fast as the closed form says", (edges) => {
    const load = simulateLoad(SCALE_SCENARIO, POLICIES.cloud, edges, options);
    const closed = plainTokensPerSecond(serverTimes(SCALE_SCENARIO), edges);
    expect(Math.abs(load.tokensPerSecond / closed - 1)).toBeLessThan(0.03);
    expect(load.rowsPerPass).toBeCloseTo(edges, 0);
  });

  it("is the same for the same seed", () => {
    const run = () => simulateLoad(SCALE_SCENARIO, POLICIES.race, 5, options);
    expect(run()).toEqual(run());
  });

  it("of drafting edges takes more rows than it gives tokens, and no session is left behind", () => {
    const { tokensPerSecond, slowTokensPerSecond, rowsPerToken } = simulateLoad(
      SCALE_SCENARIO,
      POLICIES.vanilla,
      40,
      options,
    );
    expect(rowsPerToken).toBeGreaterThan(1.2);
    expect(slowTokensPerSecond).toBeGreaterThan(0.6 * tokensPerSecond);
  });
});

describe("the most sessions at a rate", () => {
  const rate = (sessions: number) => 1000 / sessions;

  it("is found to 2% by few tries", () => {
    const tries = new Set<number>();
    const counted = (sessions: number) => {
      tries.add(sessions);
      return rate(sessions);
    };
    const found = sessionsAt(counted, 3, [10, 100, 1000]);
    expect(found).toBeLessThanOrEqual(333);
    expect(found).toBeGreaterThan(333 / 1.03);
    expect(tries.size).toBeLessThan(12);
  });

  it("is exact where numbers are small, 0 where one is too slow already, and never more than was tried", () => {
    expect(sessionsAt(rate, 140, [100])).toBe(7);
    expect(sessionsAt(rate, 2000, [10, 100])).toBe(0);
    expect(sessionsAt(rate, 1, [10, 100])).toBe(100);
  });
});
