import { describe, expect, it } from "vitest";
import { BODY_LIMITS, BodyBudget } from "./body-budget.ts";
import type { HttpError } from "./errors.ts";

const status = (act: () => unknown) => {
  try {
    act();
  } catch (error) {
    return (error as HttpError).status;
  }
  return null;
};
const MB = 1024 * 1024;

describe("the bodies of all requests", () => {
  it("are refused over their own bound, said or come", () => {
    const budget = new BodyBudget();
    expect(status(() => budget.begin(BODY_LIMITS.bytes + 1, () => {}))).toBe(413);
    const body = budget.begin(Number.NaN, () => {});
    budget.grow(body, BODY_LIMITS.bytes);
    expect(status(() => budget.grow(body, 1))).toBe(413);
  });

  it("are refused in pieces that are small all along", () => {
    const budget = new BodyBudget();
    const body = budget.begin(Number.NaN, () => {});
    const grow = () => {
      for (let i = 0; i <= BODY_LIMITS.pieces * 1.1; i++) budget.grow(body, 1);
    };
    expect(status(grow)).toBe(413);
  });

  it("that are read are bounded in their sum: the largest goes, and small ones stay", () => {
    const budget = new BodyBudget();
    const refused: string[] = [];
    const small = budget.begin(100, () => refused.push("small"));
    budget.grow(small, 100);
    for (let i = 0; i < 20; i++)
      budget.grow(
        budget.begin(Number.NaN, () => refused.push("large")),
        2 * MB,
      );
    expect(refused.length).toBeGreaterThan(10);
    expect(refused).not.toContain("small");
    expect(budget.load.readingBytes).toBeLessThanOrEqual(BODY_LIMITS.readingBytes);
  });

  it("that are held are bounded in their sum, but for small ones, and given back", () => {
    const budget = new BodyBudget();
    const held = Array.from({ length: BODY_LIMITS.heldBytes / (4 * MB) }, () => {
      const body = budget.begin(Number.NaN, () => {});
      budget.grow(body, 4 * MB);
      budget.hold(body);
      return body;
    });
    const another = budget.begin(Number.NaN, () => {});
    budget.grow(another, MB);
    expect(status(() => budget.hold(another))).toBe(503);
    const small = budget.begin(Number.NaN, () => {});
    budget.grow(small, 1000);
    budget.hold(small);
    for (const body of [...held, small]) budget.release(body);
    expect(budget.load).toEqual({ readingBytes: 0, heldBytes: 0 });
  });
});
