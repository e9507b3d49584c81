import { expect, it } from "vitest";
import { PAPER_BARS, paperReport } from "./paper-report.ts";

// What is simulated is tested in test/simulation/paper.test.ts.
const report = paperReport(2);

it("has sixteen rows of closed forms, all within 6%, and four draft lengths within 6%", () => {
  expect(report.closedForms).toHaveLength(16);
  for (const { error } of report.closedForms) expect(Math.abs(error)).toBeLessThan(PAPER_BARS.closedForm);
  expect(report.draftLengths).toHaveLength(4);
  for (const { closedFormError } of report.draftLengths) {
    expect(Math.abs(closedFormError)).toBeLessThan(PAPER_BARS.closedForm);
  }
});

it("cannot tell drafts of 3 from drafts of 4 by the formula: a tie within 1%", () => {
  const [three, four] = report.draftLengths;
  expect(Math.abs(three!.closedForm / four!.closedForm - 1)).toBeLessThan(0.01);
});

it("finds the contradictions of the Llama columns, and none of Qwen's", () => {
  const contradicting = report.contradictions.filter((one) => one.acceptedTooMany || one.tokensTooMany);
  expect(contradicting.map(({ column }) => column)).toEqual(["llamaGsm8k", "llamaHumanEval"]);
});
