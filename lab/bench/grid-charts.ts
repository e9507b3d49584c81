import { type Cell, heatmap, lineChart, type Series } from "../plots/plot.ts";
import { type CellResult, GRID_BARS, RIVALS, type Rival } from "./grid.ts";
import type { GridReport, RegionReport } from "./grid-report.ts";

/** The charts of the suite grid: file names and the texts of SVGs. */

const NAMES: Record<Rival, string> = {
  cloud: "the cloud alone",
  picospec: "picospec's preset",
  best: "picospec's best sizes",
};

export async function gridCharts({ cells, region }: GridReport): Promise<Record<string, string>> {
  return {
    "grid-ratios.svg": await ratioChart(cells),
    "grid-cloud.svg": await worstChart(cells, "cloud"),
    "grid-best.svg": await worstChart(cells, "best"),
    "colocated-region.svg": await regionChart(region),
  };
}

function ratioChart(cells: readonly CellResult[]): Promise<string> {
  const series: Series[] = RIVALS.map((rival) => {
    const ratios = cells.map(({ race }) => race[rival].ratio).sort((a, b) => a - b);
    return {
      name: NAMES[rival],
      points: ratios.map((ratio, i) => ({ x: ratio, y: (100 * (i + 1)) / ratios.length })),
    };
  });
  return lineChart(series, {
    title: "Simulated: race against its rivals, over all cells of the grid",
    subtitle: `How many of ${cells.length} cells have at most this ratio. Left of 1, race is the slower one.`,
    xLabel: "tokens/s of race over those of …",
    yLabel: "cells (%)",
    xLog: true,
    yZero: true,
    note: "Simulated, not measured: one edge on an idle cloud, answers of 300 tokens after a prompt of 128.",
  });
}

function worstChart(cells: readonly CellResult[], rival: Rival): Promise<string> {
  const worst = new Map<string, Cell>();
  for (const { cell, race } of cells) {
    const { rttMs: x, acceptance: y } = cell;
    const { ratio } = race[rival];
    const key = `${x} ${y}`;
    worst.set(key, { x, y, value: Math.min(ratio, worst.get(key)?.value ?? Number.POSITIVE_INFINITY) });
  }
  const each = cells.length / worst.size;
  return heatmap([...worst.values()], {
    title: `Simulated: race against ${NAMES[rival]}, the worst of ${each} cells each`,
    subtitle: "The worst over pass times, costs of a row and t_d / t_v, at each round trip and acceptance.",
    xLabel: "round trip (ms)",
    yLabel: "acceptance",
    valueLabel: `tokens/s of race over those of ${NAMES[rival]}`,
    midpoint: 1,
    note: `Simulated, not measured. The bar is at least ${GRID_BARS[rival]} in every cell.`,
  });
}

function regionChart({ points }: RegionReport): Promise<string> {
  const cells = points.map(({ rttMs: x, acceptance: y, ratio }) => ({ x, y, value: ratio.ratio }));
  return heatmap(cells, {
    title: "Simulated: race against co-located speculation at its best draft length",
    subtitle:
      "Blue: race, whose drafts come over the network, is faster. A draft takes 10 ms, a pass 100 ms.",
    xLabel: "round trip (ms)",
    yLabel: "acceptance",
    valueLabel: "tokens/s of race over those of co-located speculation",
    midpoint: 1,
    note: "race is simulated; co-located speculation is its closed form: drafts and passes in turn, no other cost.",
  });
}
