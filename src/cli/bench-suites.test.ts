import { describe, expect, it } from "vitest";
import type { CellResult, Ratios } from "../../lab/bench/grid.ts";
import { gridCharts } from "../../lab/bench/grid-charts.ts";
import { comparison, type GridReport } from "../../lab/bench/grid-report.ts";
import { paperReport } from "../../lab/bench/paper-report.ts";
import { paperChart } from "../../lab/bench/paper-report-chart.ts";
import { scaleCharts } from "../../lab/bench/scale-charts.ts";
import { scaleReport } from "../../lab/bench/scale-report.ts";
import { gridText } from "./bench-grid.ts";
import { paperText } from "./bench-paper.ts";
import { scaleText } from "./bench-scale.ts";
import { COLUMNS } from "./text.ts";

/** What bench prints of its simulations: that it says what they are, and what fails. */

function gridOf(ratios: readonly number[]): GridReport {
  const cells = ratios.map((ratio, i): CellResult => {
    const one = { ratio, low: ratio - 0.01, high: ratio + 0.01 };
    const all: Ratios = { cloud: one, picospec: one, best: one };
    return {
      cell: { rttMs: 10 * i, passMs: 50, rowCost: 0.02, draftShare: 0.2, acceptance: 0.8 },
      answers: 8,
      cloudTokensPerSecond: 20,
      best: { segmentTokens: 3, windowTokens: 12 },
      race: all,
      control: all,
    };
  });
  const compared = (["cloud", "picospec", "best"] as const).map((rival) => comparison(cells, "race", rival));
  const ratio = { ratio: 1.1, low: 1, high: 1.2 };
  return {
    levels: { rttMs: [], passMs: [], rowCost: [], draftShare: [], acceptance: [] },
    race: compared,
    control: compared,
    cells,
    missed: cells
      .filter(({ race }) => race.best.ratio < 0.97)
      .map((result) => ({ rival: "best" as const, result, nudged: { ratio: 1.01, low: 1, high: 1.02 } })),
    region: {
      points: [{ rttMs: 10, acceptance: 0.8, ratio, colocatedGamma: 6 }],
      reach: [{ acceptance: 0.8, colocatedGamma: 6, draftingMs: 60, rttMs: null }],
    },
  };
}

/** A text whose lines fit a terminal, as one line. */
function inColumns(text: string): string {
  expect(Math.max(...text.split("\n").map(({ length }) => length))).toBeLessThanOrEqual(COLUMNS);
  return text.replaceAll(/\s+/g, " ");
}

describe("the grid", () => {
  it("says which bars fail, in how many cells, and which cells are worst", () => {
    const text = inColumns(gridText(gridOf([0.5, 0.975, 1.2])));
    expect(text).toContain(
      "at least 0.98 of the cloud alone: FAILS in 2 of 3 cells, in 1 with the whole interval",
    );
    expect(text).toMatch(/RTT, pass, row, t_d\/t_v, acceptance/);
    expect(text).toMatch(/ 0, 50 ms, 2%, 0.2, 0.8 +0.500 +0.490 to 0.510/);
    expect(text).toMatch(/ 0.2, 0.8 +picospec's best sizes +0.500 +1.010 /);
    expect(text).toMatch(/simulated/i);
  });

  it("says that all bars hold, and draws it", async () => {
    const grid = gridOf([1.1, 1.2]);
    expect(gridText(grid)).not.toMatch(/FAILS/);
    const charts = await gridCharts(grid);
    expect(Object.keys(charts)).toHaveLength(4);
    for (const svg of Object.values(charts)) expect(svg).toMatch(/^<svg .*[Ss]imulated/s);
  });
});

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
}, 30_000);
