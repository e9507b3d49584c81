import type { Markish, PlotOptions } from "@observablehq/plot";
import { PicoSpecError } from "../../src/util/errors.ts";
import { type Axis, checkLog, pixel } from "./axis.ts";
import type { Bar, BarOptions } from "./chart.ts";
import { type LegendItem, legendMarks, legendRows, lookOf, lowered } from "./legend.ts";
import * as paper from "./page.ts";
import { clean, decimalsFor, numberText, shorten, textWidth, wrap } from "./text.ts";

/** the part of a group's room that its bars take */
const GROUP_PART = 0.8;
/** under each bar, where there are several names: the symbol that the legend gives its name */
const SYMBOL_PX = 16;
const MOST_LABEL_LINES = 3;
const SLANT_RADIANS = (35 / 180) * Math.PI;
const MOST_SLANTED_PX = 200;
const VALUE_PX = 10.5;

/** A bar and its place: a group is one unit of x wide. */
interface Placed extends Bar {
  readonly index: number;
  readonly x1: number;
  readonly x2: number;
}

interface GroupLabels {
  readonly lines: readonly (readonly string[])[];
  readonly slanted: boolean;
  readonly heightPx: number;
  /** how far the first one reaches to the left of the middle of its group */
  readonly leftPx: number;
}

interface Layout {
  readonly page: paper.Page;
  readonly area: paper.Area;
  readonly y: Axis;
  readonly labels: GroupLabels;
  readonly legend: readonly LegendItem[];
  readonly symbolPx: number;
}

/** Bars in groups, both in the order of first appearance, and whiskers where `low` and `high` are given. */
export async function barChart(groups: readonly Bar[], options: BarOptions): Promise<string> {
  const bars = groups.map((bar) => ({ ...bar, group: clean(bar.group), name: clean(bar.name) }));
  check(bars, options);
  const drawing = await paper.loadDrawing();
  const { plot } = drawing;
  const names = [...new Set(bars.map(({ name }) => name))];
  const groupNames = [...new Set(bars.map(({ group }) => group))];
  const layout = layOut(bars, groupNames, names, options);
  const { page, area, y } = layout;
  const placed = bars.map((bar) => place(bar, groupNames, names));
  const frame: PlotOptions = {
    ...paper.frameOptions(page, area),
    x: { type: "linear", domain: [0, groupNames.length], axis: null },
    y: { type: y.log ? "log" : "linear", domain: [...y.domain] },
    marks: [
      ...paper.gridMarks(plot, { y }),
      ...barMarks(plot, placed, y),
      ...paper.axisMarks(plot, { y, rule: options.rule }),
      ...(y.domain[0] < 0 ? [plot.ruleY([0], { stroke: paper.QUIET })] : []),
      ...whiskerMarks(plot, placed, y),
    ],
  };
  const over = [
    ...valueMarks(plot, placed, layout, groupNames.length),
    ...groupMarks(plot, placed, layout, groupNames.length),
    ...legendMarks(plot, layout.legend, "box"),
  ];
  return paper.finish(drawing, { options, page, area, frame, over });
}

function check(bars: readonly Bar[], options: BarOptions): void {
  if (!bars.some(({ value }) => Number.isFinite(value))) {
    throw new PicoSpecError("empty_chart", "a bar chart needs at least one bar with a value");
  }
  const places = new Set<string>();
  for (const { group, name } of bars) {
    const place = JSON.stringify([group, name]);
    const message = `group "${group}" has two bars "${name}": give one, or another name`;
    if (places.has(place)) throw new PicoSpecError("bad_chart", message);
    places.add(place);
  }
  if (!options.yLog) return;
  for (const { group, name, value } of bars) checkLog([value], `bar "${name}" of "${group}"`);
  if (options.rule !== undefined) checkLog([options.rule], "the rule");
}

function layOut(bars: readonly Bar[], groups: string[], names: string[], options: BarOptions): Layout {
  const rows = legendRows(names, options.width ?? paper.WIDTH);
  const symbolPx = names.length > 1 ? SYMBOL_PX : 6;
  const lay = (labelsPx: number, leftPx: number) => {
    const page = paper.layOut(options, { legendPx: rows.heightPx, tickLabelPx: symbolPx + labelsPx });
    const y = paper.layOutY(page, { ...options, yZero: true }, reach(bars, options));
    const area = paper.areaOf(page, y.ticks.map(y.label), paper.MARGIN);
    return { page, y, area: { ...area, left: Math.max(area.left, leftPx) } };
  };
  // How groups are labelled depends on the width that y labels leave, and they on the height that groups leave.
  const { area } = lay(0, 0);
  const bandPx = (area.right - area.left) / groups.length;
  const labels = groupLabels(groups, bandPx);
  const laid = lay(labels.heightPx, labels.leftPx - bandPx / 2 + 4);
  return { ...laid, labels, legend: lowered(rows.items, laid.page.legendTop), symbolPx };
}

/** All that the y axis has to reach, with room for values above the bars. */
function reach(bars: readonly Bar[], { yLog, rule }: BarOptions): number[] {
  const ends = bars
    .filter(({ value }) => Number.isFinite(value))
    .flatMap((bar) => [bar.value, bar.low ?? bar.value, bar.high ?? bar.value]);
  const shown = [...ends, rule ?? ends[0]!].filter((end) => Number.isFinite(end) && (!yLog || end > 0));
  const [least, most] = [Math.min(...shown), Math.max(...shown)];
  // On a logarithmic axis bars begin at a power of ten, so that the least of them can be seen as well.
  if (yLog) return [10 ** (Math.ceil(Math.log10(least)) - 1), least, most * 1.2];
  return [least * (least < 0 ? 1.06 : 1), most * (most > 0 ? 1.06 : 1)];
}

