import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { equalGroups, wholeRuns } from "./groups.ts";

const counts = fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 64 });

describe("equalGroups", () => {
  it("takes what all have, then the rest of the longer ones", () => {
    const member = (share: number, from: number, count: number) => ({ share, from, count, padded: false });
    expect(equalGroups([5, 3], false)).toEqual([[member(0, 0, 3), member(1, 0, 3)], [member(0, 3, 2)]]);
  });

  it("leaves no sequence with one token where that matters", () => {
    expect(equalGroups([1], true)).toEqual([[{ share: 0, from: 0, count: 1, padded: true }]]);
    const sizes = equalGroups([5, 4], true).map((group) => group.map(({ count }) => count));
    expect(sizes).toEqual([[4], [5]]);
  });

  it("has every token once and in order, 63 at most in a group and equally many of each sequence", () => {
    fc.assert(
      fc.property(counts, fc.boolean(), (shares, paired) => {
        const next = shares.map(() => 0);
        for (const group of equalGroups(shares, paired)) {
          const sizes = group.map(({ count, padded }) => count + (padded ? 1 : 0));
          expect(new Set(sizes).size).toBe(1);
          expect(sizes.length * sizes[0]!).toBeLessThanOrEqual(63);
          if (paired) expect(sizes[0]).toBeGreaterThan(1);
          for (const { share, from, count, padded } of group) {
            expect(from).toBe(next[share]);
            next[share]! += count;
            expect(padded).toBe(paired && shares[share] === 1);
          }
        }
        expect(next).toEqual(shares);
      }),
    );
  });
});

describe("wholeRuns", () => {
  it("has every token once and in order, and fills every run but the last", () => {
    fc.assert(
      fc.property(counts, fc.integer({ min: 1, max: 300 }), (shares, most) => {
        const runs = wholeRuns(shares, most);
        const next = shares.map(() => 0);
        for (const [i, run] of runs.entries()) {
          const tokens = run.reduce((sum, { count }) => sum + count, 0);
          expect(i === runs.length - 1 ? tokens <= most : tokens === most).toBe(true);
          for (const { share, from, count } of run) {
            expect(from).toBe(next[share]);
            next[share]! += count;
          }
        }
        expect(next).toEqual(shares);
      }),
    );
  });
});
