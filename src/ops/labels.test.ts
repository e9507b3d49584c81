import { describe, expect, it } from "vitest";
import { LabelValues, Tally } from "./labels.ts";

describe("values of a label", () => {
  it("are kept up to a number, and are one past it", () => {
    const values = new LabelValues(2);
    expect(["a", "b", "c", "a", "d"].map((value) => values.of(value))).toEqual([
      "a",
      "b",
      "other",
      "a",
      "other",
    ]);
  });

  it.each([
    "",
    "x".repeat(65),
    'a"b',
    "a\\b",
    "a\nb",
    "\u001b[2J",
    "é",
  ])("are none that a reader could get wrong: %j", (value) => {
    expect(new LabelValues(9).of(value)).toBe("other");
  });

  it("are counted, with what is past the bound in one", () => {
    const tally = new Tally(1);
    for (const value of ["a", "b", "a", "c"]) tally.add(value, 2);
    expect([...tally.entries()]).toEqual([
      ["a", 4],
      ["other", 4],
    ]);
  });
});
