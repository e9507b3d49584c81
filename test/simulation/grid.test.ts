import { describe, expect, it } from "vitest";
import { type CellResult, GRID_BARS, type GridCell, RIVALS, runCell } from "../../lab/bench/grid.ts";

/**
 * A dozen cells of `picospec bench grid`, among them those where some version of race once missed its bars by most:
 * fast drafts on a short round trip, where the cloud started a pass just before they came; bad drafts that it
 * waited for in vain; good drafts that cost rows; and ends of answers where it waited for drafts that no edge made.
 */

const cell = (
  rttMs: number,
  passMs: number,
  rowCost: number,
  draftShare: number,
  acceptance: number,
): GridCell => ({ rttMs, passMs, rowCost, draftShare, acceptance });

const CELLS = [
  cell(10, 150, 0, 0.05, 0.6),
  cell(10, 150, 0.02, 0.05, 0.8),
  cell(10, 150, 0, 0.05, 0.3),
  cell(10, 150, 0.08, 0.05, 0.98),
  cell(30, 150, 0.08, 0.05, 0.8),
  cell(10, 15, 0.08, 0.5, 0.98),
  cell(10, 15, 0, 0.5, 0.3),
  cell(10, 15, 0.21, 0.05, 0.3),
  cell(30, 50, 0.21, 0.2, 0.8),
  cell(60, 150, 0, 0.5, 0.9),
  cell(120, 150, 0.21, 0.2, 0.3),
  cell(300, 150, 0, 0.05, 0.3),
];
/** Of each policy. An interval reaches 1 to 3% to either side. */
const ANSWERS = 12;

const results: CellResult[] = [];

describe("race in the hardest cells", () => {
  it.each(CELLS)("RTT $rttMs, pass $passMs, row $rowCost, t_d/t_v $draftShare, a $acceptance", (one) => {
    const result = runCell(one, [ANSWERS]);
    results.push(result);
    for (const rival of RIVALS) {
      // Chance alone must not fail it: what counts is what is sure to be below the bar.
      expect(result.race[rival].high, rival).toBeGreaterThanOrEqual(GRID_BARS[rival]);
    }
  });

  it("would see a worse one: without adaptation every bar is missed somewhere", () => {
    expect(results).toHaveLength(CELLS.length);
    for (const rival of RIVALS) {
      const missed = results.filter(({ control }) => control[rival].high < GRID_BARS[rival]);
      expect(missed.length, rival).toBeGreaterThan(0);
    }
  });
});

it("a cell gives the same again", () => {
  const one = cell(60, 50, 0.02, 0.2, 0.8);
  expect(runCell(one, [2])).toEqual(runCell(one, [2]));
});
