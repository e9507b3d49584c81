import { describe, expect, it } from "vitest";
import { worthwhileRows } from "./launch.ts";
import { extraRowsMs, RowCurve } from "./row-curve.ts";

const extraMs = (curve: RowCurve, before: number, rows: number, msPerRow: number) =>
  extraRowsMs(curve.table(msPerRow), msPerRow, before, rows);

function seen(times: Record<number, number>, samples = 5): RowCurve {
  const curve = new RowCurve();
  for (let i = 0; i < samples; i++)
    for (const [rows, ms] of Object.entries(times)) curve.add(Number(rows), ms);
  return curve;
}

/** SmolLM2-135M in Q4_1 on one thread: a second row costs as much as the first. */
const STEPS = { 1: 8.8, 2: 15.9, 4: 17.9, 8: 24.8 };

describe("the curve of rows", () => {
  it("says what was seen, goes straight between, and on with the slope of all passes", () => {
    const curve = seen(STEPS);
    expect(extraMs(curve, 1, 2, 2)).toBeCloseTo(7.1, 9);
    expect(extraMs(curve, 2, 4, 2)).toBeCloseTo(2, 9);
    expect(extraMs(curve, 1, 3, 2)).toBeCloseTo(8.1, 9);
    expect(extraMs(curve, 4, 6, 2)).toBeCloseTo(3.45, 9);
    expect(extraMs(curve, 8, 11, 2)).toBeCloseTo(6, 9);
    expect(extraMs(curve, 60, 100, 2)).toBeCloseTo(80, 9);
  });

  it("is the line where nothing was seen, and where only one number of rows was", () => {
    expect(extraMs(new RowCurve(), 1, 5, 3)).toBeCloseTo(12, 9);
    const curve = seen({ 5: 30 });
    expect(extraMs(curve, 1, 5, 3)).toBeCloseTo(12, 9);
    expect(extraMs(curve, 5, 7, 3)).toBeCloseTo(6, 9);
  });

  it("never falls, and believes nothing that was seen once or twice", () => {
    expect(extraMs(seen({ 1: 10, 2: 9 }), 1, 2, 1)).toBe(0);
    const curve = seen({ 1: 10, 4: 13 });
    curve.add(2, 100);
    curve.add(2, 100);
    expect(extraMs(curve, 1, 2, 1)).toBeCloseTo(1, 9);
    curve.add(2, 100);
    expect(extraMs(curve, 1, 2, 1)).toBeCloseTo(90, 9);
  });

  it("forgets what was not seen for long", () => {
    const curve = seen({ 1: 10, 2: 100 });
    for (let i = 0; i < 500; i++) curve.add(1, 10);
    expect(extraMs(curve, 1, 2, 1)).toBeCloseTo(1, 9);
  });

  it("has all four rows taken where the second alone is not worth it; control: the first step alone says no", () => {
    const curve = seen(STEPS);
    const [acceptance, tokensPerMs] = [0.6, 0.112];
    const extra = (rows: number) => extraMs(curve, 1, rows, 2.2);
    expect(acceptance).toBeLessThan(tokensPerMs * extra(2));
    expect(worthwhileRows(acceptance, tokensPerMs, extra, 8)).toBe(4);
    expect(worthwhileRows(acceptance, tokensPerMs, extra, 2)).toBe(1);
  });
});
