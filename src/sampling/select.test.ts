import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { argmax, selectTop } from "./select.ts";

describe("selectTop", () => {
  it("is the start of a stable sort, ties included, for any row", () => {
    const row = fc.array(fc.integer({ min: -5, max: 5 }), { minLength: 1, maxLength: 200 });
    fc.assert(
      fc.property(row, fc.nat(), (values, k) => {
        const count = 1 + (k % values.length);
        const sorted = values.map((_, i) => i).sort((a, b) => values[b]! - values[a]! || a - b);
        expect([...selectTop(Float32Array.from(values), count)]).toEqual(sorted.slice(0, count));
      }),
    );
  });
});

describe("selectTop of many", () => {
  it("orders any row as the heap would: negatives, zeros of both signs and infinities included", () => {
    const special = fc.constantFrom(0, -0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e-40, -1e-40);
    const value = fc.oneof(fc.float({ noNaN: true }), special);
    fc.assert(
      fc.property(fc.array(value, { minLength: 520, maxLength: 700 }), (values) => {
        const row = Float32Array.from(values);
        expect([...selectTop(row, 513)]).toEqual(byValue(row).slice(0, 513));
      }),
      { numRuns: 50 },
    );
  });
});

/** With a comparison, and infinities that do not subtract. */
function byValue(row: Float32Array): number[] {
  return [...row.keys()].sort((a, b) => (row[a]! === row[b]! ? a - b : row[a]! < row[b]! ? 1 : -1));
}

describe("argmax", () => {
  it("takes the lowest of equals and refuses a row without numbers", () => {
    expect(argmax(Float32Array.of(1, 3, 3, 2))).toBe(1);
    expect(() => argmax(new Float32Array(4).fill(NaN))).toThrow(/no finite logits/);
  });
});
