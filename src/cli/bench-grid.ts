import type { CellResult, GridCell, Rival } from "../../lab/bench/grid.ts";
import type { PairedRatio } from "../../lab/bench/grid-paired.ts";
import {
  type Comparison,
  type GridReport,
  type MissedCell,
  NUDGE,
  type RegionReport,
  type Side,
} from "../../lab/bench/grid-report.ts";
import { table } from "./output.ts";
import { wrapped } from "./text.ts";

/** The suite grid as text. */

const NAMES: Record<Rival, string> = {
  cloud: "the cloud alone",
  picospec: "picospec's preset",
  best: "picospec's best sizes",
};

/** What the numbers of `cellText` are. */
const CELL = "RTT, pass, row, t_d/t_v, acceptance";

export function gridText({ race, control, cells, missed, region }: GridReport): string {
  const answers = cells.map((result) => result.answers);
  const heading = `race over a grid of ${cells.length} cells. Simulated: one edge on an idle cloud, ${Math.min(...answers)} to ${Math.max(...answers)} answers of 300 tokens each.`;
  return [
    wrapped(heading),
    quantileTable(race),
    race.map(barLine).join("\n"),
    ...race.map((one) => worstTable(one, "race")),
    ...(missed.length > 0 ? [missedTable(missed)] : []),
    "The control, race without adaptation, has to fail:",
    quantileTable(control),
    control.map(barLine).join("\n"),
    regionText(region),
  ].join("\n\n");
}

function quantileTable(comparisons: readonly Comparison[]): string {
  const head = ["against", "least", "1%", "5%", "25%", "median", "75%", "95%", "most", "cells below 1"];
  const lines = comparisons.map(({ rival, quantiles, cells, cellsBelowOne }) => [
    NAMES[rival],
    ...Object.values(quantiles).map((value) => value.toFixed(3)),
    `${((100 * cellsBelowOne) / cells).toFixed(1)}%`,
  ]);
  return table([head, ...lines]);
}

function barLine({ rival, bar, holds, cells, cellsBelowBar, cellsSurelyBelowBar }: Comparison): string {
  const what = `at least ${bar} of ${NAMES[rival]}`;
  if (holds) return `${what}: holds in all ${cells} cells`;
  return wrapped(
    `${what}: FAILS in ${cellsBelowBar} of ${cells} cells, in ${cellsSurelyBelowBar} with the whole interval`,
    "  ",
  );
}

function worstTable({ rival, worst }: Comparison, side: Side): string {
  const head = [`worst against ${NAMES[rival]}: ${CELL}`, "ratio", "95% interval", "answers"];
  const best = rival === "best";
  const lines = worst.map((result) => [
    cellText(result.cell),
    result[side][rival].ratio.toFixed(3),
    intervalText(result[side][rival]),
    String(result.answers),
    ...(best ? [sizesText(result)] : []),
  ]);
  return table([best ? [...head, "its n, window"] : head, ...lines]);
}

function missedTable(missed: readonly MissedCell[]): string {
  const head = [
    `below their bar: ${CELL}`,
    "against",
    "ratio",
    `a draft ${100 * NUDGE}% longer`,
    "95% interval",
  ];
  const lines = missed.map(({ rival, result, nudged }) => [
    cellText(result.cell),
    NAMES[rival],
    result.race[rival].ratio.toFixed(3),
    nudged.ratio.toFixed(3),
    intervalText(nudged),
  ]);
  return table([head, ...lines]);
}

function cellText({ rttMs, passMs, rowCost, draftShare, acceptance }: GridCell): string {
  const percent = `${Number((100 * rowCost).toPrecision(3))}%`;
  return `${rttMs}, ${passMs} ms, ${percent}, ${draftShare}, ${acceptance}`;
}

function intervalText({ low, high }: PairedRatio): string {
  return `${low.toFixed(3)} to ${high.toFixed(3)}`;
}

function sizesText({ best }: CellResult): string {
  return `${best.segmentTokens}, ${best.windowTokens}`;
}

function regionText({ points, reach }: RegionReport): string {
  const rtts = [...new Set(points.map(({ rttMs }) => rttMs))];
  const lines = reach.map(({ acceptance, rttMs: most, colocatedGamma, draftingMs }) => [
    String(acceptance),
    ...rtts.map((rttMs) => {
      const point = points.find((one) => one.rttMs === rttMs && one.acceptance === acceptance)!;
      return point.ratio.ratio.toFixed(2);
    }),
    String(colocatedGamma),
    `${draftingMs} ms`,
    most === null ? "nowhere" : `${most.toFixed(0)} ms`,
  ]);
  return [
    wrapped(
      "race (simulated) over co-located speculation at its best draft length (closed form); a draft 10 ms, a pass 100 ms:",
    ),
    table([["acceptance \\ RTT, ms", ...rtts.map(String), "its n", "n t_d", "faster up to"], ...lines]),
  ].join("\n");
}
