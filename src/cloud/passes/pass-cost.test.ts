import { describe, expect, it } from "vitest";
import { Purpose, toSeed, uniform } from "../../sampling/random.ts";
import { PassCost } from "./pass-cost.ts";

/**
 * Passes of a + b * rows, with noise. Passes fade to half over some 35, so that as many as 99 count: the slope of rows
 * from 1 to 8 (deviation 2.3) has a standard error of .044 of the noise. Seeds are fixed; were they drawn anew, a right
 * estimate would be off by more than 4 of these in one case of 16,000.
 */
const STANDARD_ERROR = 1 / (Math.sqrt(99) * 2.29);

/** Noise with a mean of 0 and a deviation of 1: a uniform, stretched. */
function noise(seed: number): () => number {
  let index = 0;
  return () => Math.sqrt(12) * (uniform(toSeed(seed), Purpose.draft, 0, 0, index++) - 0.5);
}

function rowsOf(seed: number): () => number {
  let index = 0;
  return () => 1 + Math.floor(8 * uniform(toSeed(seed), Purpose.accept, 0, 0, index++));
}

interface Machine {
  readonly passMs: number;
  readonly msPerRow: number;
  readonly noiseMs: number;
}

function watch(cost: PassCost, { passMs, msPerRow, noiseMs }: Machine, passes: number, seed: number): void {
  const [rows, noiseOf] = [rowsOf(seed), noise(seed)];
  for (let i = 0; i < passes; i++) {
    const count = rows();
    cost.add(count, passMs + msPerRow * count + noiseMs * noiseOf(), 0);
  }
}

describe("PassCost", () => {
  it.each([
    [100, 0, 5],
    [100, 21, 5],
    [30, 0.4, 1],
    [5, 2, 0.5],
    [146, 1, 0],
  ])("finds %d + %d a row under noise of %d ms", (passMs, msPerRow, noiseMs) => {
    for (let seed = 0; seed < 20; seed++) {
      const cost = new PassCost();
      watch(cost, { passMs, msPerRow, noiseMs }, 300, seed);
      const off = Math.abs(cost.msPerRow - msPerRow);
      // Without noise there is only the prior left, which a variance of 5 over 50 passes outweighs.
      expect(off).toBeLessThan(4 * STANDARD_ERROR * noiseMs + 0.01 * msPerRow + 1e-9);
      // The time of a pass is the latest, of five rows here; the rest of it is a.
      for (let i = 0; i < 30; i++) cost.add(5, passMs + 5 * msPerRow, 0);
      expect(Math.abs(cost.passMs - 5 * cost.msPerRow - passMs)).toBeLessThan(
        5 * (4 * STANDARD_ERROR * noiseMs + 0.01 * msPerRow) + 0.01,
      );
    }
  });

  it("control: under ten times the noise the same bound fails", () => {
    const over = Array.from({ length: 20 }, (_, seed) => {
      const cost = new PassCost();
      watch(cost, { passMs: 100, msPerRow: 21, noiseMs: 50 }, 300, seed);
      return Math.abs(cost.msPerRow - 21) > 4 * STANDARD_ERROR * 5 + 0.21;
    }).filter(Boolean).length;
    expect(over).toBeGreaterThan(5);
  });

  it("follows a change: half of it within 50 passes, nine tenths within 120", () => {
    for (const [before, after] of [
      [0, 20],
      [20, 2],
    ] as const) {
      const share = (passes: number) => {
        const cost = new PassCost();
        watch(cost, { passMs: 100, msPerRow: before, noiseMs: 2 }, 400, 1);
        watch(cost, { passMs: 100, msPerRow: after, noiseMs: 2 }, passes, 2);
        return (cost.msPerRow - before) / (after - before);
      };
      expect(share(10)).toBeLessThan(0.5);
      expect(share(50)).toBeGreaterThan(0.5);
      expect(share(120)).toBeGreaterThan(0.9);
    }
  });

  it("follows the time of a pass within ten", () => {
    const cost = new PassCost();
    expect(cost.passMs).toBe(-1);
    for (let i = 0; i < 50; i++) cost.add(1, 100, 0);
    for (let i = 0; i < 10; i++) cost.add(1, 40, 0);
    expect(cost.passMs).toBeLessThan(42);
  });

  it("knows nothing of rows before their number differs, and believes small differences in part", () => {
    const cost = new PassCost();
    expect(cost.msPerRow).toBe(0);
    for (let i = 0; i < 100; i++) cost.add(1, 100 + (i % 7), 0);
    expect(cost.msPerRow).toBe(0);
    // One pass of two rows that happened to be slow.
    cost.add(2, 200, 0);
    expect(cost.msPerRow).toBeLessThan(60);
    expect(cost.msPerRow).toBeGreaterThan(0);
  });

  it("learns nothing of rows from passes with a prompt in them", () => {
    const cost = new PassCost();
    watch(cost, { passMs: 100, msPerRow: 5, noiseMs: 0 }, 200, 1);
    const before = cost.msPerRow;
    for (let i = 0; i < 50; i++) cost.add(1 + (i % 4), 900 - 100 * (i % 4), 100);
    expect(cost.msPerRow).toBe(before);
  });

  it("is never below 0, whatever noise says", () => {
    for (let seed = 0; seed < 50; seed++) {
      const cost = new PassCost();
      watch(cost, { passMs: 100, msPerRow: 0, noiseMs: 40 }, 30, seed);
      expect(cost.msPerRow).toBeGreaterThanOrEqual(0);
    }
  });

  it("learns what a prompt's token costs, once it knows what the rest of a pass does", () => {
    const cost = new PassCost();
    cost.add(1, 500, 100);
    expect([cost.msPerPromptToken, cost.baseMs]).toEqual([0, -1]);
    watch(cost, { passMs: 100, msPerRow: 5, noiseMs: 0 }, 200, 1);
    expect(Math.abs(cost.baseMs - 100)).toBeLessThan(2);
    expect(Math.abs(cost.msPerPromptToken - 5)).toBeLessThan(0.1);
    for (let i = 0; i < 50; i++) cost.add(2, 110 + 3 * (50 + i), 50 + i);
    expect(Math.abs(cost.msPerPromptToken - 3)).toBeLessThan(0.05);
  });

  it("says when only a pass without prompts could tell more", () => {
    const cost = new PassCost();
    expect(cost.isStale).toBe(true);
    cost.add(1, 30, 0);
    for (let i = 0; i < 49; i++) cost.add(1, 100, 100);
    expect(cost.isStale).toBe(false);
    cost.add(1, 100, 100);
    expect(cost.isStale).toBe(true);
    cost.add(1, 30, 0);
    expect(cost.isStale).toBe(false);
  });
});