/** In lines under the group; where words are too long for that, slanted. */
function groupLabels(groups: readonly string[], bandPx: number): GroupLabels {
  const roomPx = bandPx - 8;
  const lines = groups.map((group) => wrap(group, roomPx, paper.TEXT_PX));
  const most = Math.max(...lines.map((each) => each.length));
  const whole = lines.every((each, i) => each.join(" ") === groups[i]);
  if (whole && most <= MOST_LABEL_LINES) return { lines, slanted: false, heightPx: most * 15 + 4, leftPx: 0 };
  if (bandPx * Math.sin(SLANT_RADIANS) < paper.TEXT_PX) {
    throw new PicoSpecError(
      "bad_chart",
      `${groups.length} groups are too many for the width: make the chart wider`,
    );
  }
  const slanted = groups.map((group) => shorten(group, MOST_SLANTED_PX, paper.TEXT_PX));
  const widths = slanted.map((label) => textWidth(label, paper.TEXT_PX));
  const heightPx = Math.max(...widths) * Math.sin(SLANT_RADIANS) + 18;
  return {
    lines: slanted.map((each) => [each]),
    slanted: true,
    heightPx,
    leftPx: widths[0]! * Math.cos(SLANT_RADIANS),
  };
}

function place(bar: Bar, groups: readonly string[], names: readonly string[]): Placed {
  const index = names.indexOf(bar.name);
  const x1 = groups.indexOf(bar.group) + (1 - GROUP_PART) / 2 + (GROUP_PART * index) / names.length;
  return { ...bar, index, x1, x2: x1 + GROUP_PART / names.length };
}

function barMarks(plot: paper.Plot, placed: readonly Placed[], y: Axis): Markish[] {
  const base = y.log ? y.domain[0] : 0;
  return placed
    .filter(({ value }) => Number.isFinite(value))
    .map((bar) =>
      plot.rectY([bar], {
        x1: "x1",
        x2: "x2",
        y1: base,
        y2: "value",
        insetLeft: 1,
        insetRight: 1,
        fill: lookOf(bar.index).colour,
        ariaDescription: `${bar.group}, ${bar.name}`,
      }),
    );
}

function whiskerMarks(plot: paper.Plot, placed: readonly Placed[], y: Axis): Markish[] {
  const whiskers = placed
    .filter(({ value, low, high }) => [value, low, high].every(Number.isFinite))
    .map(({ x1, x2, low, high }) => ({
      x: (x1 + x2) / 2,
      capPart: (x2 - x1) / 6,
      low: Math.max(low!, y.domain[0]),
      high,
    }));
  const caps = whiskers.flatMap(({ x, capPart, low, high }) =>
    [low, high].map((end) => ({ x1: x - capPart, x2: x + capPart, end })),
  );
  const style = { stroke: paper.INK, strokeWidth: 1.25 };
  return [
    plot.ruleX(whiskers, { x: "x", y1: "low", y2: "high", ...style }),
    plot.ruleY(caps, { x1: "x1", x2: "x2", y: "end", ...style }),
  ];
}

/** Values at the ends of bars, where all bars are wide enough for theirs. */
function valueMarks(
  plot: paper.Plot,
  placed: readonly Placed[],
  { area, y }: Layout,
  groups: number,
): Markish[] {
  const unitPx = (area.right - area.left) / groups;
  const finite = placed.map(({ value }) => value).filter(Number.isFinite);
  const decimals = y.log ? undefined : decimalsFor(finite);
  const labels = placed.map(({ x1, x2, value, low, high }) => {
    const text = Number.isFinite(value) ? numberText(value, decimals) : "n/a";
    const ends = [value, low ?? value, high ?? value].filter(Number.isFinite);
    const end = value < 0 ? Math.min(...ends) : Math.max(...ends);
    const from = Number.isFinite(value) ? end : Math.max(0, y.domain[0]);
    const endPx = pixel(y, from, [area.bottom, area.top]);
    return {
      text,
      x: area.left + unitPx * ((x1 + x2) / 2),
      y: endPx + (value < 0 ? 9 : -8),
      roomPx: unitPx * (x2 - x1),
    };
  });
  const fits = labels.every(({ text, roomPx }) => textWidth(text, VALUE_PX) <= roomPx + 2);
  const shown = fits ? labels : labels.filter(({ text, roomPx }) => text === "n/a" && roomPx >= 20);
  const halo = { stroke: "white", strokeWidth: 3, fill: paper.INK };
  return [plot.text(shown, { x: "x", y: "y", text: "text", fontSize: VALUE_PX, ...halo })];
}

/** The group's label, and over it the symbol of each bar. */
function groupMarks(plot: paper.Plot, placed: readonly Placed[], layout: Layout, groups: number): Markish[] {
  const { area, labels, symbolPx } = layout;
  const unitPx = (area.right - area.left) / groups;
  const symbols = placed.map(({ x1, x2, index }) => {
    const { colour: fill, symbol } = lookOf(index);
    const r = Math.min(3.5, (unitPx * (x2 - x1)) / 3);
    return plot.dot([0], {
      x: [area.left + (unitPx * (x1 + x2)) / 2],
      y: [area.bottom + 9],
      r,
      symbol,
      fill,
    });
  });
  const texts = labels.lines.map((lines, at) => {
    const x = area.left + unitPx * (at + 0.5);
    const y = area.bottom + symbolPx + 2;
    if (!labels.slanted) return paper.textMark(plot, { x, y, anchor: "middle" }, lines);
    const rotate = (-SLANT_RADIANS / Math.PI) * 180;
    return paper.textMark(plot, { x: x - 2, y, anchor: "end", rotate }, lines);
  });
  return symbolPx === SYMBOL_PX ? [...symbols, ...texts] : texts;
}
