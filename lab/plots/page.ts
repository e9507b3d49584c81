import type { Markish, PlotOptions } from "@observablehq/plot";
import { PicoSpecError } from "../../src/util/errors.ts";
import { type Axis, axisOver } from "./axis.ts";
import type { ChartOptions } from "./chart.ts";
import { clean, textWidth, wrap } from "./text.ts";

/**
 * What all charts share. Plot draws what has scales (grid, axes, marks); a second Plot over the whole page,
 * whose unit is the pixel, draws what has none (title, legend, labels, note). Both end up in one SVG.
 */

export type Plot = typeof import("@observablehq/plot");

export interface Drawing {
  readonly plot: Plot;
  readonly document: unknown;
}

/** An element of the document that Plot draws in; our compiler knows no DOM. */
interface Element {
  readonly childNodes: Iterable<Element>;
  readonly localName: string | null;
  readonly outerHTML: string;
  textContent: string;
  append(...children: Element[]): void;
  setAttribute(name: string, value: string): void;
}

/** In px: the frame of the data inside of the page. */
export interface Area {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

export interface Page {
  readonly width: number;
  readonly height: number;
  readonly titles: readonly string[];
  readonly subtitles: readonly string[];
  readonly yLabels: readonly string[];
  readonly xLabels: readonly string[];
  readonly notes: readonly string[];
  readonly legendTop: number;
  readonly top: number;
  readonly bottom: number;
}

export const INK = "#222222";
export const QUIET = "#595959";
export const TEXT_PX = 12;
export const MARGIN = 16;
export const WIDTH = 800;
const HEIGHT = 460;
const TITLE_PX = 16;
const NOTE_PX = 10.5;
const LEAST_AREA = { width: 120, height: 80 };
const FONTS = "Helvetica, Arial, DejaVu Sans, sans-serif";

export async function loadDrawing(): Promise<Drawing> {
  try {
    const [plot, linkedom] = await Promise.all([import("@observablehq/plot"), import("linkedom")]);
    const empty = '<svg xmlns="http://www.w3.org/2000/svg"></svg>';
    // An XML document, unlike an HTML one, escapes attributes as well.
    return { plot, document: new linkedom.DOMParser().parseFromString(empty, "image/svg+xml") };
  } catch (cause) {
    const message = "drawing needs two packages: npm install @observablehq/plot linkedom";
    throw new PicoSpecError("no_plot", message, { cause });
  }
}

/** Breaks the texts and finds the room that is left between them. */
export function layOut(options: ChartOptions, room: { legendPx: number; tickLabelPx: number }): Page {
  const { width = WIDTH, height = HEIGHT } = options;
  const inside = width - 2 * MARGIN;
  const lines = (text: string | undefined, sizePx: number) => (text ? wrap(text, inside, sizePx) : []);
  const titles = lines(options.title, TITLE_PX * 1.1);
  const subtitles = lines(options.subtitle, TEXT_PX);
  const yLabels = lines(options.yLabel, TEXT_PX);
  const xLabels = lines(options.xLabel, TEXT_PX);
  const notes = lines(options.note, NOTE_PX);
  const legendTop = MARGIN + titles.length * 21 + subtitles.length * 16 + 8;
  const top = legendTop + room.legendPx + yLabels.length * 15 + 10;
  const bottom = height - 12 - notes.length * 14 - xLabels.length * 15 - 8 - room.tickLabelPx;
  const page = { width, height, titles, subtitles, yLabels, xLabels, notes, legendTop, top, bottom };
  if (!(bottom - top >= LEAST_AREA.height)) throw tooSmall(width, height);
  return page;
}

/** The y axis first: the width of its labels decides how much is left for x. */
export function layOutY(page: Page, options: ChartOptions, values: readonly number[]): Axis {
  const { yLog: log = false, yZero: zero = false } = options;
  const lengthPx = page.bottom - page.top;
  return axisOver(values, { log, zero, lengthPx, chosen: false, labelPx: aboveEachOther });
}

/** The frame, beside y labels on the left and `rightPx` on the right. */
export function areaOf(page: Page, yLabels: readonly string[], rightPx: number): Area {
  const widest = Math.max(0, ...yLabels.map((label) => textWidth(label, TEXT_PX)));
  const area = {
    left: MARGIN + widest + 10,
    right: page.width - rightPx,
    top: page.top,
    bottom: page.bottom,
  };
  if (!(area.right - area.left >= LEAST_AREA.width)) throw tooSmall(page.width, page.height);
  return area;
}

/** Options of the Plot that draws the data inside of the frame. */
export function frameOptions(page: Page, area: Area): PlotOptions {
  return {
    width: page.width,
    height: page.height,
    marginLeft: area.left,
    marginRight: page.width - area.right,
    marginTop: area.top,
    marginBottom: page.height - area.bottom,
  };
}

/** Tick labels of an axis in a row: how much of it each takes. */
export const besideEachOther = (label: string) => textWidth(label, TEXT_PX) + 12;

/** Tick labels of an axis on top of each other. */
export const aboveEachOther = () => TEXT_PX * 1.5;

/** Tick labels, the line under the marks, and the rule. */
export function axisMarks(
  plot: Plot,
  { x, y, rule }: { x?: Axis; y: Axis; rule?: number | undefined },
): Markish[] {
  const quiet = { label: null, tickSize: 0, tickPadding: 7 };
  // As text, not as tickFormat: on a logarithmic axis Plot leaves out labels that it thinks too many.
  const marks: Markish[] = [plot.axisY([...y.ticks], { ...quiet, text: y.label })];
  if (x) marks.push(plot.axisX([...x.ticks], { ...quiet, tickSize: 4, text: x.label }));
  marks.push(plot.frame({ anchor: "bottom", stroke: QUIET }));
  if (Number.isFinite(rule)) marks.push(plot.ruleY([rule], { stroke: INK, strokeWidth: 1.25 }));
  return marks;
}

export function gridMarks(plot: Plot, { x, y }: { x?: Axis; y: Axis }): Markish[] {
  const style = { stroke: "#dedede", strokeOpacity: 1 };
  const marks: Markish[] = [plot.gridY([...y.ticks], style)];
  if (x) marks.push(plot.gridX([...x.ticks], style));
  return marks;
}

export function textMark(
  plot: Plot,
  at: { x: number; y: number; anchor?: "start" | "middle" | "end"; rotate?: number },
  lines: readonly string[],
  style: { sizePx?: number; fill?: string; bold?: boolean } = {},
): Markish {
  return plot.text([lines.join("\n")], {
    x: [at.x],
    y: [at.y],
    text: (line: string) => line,
    textAnchor: at.anchor ?? "start",
    lineAnchor: "top",
    lineHeight: 1.25,
    rotate: at.rotate ?? 0,
    fontSize: style.sizePx ?? TEXT_PX,
    fill: style.fill ?? INK,
    fontWeight: style.bold ? "bold" : "normal",
  });
}

/** Joins the data with the furniture around them, and writes the whole as text. */
export function finish(
  drawing: Drawing,
  parts: { options: ChartOptions; page: Page; area: Area; frame: PlotOptions; over: readonly Markish[] },
): string {
  const { page, options } = parts;
  const bare = { axis: null, type: "identity" } as const;
  const size = { width: page.width, height: page.height, margin: 0 };
  const furniture: PlotOptions = {
    ...size,
    x: bare,
    y: bare,
    marks: [...titles(drawing.plot, parts), ...parts.over],
  };
  const svg = render(drawing, furniture);
  const data = render(drawing, parts.frame);
  const background = element(drawing, "rect", { width: page.width, height: page.height, fill: "#ffffff" });
  const name = element(drawing, "title", {});
  name.textContent = clean(options.title);
  const marks = [...data.childNodes, ...svg.childNodes].filter((node) => node.localName !== "style");
  const root = element(drawing, "svg", {
    xmlns: "http://www.w3.org/2000/svg",
    width: page.width,
    height: page.height,
    viewBox: `0 0 ${page.width} ${page.height}`,
    role: "img",
    "font-family": FONTS,
    "font-size": TEXT_PX,
    "text-anchor": "middle",
    // Plot paints with currentColor, which in a dark page would be white on our white.
    color: INK,
    fill: INK,
  });
  root.append(name, background, ...marks);
  return `${rounded(root.outerHTML)}\n`;
}

/** Coordinates to 0.01 px: smaller, and without the last digits, in which machines may differ. */
function rounded(svg: string): string {
  const round = (number: string) => String(Math.round(Number(number) * 100) / 100);
  return svg.replaceAll(/<[a-z][^<>]*>/g, (tag) =>
    tag.replaceAll(/ (?:d|c?[xy][12]?|width|height|transform)="[^"]*"/g, (attribute) =>
      attribute.replaceAll(/-?\d+\.\d+(?:e-\d+)?/g, round),
    ),
  );
}

