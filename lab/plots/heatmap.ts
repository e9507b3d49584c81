import type { Markish, PlotOptions } from "@observablehq/plot";
import { PicoSpecError } from "../../src/util/errors.ts";
import { levelAxis, niceAbove } from "./axis.ts";
import type { Cell, HeatmapOptions } from "./chart.ts";
import * as paper from "./page.ts";
import { decimalsFor, numberText, shorten, textWidth, wrap } from "./text.ts";

const TICK_LABEL_PX = 24;
const RAMP = { heightPx: 12, widthPx: 240, steps: 80 };
/** Smaller cells have no white lines between them. */
const LEAST_SEAMED_PX = 14;
const LEGEND_PX = 38;
/** on both sides of the ramp, for the half of a label that reaches over its end */
const GAP_PX = 26;
/** Without it white shines through where colours meet. */
const SEAMLESS = { shapeRendering: "crispEdges" };
const MISSING = "rgb(217, 217, 217)";

interface Colours {
  readonly scale: NonNullable<PlotOptions["color"]>;
  /** of the ramp, ascending: both ends, and the middle where it means something */
  readonly ticks: readonly number[];
  /** the value at a part of the ramp */
  readonly at: (part: number) => number;
}

/**
 * A cell for each of the values of x and y, all equally wide, whatever lies between the values. Blue is above
 * the midpoint and red below. Grey is a value that is missing, white a cell that is. `xLog`, `yLog`, `yZero` and
 * `rule` change nothing here.
 */
export async function heatmap(cells: readonly Cell[], options: HeatmapOptions): Promise<string> {
  const values = check(cells);
  const drawing = await paper.loadDrawing();
  const { plot } = drawing;
  const [xs, ys] = [levels(cells.map(({ x }) => x)), levels(cells.map(({ y }) => y))];
  const page = paper.layOut(options, { legendPx: LEGEND_PX, tickLabelPx: TICK_LABEL_PX });
  const y = levelAxis(ys, { lengthPx: page.bottom - page.top, labelPx: paper.aboveEachOther });
  const area = paper.areaOf(page, y.ticks.map(y.label), paper.MARGIN);
  const x = levelAxis(xs, { lengthPx: area.right - area.left, labelPx: paper.besideEachOther });
  const colours = colourScale(values, options.midpoint);
  const placed = cells.map(({ x, y, value }) => ({ x: xs.indexOf(x), y: ys.indexOf(y), value }));
  const color = plot.scale({ color: colours.scale }) as unknown as { apply(value: number): string };
  const squares = placed.map((cell) => ({
    ...cell,
    fill: Number.isFinite(cell.value) ? color.apply(cell.value) : MISSING,
  }));
  const bound = { x1: "x", x2: (d: { x: number }) => d.x + 1, y1: "y", y2: (d: { y: number }) => d.y + 1 };
  const cellPx = {
    width: (area.right - area.left) / xs.length,
    height: (area.bottom - area.top) / ys.length,
  };
  const seam = Math.min(cellPx.width, cellPx.height) < LEAST_SEAMED_PX ? SEAMLESS : { inset: 0.5 };
  const frame: PlotOptions = {
    ...paper.frameOptions(page, area),
    x: { type: "linear", domain: [...x.domain] },
    y: { type: "linear", domain: [...y.domain] },
    color: { type: "identity" },
    marks: [plot.rect(squares, { ...bound, fill: "fill", ...seam }), ...paper.axisMarks(plot, { x, y })],
  };
  const over = [
    ...valueMarks(plot, squares, area, cellPx),
    ...rampMarks(plot, page, colours, color.apply, options.valueLabel),
  ];
  return paper.finish(drawing, { options, page, area, frame, over });
}

/** The finite values; or an error where there is nothing to draw, or two things in one place. */
function check(cells: readonly Cell[]): number[] {
  const places = new Set<string>();
  for (const { x, y } of cells) {
    if (!Number.isFinite(x) || !Number.isFinite(y)) {
      throw new PicoSpecError("bad_chart", `a cell is at x ${x}, y ${y}: omit it`);
    }
    if (places.has(`${x} ${y}`)) {
      throw new PicoSpecError("bad_chart", `two cells are at x ${x}, y ${y}: give one, such as their mean`);
    }
    places.add(`${x} ${y}`);
  }
  const values = cells.map(({ value }) => value).filter(Number.isFinite);
  if (values.length > 0) return values;
  throw new PicoSpecError("empty_chart", "a heatmap needs at least one cell with a value");
}

function levels(values: readonly number[]): number[] {
  return [...new Set(values)].sort((a, b) => a - b);
}

