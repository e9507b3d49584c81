import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { indexAt, indicesAt } from "./cumulative.ts";

describe("indicesAt", () => {
  it("finds in one run what indexAt finds one by one", () => {
    const weights = fc.array(fc.constantFrom(0, 0.25, 1, 3), { minLength: 1, maxLength: 40 });
    const us = fc.array(fc.double({ min: 0, max: 0.999999, noNaN: true }), { maxLength: 30 });
    fc.assert(
      fc.property(weights, us, (values, draws) => {
        fc.pre(values.some((value) => value > 0));
        const row = Float64Array.from(values);
        expect([...indicesAt(row, draws)]).toEqual(draws.map((u) => indexAt(row, u)));
      }),
    );
  });
});
