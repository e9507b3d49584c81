import type { Markish, PlotOptions } from "@observablehq/plot";
import { PicoSpecError } from "../../src/util/errors.ts";
import { type Axis, axisOver, checkLog, pixel } from "./axis.ts";
import type { ChartOptions, Point, Series } from "./chart.ts";
import {
  besidePx,
  LEADER_PX,
  type LegendItem,
  legendBeside,
  legendMarks,
  legendRows,
  lookOf,
  lowered,
} from "./legend.ts";
import * as paper from "./page.ts";
import { clean } from "./text.ts";

const INSET_PX = 10;
const TICK_LABEL_PX = 24;
/** A line of more points gets a symbol at every n-th only, so that it stays a line. */
const MOST_SYMBOLS = 24;

/** Where things are: the frame, its axes, and the px of a value in it. */
interface Layout {
  readonly page: paper.Page;
  readonly area: paper.Area;
  readonly x: Axis;
  readonly y: Axis;
  readonly legend: readonly LegendItem[];
  /** from the end of a line to its name, both in px */
  readonly leaders: readonly { x1: number; y1: number; x2: number; y2: number; index: number }[];
}

/** Lines with points, in the order of x, and a band where `low` and `high` are given. */
export async function lineChart(series: readonly Series[], options: ChartOptions): Promise<string> {
  const sorted = series.map(({ name, points }) => ({
    name: clean(name),
    points: points.filter(({ x }) => Number.isFinite(x)).sort((a, b) => a.x - b.x),
  }));
  check(sorted, options);
  const drawing = await paper.loadDrawing();
  const { plot } = drawing;
  const layout = layOut(sorted, options);
  const { page, area, x, y } = layout;
  const frame: PlotOptions = {
    ...paper.frameOptions(page, area),
    x: { type: x.log ? "log" : "linear", domain: [...x.domain], inset: INSET_PX },
    y: { type: y.log ? "log" : "linear", domain: [...y.domain] },
    marks: [
      ...paper.gridMarks(plot, { x, y }),
      ...paper.axisMarks(plot, { x, y, rule: options.rule }),
      ...sorted.flatMap(({ points }, index) => bandMarks(plot, points, index, y)),
      ...sorted.flatMap((one, index) => seriesMarks(plot, one, index)),
    ],
  };
  const leaders = layout.leaders.map(({ x1, y1, x2, y2, index }) =>
    plot.link([0], {
      x1: [x1],
      y1: [y1],
      x2: [x2],
      y2: [y2],
      stroke: lookOf(index).colour,
      strokeWidth: 0.75,
    }),
  );
  const over = [...leaders, ...legendMarks(plot, layout.legend, "line")];
  return paper.finish(drawing, { options, page, area, frame, over });
}

function check(series: readonly Series[], options: ChartOptions): void {
  if (series.length === 0) throw new PicoSpecError("empty_chart", "a chart needs at least one series");
  for (const { name, points } of series) {
    const shown = points.filter(({ y }) => Number.isFinite(y));
    if (shown.length === 0) {
      throw new PicoSpecError("empty_chart", `series "${name}" has no point with a value: leave it out`);
    }
    const [xs, ys] = [shown.map(({ x }) => x), shown.map(({ y }) => y)];
    if (options.xLog) checkLog(xs, `series "${name}"`);
    if (options.yLog) checkLog(ys, `series "${name}"`);
  }
  if (options.yLog && options.rule !== undefined) checkLog([options.rule], "the rule");
}

