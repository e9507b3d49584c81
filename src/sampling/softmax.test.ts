import { describe, expect, it } from "vitest";
import { expNonPositive, softmaxTotal, softmaxWeights } from "./softmax.ts";

describe("expNonPositive", () => {
  it("is within 1e-8 of Math.exp, relatively, down to where 32-bit floats end", () => {
    let worst = 0;
    for (let x = 0; x > -103.5; x -= 0.00371) {
      worst = Math.max(worst, Math.abs(expNonPositive(x) / Math.exp(x) - 1));
    }
    expect(worst).toBeLessThan(1e-8);
    expect(expNonPositive(0)).toBe(1);
    expect(expNonPositive(-200)).toBe(0);
    expect(expNonPositive(-Infinity)).toBe(0);
  });
});

describe("softmaxWeights", () => {
  it("matches a plain softmax for even and odd lengths", () => {
    for (const length of [1, 2, 7, 1000, 1001]) {
      const row = Float32Array.from({ length }, (_, i) => Math.sin(i * 12.9898) * 9);
      const maximum = Math.max(...row);
      const weights = new Float32Array(length);
      const total = softmaxWeights(row, maximum, 1 / 0.7, weights);
      const plain = Array.from(row, (x) => Math.exp((x - maximum) / 0.7));
      const plainTotal = plain.reduce((a, b) => a + b, 0);
      expect(total / plainTotal).toBeCloseTo(1, 6);
      expect(softmaxTotal(row, maximum, 1 / 0.7) / plainTotal).toBeCloseTo(1, 7);
      plain.forEach((weight, i) => void expect(weights[i]! / total).toBeCloseTo(weight / plainTotal, 6));
    }
  });

  it("refuses a row without a finite number", () => {
    const weights = new Float32Array(3);
    expect(() => softmaxWeights(new Float32Array(3).fill(NaN), NaN, 1, weights)).toThrow(/no finite logits/);
  });
});
