import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { agreementProbability, leastAgreement, loudest, loudestNoise, totalVariation } from "./coupling.ts";
import { DenseDistribution } from "./distribution.ts";
import { gumbel, toSeed, uniform } from "./random.ts";

const PAIRS = 50;
const DRAWS = 4000;
/** Normal quantile of a false-alarm rate of 1e-3 for all pairs together: two-sided, 1e-3 / 50 each (Bonferroni). */
const Z = 4.265;
const V = 8;

/** A pair of distributions; from far apart to the same one, some tokens with no mass. */
function pair(index: number): [Float64Array, Float64Array] {
  const draw = (side: number, x: number) => uniform(toSeed(index), 1, x, side, 0);
  const apart = (index % 10) / 9;
  const logits = (side: number) =>
    Float64Array.from({ length: V }, (_, x) => 5 * ((1 - apart) * draw(0, x) + apart * draw(side, x)));
  const weights = (side: number) =>
    logits(side).map((l, x) => (index % 3 === 0 && draw(side, x + V) < 0.2 ? 0 : Math.exp(l)));
  const normal = (w: Float64Array) => w.map((x) => x / w.reduce((a, b) => a + b, 0));
  return [normal(weights(1)), normal(weights(2))];
}

const pairs = Array.from({ length: PAIRS }, (_, i) => pair(i));

/** How often both winners are one token, the target's noise from one seed and the drafter's from another. */
function agreementRate(p: Float64Array, q: Float64Array, drafterSeed: (draw: number) => number): number {
  const [target, drafter] = [p, q].map((w) => DenseDistribution.of(Float32Array.from(w)));
  let agreed = 0;
  for (let i = 0; i < DRAWS; i++) {
    if (target!.winner(toSeed(i), 5) === drafter!.winner(toSeed(drafterSeed(i)), 5)) agreed++;
  }
  return agreed / DRAWS;
}

const unlikely = (rate: number, expected: number) =>
  Math.abs(rate - expected) > Z * Math.sqrt((expected * (1 - expected)) / DRAWS) + 1e-12;

describe("agreement of Gumbel coupling", () => {
  it("is measured as the formula says, for 50 pairs of distributions", () => {
    const rates = pairs.map(([p, q]) => agreementRate(p, q, (i) => i));
    const off = pairs.filter(([p, q], i) => unlikely(rates[i]!, agreementProbability(p, q)));
    expect(off).toEqual([]);
  });

  it("control: independent noise on the two sides is caught", () => {
    const rates = pairs.slice(0, 10).map(([p, q]) => agreementRate(p, q, (i) => i + DRAWS));
    expect(rates.every((rate, i) => unlikely(rate, agreementProbability(...pairs[i]!)))).toBe(true);
  });

  it("lies between (1 - TV) / (1 + TV) and 1 - TV", () => {
    for (const [p, q] of pairs) {
      const agreement = agreementProbability(p, q);
      expect(agreement).toBeGreaterThan(leastAgreement(p, q) - 1e-12);
      expect(agreement).toBeLessThan(1 - totalVariation(p, q) + 1e-12);
    }
  });

  it("is what the double sum gives, and does not depend on scale", () => {
    for (const [p, q] of pairs) {
      let sum = 0;
      for (let x = 0; x < V; x++) {
        if (p[x] === 0 || q[x] === 0) continue;
        let rate = 0;
        for (let y = 0; y < V; y++) rate += Math.max(p[y]! / p[x]!, q[y]! / q[x]!);
        sum += 1 / rate;
      }
      expect(agreementProbability(p, q)).toBeCloseTo(sum, 12);
      const scaled = q.map((w) => 7 * w);
      expect(agreementProbability(p, scaled)).toBeCloseTo(sum, 12);
    }
  });

  it("is 1 for one distribution, 0 for distributions without a token in common", () => {
    const [p] = pair(1);
    expect(agreementProbability(p, p)).toBeCloseTo(1, 12);
    const [left, right] = [Float64Array.of(0.5, 0.5, 0, 0), Float64Array.of(0, 0, 0.1, 0.9)];
    expect(agreementProbability(left, right)).toBe(0);
    expect(totalVariation(left, right)).toBe(1);
    expect(leastAgreement(left, right)).toBe(0);
  });

  it("meets its bound where p and q each hold a token that the other lacks", () => {
    const [p, q] = [Float64Array.of(0.3, 0.7, 0), Float64Array.of(0, 0.7, 0.3)];
    expect(agreementProbability(p, q)).toBeCloseTo(0.7 / 1.3, 12);
    expect(leastAgreement(p, q)).toBeCloseTo(0.7 / 1.3, 12);
  });
});

describe("the loudest tokens", () => {
  const cases = fc.record({
    seed: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(toSeed),
    position: fc.nat(),
    size: fc.oneof(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 900, max: 2500 })),
    part: fc.double({ min: 0, max: 1, noNaN: true }),
  });

  it("are those that a sort of all noise puts first", () => {
    fc.assert(
      fc.property(cases, ({ seed, position, size, part }) => {
        const count = Math.max(1, Math.floor(part * size));
        const noise = Float64Array.from({ length: size }, (_, id) => gumbel(seed, position, id));
        const sorted = [...noise.keys()].sort((a, b) => noise[b]! - noise[a]! || a - b);
        const found = loudest(seed, position, size, count);
        expect([...found.ids]).toEqual(sorted.slice(0, count));
        expect([...found.noise]).toEqual(sorted.slice(0, count).map((id) => noise[id]!));
        const rest = loudestNoise(seed, position, size, new Set(found.ids));
        expect(rest).toBe(count === size ? -Infinity : noise[sorted[count]!]!);
      }),
      { numRuns: 100 },
    );
  });
});
