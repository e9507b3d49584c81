import { quantile } from "../models/fit.ts";
import {
  type CellResult,
  GRID_BARS,
  type GridLevels,
  gridCells,
  RIVALS,
  type Rival,
  runCell,
} from "./grid.ts";
import type { PairedRatio } from "./grid-paired.ts";
import {
  REGION_DRAFT_MS,
  REGION_LEVELS,
  type RegionLevels,
  type RegionPoint,
  reachMs,
  region,
} from "./grid-region.ts";

/** Results of a grid: quantiles, the cells that miss their bar, and the worst of them. */

export type Side = "race" | "control";

export interface Comparison {
  readonly rival: Rival;
  /** the least ratio that there is to be in any cell */
  readonly bar: number;
  /** no cell's ratio is below the bar */
  readonly holds: boolean;
  readonly cells: number;
  readonly cellsBelowBar: number;
  /** their whole interval is */
  readonly cellsSurelyBelowBar: number;
  readonly cellsBelowOne: number;
  readonly quantiles: {
    readonly least: number;
    readonly percent1: number;
    readonly percent5: number;
    readonly percent25: number;
    readonly median: number;
    readonly percent75: number;
    readonly percent95: number;
    readonly most: number;
  };
  /** lowest ratio first */
  readonly worst: readonly CellResult[];
}

/** A cell that is below a bar, and the same with drafts that take a little longer: whether it was a matter of phase. */
export interface MissedCell {
  readonly rival: Rival;
  readonly result: CellResult;
  readonly nudged: PairedRatio;
}

export interface RegionReport {
  readonly points: readonly RegionPoint[];
  readonly reach: readonly RegionReach[];
}

export interface RegionReach {
  readonly acceptance: number;
  /** drafts a cycle of the best co-located speculation */
  readonly colocatedGamma: number;
  /** what they take: 2606.25091 says that only shorter round trips leave drafts on the edge a chance */
  readonly draftingMs: number;
  /** the longest round trip up to which race is at least as fast; null: none */
  readonly rttMs: number | null;
}

export interface GridReport {
  readonly levels: GridLevels;
  readonly race: readonly Comparison[];
  /** of `race` without adaptation: it should fail, or the grid is too easy */
  readonly control: readonly Comparison[];
  readonly cells: readonly CellResult[];
  /** the worst of each rival, where there are any */
  readonly missed: readonly MissedCell[];
  readonly region: RegionReport;
}

const WORST = 10;
/** By how much longer drafts take in a cell that is looked at again. */
export const NUDGE = 0.02;
const NUDGED_ANSWERS = [16];
const REGION_ANSWERS = 16;

/** @param progress hears what share of it is done */
export function gridReport(levels: GridLevels, progress: (fraction: number) => void = () => {}): GridReport {
  const all = gridCells(levels);
  const cells = all.map((cell, index) => {
    progress(index / all.length);
    return runCell(cell);
  });
  const race = RIVALS.map((rival) => comparison(cells, "race", rival));
  return {
    levels,
    race,
    control: RIVALS.map((rival) => comparison(cells, "control", rival)),
    cells,
    missed: race.flatMap(missedCells),
    region: regionReport(REGION_LEVELS, REGION_ANSWERS),
  };
}

/**
 * With constant times drafts and passes can keep one phase for a whole answer: where two drafts take as long as one
 * pass, each comes as long after a start as the one before it. Nothing real keeps such a beat.
 */
function missedCells({ rival, bar, worst }: Comparison): MissedCell[] {
  const below = worst.filter(({ race }) => race[rival].ratio < bar);
  return below.map((result) => {
    const cell = { ...result.cell, draftShare: result.cell.draftShare * (1 + NUDGE) };
    return { rival, result, nudged: runCell(cell, NUDGED_ANSWERS).race[rival] };
  });
}

export function comparison(cells: readonly CellResult[], side: Side, rival: Rival): Comparison {
  const sorted = [...cells].sort((a, b) => a[side][rival].ratio - b[side][rival].ratio);
  const ratios = sorted.map((result) => result[side][rival].ratio);
  const bar = GRID_BARS[rival];
  const below = (limit: number) => ratios.filter((ratio) => ratio < limit).length;
  return {
    rival,
    bar,
    holds: below(bar) === 0,
    cells: cells.length,
    cellsBelowBar: below(bar),
    cellsSurelyBelowBar: cells.filter((result) => result[side][rival].high < bar).length,
    cellsBelowOne: below(1),
    quantiles: {
      least: quantile(ratios, 0),
      percent1: quantile(ratios, 0.01),
      percent5: quantile(ratios, 0.05),
      percent25: quantile(ratios, 0.25),
      median: quantile(ratios, 0.5),
      percent75: quantile(ratios, 0.75),
      percent95: quantile(ratios, 0.95),
      most: quantile(ratios, 1),
    },
    worst: sorted.slice(0, WORST),
  };
}

function regionReport(levels: RegionLevels, answers: number): RegionReport {
  const points = region(levels, answers);
  const reach = levels.acceptance.map((acceptance) => {
    const { colocatedGamma } = points.find((point) => point.acceptance === acceptance)!;
    const draftingMs = colocatedGamma * REGION_DRAFT_MS;
    return { acceptance, colocatedGamma, draftingMs, rttMs: reachMs(points, acceptance) };
  });
  return { points, reach };
}
