import pc from "picocolors";

/** What commands print besides the answer itself. Colours only on a terminal. */

export function colours(stream: NodeJS.WriteStream) {
  return pc.createColors(stream.isTTY === true && pc.isColorSupported);
}

/** A progress bar on a terminal's stderr, nothing elsewhere. */
export function progressBar(label: string): { update(fraction: number): void; end(): void } {
  const { stderr } = process;
  if (!stderr.isTTY) return { update() {}, end() {} };
  let shown = -1;
  return {
    update(fraction) {
      const percent = Math.floor(fraction * 100);
      if (percent === shown) return;
      shown = percent;
      const done = Math.round(fraction * 24);
      stderr.write(`\r${label} ${"█".repeat(done)}${"░".repeat(24 - done)} ${percent}%`);
    },
    end() {
      if (shown >= 0) stderr.write(`\r${" ".repeat(label.length + 32)}\r`);
    },
  };
}

/** Rows of cells as aligned text: the first column left, the others right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) =>
      row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join("   "),
    )
    .join("\n");
}

/** A number for a person: "–" for what does not apply. */
export function figure(value: number | null, digits = 2, unit = ""): string {
  return value === null ? "–" : `${value.toFixed(digits)}${unit}`;
}
