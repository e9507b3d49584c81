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

describe("argmax", () => {
  it("takes the lowest of equals and refuses a row without numbers", () => {
    expect(argmax(Float32Array.of(1, 3, 3, 2))).toBe(1);
    expect(() => argmax(new Float32Array(4).fill(NaN))).toThrow(/no finite logits/);
  });
});
