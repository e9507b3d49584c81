import { expect, it } from "vitest";
import { paperReport } from "../../lab/bench/paper-report.ts";
import { paperChart } from "../../lab/bench/paper-report-chart.ts";
import { scaleCharts } from "../../lab/bench/scale-charts.ts";
import { scaleReport } from "../../lab/bench/scale-report.ts";
import { paperText } from "../../src/cli/bench-paper.ts";
import { scaleText } from "../../src/cli/bench-scale.ts";
import { COLUMNS } from "../../src/cli/text.ts";

/** What bench prints of its simulations: that it says what they are, and what they show. */

/** A text whose lines fit a terminal, as one line. */
function inColumns(text: string): string {
  expect(Math.max(...text.split("\n").map(({ length }) => length))).toBeLessThanOrEqual(COLUMNS);
  return text.replaceAll(/\s+/g, " ");
}

it("the paper has its verdicts, the tie of 3 and 4, and where it contradicts itself", async () => {
  const report = paperReport(2);
  const text = inColumns(paperText(report));
  expect(text).toContain("within 6.0%: 16 of 16");
  expect(text).toContain("By the formula 3 and 4 are a tie");
  expect(text).toMatch(/llamaHumanEval: 4.9 accepted a cycle with drafts of 4, which is more than there are/);
  expect(await paperChart(report)).toMatch(/^<svg .*Simulated/s);
});

it("scale has a line for each load and demand, and says that the server is our estimate", async () => {
  const progress: number[] = [];
  const size = {
    curveEdges: [2, 8],
    tokensPerSecond: [30],
    options: { seed: 1, warmMs: 100, countedMs: 200 },
  };
  const report = scaleReport(size, (_, { edges }) => progress.push(edges));
  expect(progress.slice(0, 2)).toEqual([2, 8]);
  const text = inColumns(scaleText(report));
  expect(text).toMatch(/Simulated.*Our estimate, not a measurement/);
  expect(text).toMatch(/ 8 edges .*n = /);
  expect(text).toMatch(/ 30 tokens\/s /);
  expect(Object.keys(await scaleCharts(report))).toEqual(["scale-sessions.svg", "scale-capacity.svg"]);
});