/**
 * Without a midpoint, light to dark. Around one, as far up as down, so that a shade means the same distance on
 * either side. Positive values around a positive midpoint are ratios: twice is then as far from 1 as half is.
 */
function colourScale(values: readonly number[], midpoint: number | undefined): Colours {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  if (midpoint === undefined) {
    const domain = [least, most > least ? most : least + 1] as const;
    const at = (part: number) => domain[0] + part * (domain[1] - domain[0]);
    return {
      scale: { type: "linear", scheme: "YlGnBu", domain: [...domain] },
      ticks: [0, 0.5, 1].map(at),
      at,
    };
  }
  const shared = { scheme: "RdBu", pivot: midpoint, symmetric: false } as const;
  if (midpoint > 0 && least > 0) {
    const factor = niceAbove(Math.max(most / midpoint, midpoint / least, 1.1));
    const domain = [midpoint / factor, midpoint * factor];
    const at = (part: number) => midpoint * factor ** (2 * part - 1);
    return {
      scale: { ...shared, type: "diverging-log", domain },
      ticks: [domain[0]!, midpoint, domain[1]!],
      at,
    };
  }
  const reach = niceAbove(Math.max(most - midpoint, midpoint - least) || 1);
  const domain = [midpoint - reach, midpoint + reach];
  const at = (part: number) => midpoint + (2 * part - 1) * reach;
  return { scale: { ...shared, type: "diverging", domain }, ticks: [domain[0]!, midpoint, domain[1]!], at };
}

/** Values in the cells, where every cell has the room. */
function valueMarks(
  plot: paper.Plot,
  squares: readonly { x: number; y: number; value: number; fill: string }[],
  area: paper.Area,
  cellPx: { width: number; height: number },
): Markish[] {
  const most = decimalsFor(squares.map(({ value }) => value).filter(Number.isFinite));
  const sizePx = 11;
  for (const decimals of most > 1 ? [most, most - 1] : [most]) {
    const texts = squares.map(({ x, y, value, fill }) => ({
      x: area.left + (x + 0.5) * cellPx.width,
      y: area.bottom - (y + 0.5) * cellPx.height,
      text: Number.isFinite(value) ? numberText(value, decimals) : "n/a",
      fill: isDark(fill) ? "#ffffff" : paper.INK,
    }));
    const widest = Math.max(...texts.map(({ text }) => textWidth(text, sizePx)));
    if (widest + 6 > cellPx.width || sizePx + 4 > cellPx.height) continue;
    return ["#ffffff", paper.INK].map((fill) =>
      plot.text(
        texts.filter((text) => text.fill === fill),
        { x: "x", y: "y", text: "text", fontSize: sizePx, fill },
      ),
    );
  }
  return [];
}

/** Whether white has more contrast than our ink on "rgb(r, g, b)", by the relative luminance of WCAG 2.1. */
function isDark(colour: string): boolean {
  const [r = 0, g = 0, b = 0] = (colour.match(/\d+/g) ?? []).map((channel) => {
    const part = Number(channel) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b < 0.213;
}

/** What the colours mean: a ramp in small steps, since a gradient would need an id. */
function rampMarks(
  plot: paper.Plot,
  { width, legendTop: top }: paper.Page,
  { at, ticks }: Colours,
  colour: (value: number) => string,
  valueLabel: string,
): Markish[] {
  const widthPx = Math.min(RAMP.widthPx, width / 3);
  const labelPx = width - 2 * paper.MARGIN - widthPx - 2 * GAP_PX;
  const [first = "", ...rest] = wrap(valueLabel, labelPx, paper.TEXT_PX);
  const label = rest.length > 0 ? [first, shorten(rest.join(" "), labelPx, paper.TEXT_PX)] : [first];
  const left = paper.MARGIN + Math.max(...label.map((line) => textWidth(line, paper.TEXT_PX))) + GAP_PX;
  const stepPx = widthPx / RAMP.steps;
  const steps = Array.from({ length: RAMP.steps }, (_, step) => ({
    x1: left + step * stepPx,
    x2: left + (step + 1) * stepPx,
    fill: colour(at((step + 0.5) / RAMP.steps)),
  }));
  const tickX = (index: number) => left + (widthPx * index) / (ticks.length - 1);
  return [
    paper.textMark(plot, { x: paper.MARGIN, y: top }, label),
    plot.rect(steps, { x1: "x1", x2: "x2", y1: top, y2: top + RAMP.heightPx, fill: "fill", ...SEAMLESS }),
    ...ticks.map((tick, index) => {
      const position = { x: tickX(index), y: top + RAMP.heightPx + 4, anchor: "middle" } as const;
      return paper.textMark(plot, position, [numberText(tick)], { sizePx: 11 });
    }),
  ];
}
