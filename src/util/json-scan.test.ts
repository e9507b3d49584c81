import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { JsonScan } from "./json-scan.ts";

const encoder = new TextEncoder();
const LIMITS = { depth: 3, containers: 6, fields: 4, values: 8 };
const said = (text: string, pieceBytes = text.length || 1) => {
  const scan = new JsonScan(LIMITS);
  const bytes = encoder.encode(text);
  let last: string | null = null;
  for (let i = 0; i < bytes.length; i += pieceBytes) last = scan.push(bytes.subarray(i, i + pieceBytes));
  return last;
};

describe("a scan of JSON", () => {
  it("says what there is too much of", () => {
    expect(said("[[[1]]]")).toBeNull();
    expect(said("[[[[1]]]]")).toBe("3 levels of objects and lists");
    expect(said("[{},{},{},{},{}]")).toBeNull();
    expect(said("[{},{},{},{},{},{}]")).toBe("6 objects and lists");
    expect(said('{"a":1,"b":2,"c":3,"d":4}')).toBeNull();
    expect(said('{"a":1,"b":2,"c":3,"d":4,"e":5}')).toBe("4 fields");
    expect(said("[1,2,3,4,5,6,7,8,9]")).toBeNull();
    expect(said("[1,2,3,4,5,6,7,8,9,0]")).toBe("8 values");
  });

  it("counts nothing within strings, whatever they hold", () => {
    for (const text of ['"[[[[{{:::,,,,,,,,,,"', '"\\"[[[[[["', '"\\\\",[[[', '"a\\\\\\"[[[[["'])
      expect(said(text), text).toBeNull();
    expect(said('"\\\\",[[[[')).toBe("3 levels of objects and lists");
  });

  it("counts as a parser does, however the text is cut into pieces", () => {
    const counts = (value: unknown): { containers: number; fields: number; values: number } => {
      if (typeof value !== "object" || value === null) return { containers: 0, fields: 0, values: 0 };
      const inner = Object.values(value).map(counts);
      const own = Object.keys(value).length;
      const sum = (field: "containers" | "fields" | "values") =>
        inner.reduce((all, one) => all + one[field], 0);
      return {
        containers: 1 + sum("containers"),
        fields: (Array.isArray(value) ? 0 : own) + sum("fields"),
        values: Math.max(0, own - 1) + sum("values"),
      };
    };
    void fc.assert(
      fc.property(fc.json(), fc.integer({ min: 1, max: 9 }), (text, pieceBytes) => {
        const { containers, fields, values } = counts(JSON.parse(text));
        const right = JSON.stringify(JSON.parse(text)).length === text.length;
        fc.pre(right); // no field twice
        const tooMuch = containers > LIMITS.containers || fields > LIMITS.fields || values > LIMITS.values;
        const found = said(text, pieceBytes);
        if (tooMuch) expect(found).not.toBeNull();
        else if (found !== null) expect(found).toContain("levels");
      }),
      { numRuns: 2000, seed: 7 },
    );
  });
});
