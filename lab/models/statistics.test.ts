import { describe, expect, it } from "vitest";
import { draws } from "../../test/support/world.ts";
import { sameFrequencies, tally } from "./statistics.ts";

/** @returns counts of outcomes that are as likely as their weight */
function sample(weights: readonly number[], count: number, random: () => number): Map<string, number> {
  const sums: number[] = [];
  for (const weight of weights) sums.push((sums.at(-1) ?? 0) + weight);
  const outcome = () => {
    const drawn = random() * sums.at(-1)!;
    return `${sums.findIndex((sum) => drawn < sum)}`;
  };
  return tally(Array.from({ length: count }, outcome));
}

const MANY = Array.from({ length: 300 }, (_, i) => 1 / (1 + i));

describe("two samples, seed 5", () => {
  it("of one distribution have p-values that are spread evenly, rare outcomes among them", () => {
    const random = draws(5);
    const values = Array.from({ length: 400 }, () =>
      sameFrequencies(sample(MANY, 900, random), sample(MANY, 500, random)),
    ).map(({ pValue }) => pValue);
    // Binomial: 40 of 400 are expected below 0.1; more than 66 or fewer than 18 are one in 10,000.
    const low = values.filter((p) => p < 0.1).length;
    expect(low).toBeGreaterThan(17);
    expect(low).toBeLessThan(67);
  });

  it("of two distributions are told apart", () => {
    const random = draws(5);
    const flatter = MANY.map((weight) => weight ** 0.8);
    const { pValue } = sameFrequencies(sample(MANY, 1500, random), sample(flatter, 1500, random));
    expect(pValue).toBeLessThan(1e-4);
  });
});
