import { describe, expect, it } from "vitest";
import { columnReport, draftLengthReport, PAPER_BARS } from "../../lab/bench/paper-report.ts";
import { PAPER_COLUMNS, type PaperColumnName } from "../../lab/models/paper.ts";

/** How close the simulator is to what was published. 100 answers: half of a 95% interval is 2% at most. */

const ANSWERS = 100;
const names = Object.keys(PAPER_COLUMNS) as PaperColumnName[];

describe("the simulator in the paper's settings", () => {
  it.each(names)("gives picospec the published speed-up on %s within 12%", (name) => {
    expect(Math.abs(columnReport(name, ANSWERS).error)).toBeLessThan(PAPER_BARS.speedUp);
  });

  it.each(names)("makes race faster than picospec on %s", (name) => {
    const { race, picospec } = columnReport(name, ANSWERS);
    expect(race).toBeGreaterThan(picospec);
  });

  it.each([4, 5, 6])("gives the published tokens/s with drafts of %d within 12%", (gamma) => {
    expect(Math.abs(draftLengthReport(gamma, ANSWERS).simulatedError)).toBeLessThan(PAPER_BARS.draftLength);
  });

  it("is faster than published with drafts of 3: it does not wait for a verdict before it sends the next", () => {
    const { simulatedError, closedFormError } = draftLengthReport(3, ANSWERS);
    expect(simulatedError).toBeGreaterThan(PAPER_BARS.draftLength);
    expect(Math.abs(closedFormError)).toBeLessThan(PAPER_BARS.closedForm);
  });
});
