import { describe, expect, it } from "vitest";
import { Purpose, toSeed, uniform } from "../../src/sampling/random.ts";
import { type CellResult, GRID_LEVELS, gridCells, picospecSizes, type Ratios } from "./grid.ts";
import { pairedRatio, studentT95 } from "./grid-paired.ts";
import { type RegionPoint, reachMs } from "./grid-region.ts";
import { comparison } from "./grid-report.ts";

describe("a ratio of rates over paired answers", () => {
  it("is that of the sums, and has no interval where every pair has the same ratio", () => {
    const { ratio, low, high } = pairedRatio([1, 2, 4], [2, 4, 8]);
    expect([ratio, low, high]).toEqual([2, 2, 2]);
    expect(pairedRatio([3], [6])).toEqual({ ratio: 2, low: 2, high: 2 });
  });

  it("holds the true ratio in some 95 of 100 samples, and a narrow interval only where pairs go together", () => {
    let held = 0;
    let drawn = 0;
    const draw = () => uniform(toSeed(1), Purpose.draft, drawn++, 0, 0);
    const normal = () => Math.sqrt(-2 * Math.log(draw())) * Math.cos(2 * Math.PI * draw());
    const samples = 2000;
    for (let i = 0; i < samples; i++) {
      const shared = Array.from({ length: 8 }, () => 10 + normal());
      const a = shared.map((value) => value + 0.3 * normal());
      const b = shared.map((value) => 1.5 * (value + 0.3 * normal()));
      const { low, high } = pairedRatio(a, b);
      if (low <= 1.5 && 1.5 <= high) held++;
    }
    // Five deviations of a binomial share around 95%, and a little for what the delta method is off by.
    expect(held / samples).toBeGreaterThan(0.92);
    expect(held / samples).toBeLessThan(0.98);
  });

  it("uses Student's t: 2.365 for 7 degrees of freedom, 2.040 for 31", () => {
    expect(studentT95(7)).toBeCloseTo(2.365, 2);
    expect(studentT95(15)).toBeCloseTo(2.131, 2);
    expect(studentT95(31)).toBeCloseTo(2.04, 2);
  });
});

describe("the grid", () => {
  it("has every combination once", () => {
    const cells = gridCells(GRID_LEVELS.full);
    expect(cells).toHaveLength(5 * 3 * 4 * 3 * 5);
    expect(new Set(cells.map((cell) => Object.values(cell).join())).size).toBe(cells.length);
  });

  it("tries picospec with every size once", () => {
    const sizes = picospecSizes().map(({ segmentTokens: n, windowTokens: w }) => `${n} ${w}`);
    expect(sizes).toHaveLength(31);
    expect(new Set(sizes).size).toBe(31);
    expect(sizes).toEqual(expect.arrayContaining(["1 64", "4 8", "16 64"]));
  });

  it("counts what misses its bar, and what surely does", () => {
    const one = (ratio: number, half: number) => ({ ratio, low: ratio - half, high: ratio + half });
    const result = (ratio: number, half: number) => {
      const all = one(ratio, half);
      const race: Ratios = { cloud: all, picospec: all, best: all };
      return { race, control: race } as CellResult;
    };
    const cells = [result(0.9, 0.01), result(0.97, 0.02), result(0.99, 0.02), result(1.5, 0.1)];
    const { holds, cellsBelowBar, cellsSurelyBelowBar, cellsBelowOne, quantiles, worst } = comparison(
      cells,
      "race",
      "cloud",
    );
    expect([holds, cellsBelowBar, cellsSurelyBelowBar, cellsBelowOne]).toEqual([false, 2, 1, 3]);
    expect([quantiles.least, quantiles.median, quantiles.most]).toEqual([0.9, 0.98, 1.5]);
    expect(worst[0]).toBe(cells[0]);
    expect(comparison(cells.slice(2), "race", "cloud").holds).toBe(true);
  });
});

it("the reach of race ends between two round trips, at none, or past the last", () => {
  const points = (ratios: number[]) =>
    ratios.map((ratio, i): RegionPoint => {
      return { rttMs: 10 * i, acceptance: 0.8, ratio: { ratio, low: ratio, high: ratio }, colocatedGamma: 6 };
    });
  expect(reachMs(points([1.1, 1.05, 0.95]), 0.8)).toBeCloseTo(15, 9);
  expect(reachMs(points([0.9, 0.8]), 0.8)).toBeNull();
  expect(reachMs(points([1.2, 1.1]), 0.8)).toBe(10);
});
