import { describe, expect, it } from "vitest";
import type { CellResult, Ratios } from "../../lab/bench/grid.ts";
import { gridCharts } from "../../lab/bench/grid-charts.ts";
import { comparison, type GridReport } from "../../lab/bench/grid-report.ts";
import { gridText } from "./bench-grid.ts";
import { COLUMNS } from "./text.ts";

/** What bench prints of the grid: that it says what it is, and what fails. Other suites: test/simulation/suites.test.ts. */

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