function layOut(series: readonly Series[], options: ChartOptions): Layout {
  const names = series.map(({ name }) => name);
  let page = paper.layOut(options, { legendPx: 0, tickLabelPx: TICK_LABEL_PX });
  const beside = besidePx(names, page.width, page.bottom - page.top);
  const rows = legendRows(names, page.width);
  if (!beside) page = paper.layOut(options, { legendPx: rows.heightPx, tickLabelPx: TICK_LABEL_PX });
  const points = series.flatMap((one) => one.points);
  const y = paper.layOutY(page, options, [
    ...points.flatMap((point) => extent(point, options)),
    options.rule ?? Number.NaN,
  ]);
  const area = paper.areaOf(page, y.ticks.map(y.label), beside || paper.MARGIN);
  const lengthPx = area.right - area.left - 2 * INSET_PX;
  const xs = points.filter((point) => Number.isFinite(point.y)).map((point) => point.x);
  const labelPx = paper.besideEachOther;
  const x = axisOver(xs, { log: options.xLog ?? false, zero: false, chosen: true, lengthPx, labelPx });
  if (!beside) {
    return { page, area, x, y, legend: lowered(rows.items, page.legendTop), leaders: [] };
  }
  return { page, area, x, y, ...labelEnds(series, area, x, y) };
}

/** Names beside the last points, and a leader to each from a last point that is near enough to follow. */
function labelEnds(
  series: readonly Series[],
  area: paper.Area,
  x: Axis,
  y: Axis,
): Pick<Layout, "legend" | "leaders"> {
  const ends = series.map(({ name, points }, index) => {
    const last = points.findLast((point) => Number.isFinite(point.y))!;
    const x1 = pixel(x, last.x, [area.left + INSET_PX, area.right - INSET_PX]);
    return { name, index, x1, y: pixel(y, last.y, [area.bottom, area.top]) };
  });
  const legend = legendBeside(ends, area.right + LEADER_PX, [area.top, area.bottom]);
  const near = area.right - 0.1 * (area.right - area.left);
  const leaders = legend
    .map((item) => ({
      x1: ends[item.index]!.x1 + 5,
      y1: ends[item.index]!.y,
      x2: item.x - 3,
      y2: item.y,
      index: item.index,
    }))
    .filter(({ x1 }) => x1 > near);
  return { legend, leaders };
}

/** All that the y axis has to reach; the low end of an interval may be beyond a logarithmic one. */
function extent({ y, low, high }: Point, { yLog }: ChartOptions): number[] {
  if (!Number.isFinite(y)) return [];
  return [y, low ?? y, high ?? y].filter((value) => !yLog || value > 0);
}

function hasBand({ y, low, high }: Point): boolean {
  return [y, low, high].every(Number.isFinite);
}

/** The interval as an area; where a point has no neighbour to make one with, as a bar. */
function bandMarks(plot: paper.Plot, points: readonly Point[], index: number, y: Axis): Markish[] {
  const { colour } = lookOf(index);
  const bands = points.map((point) => ({
    x: point.x,
    low: hasBand(point) ? Math.max(point.low!, y.domain[0]) : Number.NaN,
    high: hasBand(point) ? point.high! : Number.NaN,
  }));
  if (!points.some(hasBand)) return [];
  const alone = bands.filter(
    (band, at) =>
      !Number.isNaN(band.low) &&
      ![at - 1, at + 1].some((next) => bands[next] && !Number.isNaN(bands[next].low)),
  );
  const area = plot.areaY(bands, { x: "x", y1: "low", y2: "high", fill: colour, fillOpacity: 0.16 });
  return [
    area,
    plot.ruleX(alone, { x: "x", y1: "low", y2: "high", stroke: colour, strokeOpacity: 0.5, strokeWidth: 3 }),
  ];
}

function seriesMarks(plot: paper.Plot, { name, points }: Series, index: number): Markish[] {
  const { colour, dash, symbol } = lookOf(index);
  const every = points.length > MOST_SYMBOLS ? Math.ceil(points.length / (MOST_SYMBOLS / 2)) : 1;
  const marked = points.filter((_, at) => at % every === 0 || at === points.length - 1);
  const line = { stroke: colour, strokeWidth: 2, strokeDasharray: dash };
  return [
    plot.line(points, { x: "x", y: "y", ...line, ariaDescription: name }),
    plot.dot(marked, { x: "x", y: "y", symbol, r: 4, fill: colour, stroke: "white", strokeWidth: 0.75 }),
  ];
}
