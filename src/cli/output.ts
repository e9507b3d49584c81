import pc from "picocolors";
import { COLUMNS, shortened, wrapped } from "./text.ts";

/** What commands print besides the answer itself. Colours only on a terminal. */

export function colours(stream: NodeJS.WriteStream) {
  return pc.createColors(stream.isTTY === true && pc.isColorSupported);
}

/** A progress bar on a terminal's stderr, nothing elsewhere. */
export function progressBar(label: string): { update(fraction: number): void; end(): void } {
  const { stderr } = process;
  if (!stderr.isTTY) return { update() {}, end() {} };
  let shown = -1;
  const columns = Math.min(stderr.columns || COLUMNS, COLUMNS);
  const text = shortened(label, columns - BAR_COLUMNS);
  return {
    update(fraction) {
      const percent = Math.floor(fraction * 100);
      if (percent === shown) return;
      shown = percent;
      const done = Math.round(fraction * 24);
      stderr.write(`\r${text} ${"█".repeat(done)}${"░".repeat(24 - done)} ${percent}%`);
    },
    end() {
      if (shown >= 0) stderr.write(`\r${" ".repeat(text.length + BAR_COLUMNS - 1)}\r`);
      shown = -1;
    },
  };
}

/** Of a bar with its percentage, and one that stays free: in the last column terminals begin a new line. */
const BAR_COLUMNS = 24 + " ".length + " 100%".length + 1;

const GAP = "   ";

/**
 * Rows of cells as aligned text within 80 columns: the first column left, the others right. Headings break into lines
 * where that is needed; what is still too wide becomes several tables, each with the first column.
 * @param rows headings first
 */
export function table(rows: readonly (readonly string[])[]): string {
  const fits = (some: readonly (readonly string[])[]) => lineWidth(widthsOf(some)) <= COLUMNS;
  if (fits(rows)) return aligned(rows);
  const narrow = withNarrowHeadings(rows);
  const blocks: number[][] = [[0]];
  for (let column = 1; column < rows[0]!.length; column++) {
    const block = blocks.at(-1)!;
    const wider = narrow.map((row) => [...block, column].map((i) => row[i] ?? ""));
    if (block.length === 1 || fits(wider)) block.push(column);
    else blocks.push([0, column]);
  }
  return blocks
    .map((block) => narrow.map((row) => block.map((i) => row[i] ?? "")))
    .map((part) => aligned(part.filter((row) => row.some((cell) => cell !== ""))))
    .join("\n\n");
}

function widthsOf(rows: readonly (readonly string[])[]): number[] {
  return rows[0]!.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
}

function lineWidth(widths: readonly number[]): number {
  return widths.reduce((sum, width) => sum + width, 0) + GAP.length * (widths.length - 1);
}

function aligned(rows: readonly (readonly string[])[]): string {
  const widths = widthsOf(rows);
  const cell = (text: string, i: number) => (i === 0 ? text.padEnd(widths[i]!) : text.padStart(widths[i]!));
  return rows.map((row) => row.map(cell).join(GAP).trimEnd()).join("\n");
}

/** Headings as several rows: none is wider than its column's cells or its own longest word. */
function withNarrowHeadings(rows: readonly (readonly string[])[]): string[][] {
  const [head, ...body] = rows as readonly [readonly string[], ...(readonly string[])[]];
  const cells = body.length > 0 ? widthsOf(body) : head.map(() => 0);
  const lines = head.map((text, i) => wrapped(text, "", Math.max(cells[i] ?? 0, 9)).split("\n"));
  const height = Math.max(...lines.map(({ length }) => length));
  const headings = Array.from({ length: height }, (_, row) =>
    lines.map((of) => of[row - (height - of.length)] ?? ""),
  );
  return [...headings, ...body.map((row) => [...row])];
}

/** A number for a person: "–" for what does not apply. */
export function figure(value: number | null, digits = 2, unit = ""): string {
  return value === null ? "–" : `${value.toFixed(digits)}${unit}`;
}
