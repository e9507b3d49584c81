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

const special = fc.constantFrom(0, -0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e-40, -1e-40);
const anything = fc.oneof(fc.float({ noNaN: true }), special);
/** Many of them the same, or the same but for the lower half of their bits. */
const alike = fc.oneof(
  fc.integer({ min: -2, max: 2 }),
  fc.float({ min: 1, max: Math.fround(1.001), noNaN: true }),
  special,
);

describe("selectTop of many", () => {
  it.each([
    ["negatives, zeros of both signs and infinities included", anything],
    ["with ties everywhere", alike],
  ])("is the start of a stable sort of any row: %s", (_, value) => {
    const rows = fc.array(value, { minLength: 520, maxLength: 1500 });
    fc.assert(
      fc.property(rows, fc.nat(), (values, k) => {
        const row = Float32Array.from(values);
        const count = 513 + (k % (row.length - 512));
        expect([...selectTop(row, count)]).toEqual(byValue(row).slice(0, count));
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
