import type { Markish } from "@observablehq/plot";
import { INK, MARGIN, type Plot, TEXT_PX, textMark } from "./page.ts";
import { shorten, textWidth } from "./text.ts";

/** How one series differs from the next, and the legends that say so. */

/**
 * Colours that the colour-blind can tell apart: M. Okabe, K. Ito, "Color Universal Design" (2008), without the
 * yellow, which is too light for a line on white, and with the strongest first.
 */
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#333333"];
const DASHES = ["none", "7 3", "2 3", "9 3 2 3", "12 4"];
const SYMBOLS = ["circle", "square", "triangle", "diamond", "cross", "star", "wye", "hexagon"] as const;

export interface Look {
  readonly colour: string;
  readonly dash: string;
  readonly symbol: (typeof SYMBOLS)[number];
}

/** Colour, dash and symbol have periods without a common divisor, so that looks repeat after 280 series. */
export function lookOf(index: number): Look {
  return {
    colour: COLOURS[index % COLOURS.length]!,
    dash: DASHES[index % DASHES.length]!,
    symbol: SYMBOLS[index % SYMBOLS.length]!,
  };
}

export interface LegendItem {
  readonly x: number;
  /** of the middle of the line */
  readonly y: number;
  readonly name: string;
  readonly index: number;
}

const ROW_PX = 20;
const SWATCH_PX = 34;
const GAP_PX = 20;
const BESIDE_ROW_PX = 17;
/** from the frame to the names beside it */
export const LEADER_PX = 20;

/** Names side by side in rows as wide as the page, from `top` on. */
export function legendRows(
  names: readonly string[],
  widthPx: number,
): { items: LegendItem[]; heightPx: number } {
  const end = widthPx - MARGIN;
  let x = MARGIN;
  let row = 0;
  const items = names.map((raw, index) => {
    const name = shorten(raw, end - MARGIN - SWATCH_PX, TEXT_PX);
    const itemPx = SWATCH_PX + textWidth(name, TEXT_PX);
    if (x > MARGIN && x + itemPx > end) {
      x = MARGIN;
      row++;
    }
    const item = { x, y: row * ROW_PX + ROW_PX / 2, name, index };
    x += itemPx + GAP_PX;
    return item;
  });
  return { items, heightPx: (row + 1) * ROW_PX + 8 };
}

export function lowered(items: readonly LegendItem[], byPx: number): LegendItem[] {
  return items.map((item) => ({ ...item, y: item.y + byPx }));
}

/** Room for names beside the ends of their lines, or 0 where they would take too much of the page. */
export function besidePx(names: readonly string[], widthPx: number, heightPx: number): number {
  const widest = Math.max(...names.map((name) => textWidth(name, TEXT_PX)));
  const roomPx = LEADER_PX + SWATCH_PX + widest + MARGIN;
  return roomPx <= 0.4 * widthPx && names.length * BESIDE_ROW_PX <= heightPx ? roomPx : 0;
}

/** Names near the height that each wants, in that order, and not on top of each other. */
export function legendBeside(
  wanted: readonly { name: string; index: number; y: number }[],
  x: number,
  [top, bottom]: readonly [number, number],
): LegendItem[] {
  const sorted = [...wanted].sort((a, b) => a.y - b.y || a.index - b.index);
  const ys = sorted.map(({ y }) => y);
  const down = (from: readonly number[], least: number) => {
    let next = least;
    return from.map((y) => {
      const place = Math.max(y, next);
      next = place + BESIDE_ROW_PX;
      return place;
    });
  };
  const up = (from: readonly number[], most: number) =>
    down(
      [...from].reverse().map((y) => -y),
      -most,
    )
      .reverse()
      .map((y) => -y);
  // Either way keeps the distances, and so does their mean, which moves a crowd to both sides.
  const fromTop = up(down(ys, top), bottom);
  const fromBottom = down(up(ys, bottom), top);
  return sorted.map(({ name, index }, i) => ({
    x,
    y: (fromTop[i]! + fromBottom[i]!) / 2,
    name,
    index,
  }));
}

/** Swatch and name of each item: a line with its symbol, or a box with its symbol beside it if there are several. */
export function legendMarks(plot: Plot, items: readonly LegendItem[], kind: "line" | "box"): Markish[] {
  const symbols = kind === "line" || items.length > 1 ? [0] : [];
  return items.flatMap(({ x, y, name, index }) => {
    const { colour, dash, symbol } = lookOf(index);
    const [end, strokeWidth, middle] = kind === "line" ? [x + 26, 2, x + 13] : [x + 12, 12, x + 21];
    const line = { stroke: colour, strokeWidth, strokeDasharray: kind === "line" ? dash : "none" };
    return [
      plot.link([0], { x1: [x], x2: [end], y1: [y], y2: [y], ...line }),
      plot.dot(symbols, {
        x: [middle],
        y: [y],
        r: 3.5,
        symbol,
        fill: colour,
        stroke: "white",
        strokeWidth: 0.75,
      }),
      textMark(plot, { x: x + SWATCH_PX, y: y - 7 }, [name], { fill: INK }),
    ];
  });
}