function titles(plot: Plot, { page, area }: { page: Page; area: Area }): Markish[] {
  const middle = (area.left + area.right) / 2;
  const notesTop = page.height - 12 - page.notes.length * 14;
  const subtitleTop = MARGIN + page.titles.length * 21;
  return [
    textMark(plot, { x: MARGIN, y: MARGIN }, page.titles, { sizePx: TITLE_PX, bold: true }),
    textMark(plot, { x: MARGIN, y: subtitleTop }, page.subtitles, { fill: QUIET }),
    textMark(plot, { x: MARGIN, y: area.top - 10 - page.yLabels.length * 15 }, page.yLabels),
    textMark(plot, { x: middle, y: notesTop - 6 - page.xLabels.length * 15, anchor: "middle" }, page.xLabels),
    textMark(plot, { x: MARGIN, y: notesTop }, page.notes, { sizePx: NOTE_PX, fill: QUIET }),
  ];
}

function render({ plot, document }: Drawing, options: PlotOptions): Element {
  return plot.plot({ ...options, document: document as never, figure: false }) as Element;
}

function element({ document }: Drawing, name: string, attributes: Record<string, string | number>): Element {
  const maker = document as { createElementNS(namespace: string, name: string): Element };
  const made = maker.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}

function tooSmall(width: number, height: number): PicoSpecError {
  const message = `${width} x ${height} px leave no room for the data beside the labels: make the chart larger`;
  return new PicoSpecError("bad_chart", message);
}
