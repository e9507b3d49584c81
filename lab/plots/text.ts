/** Text in a chart without a browser: how wide it is, where it breaks, and how numbers read. */

const NARROW = new Set("ijlIftr.,:;|'!()[]{}/\\ -");
const WIDE = new Set("mwMW@%&QGO—…+=<>~→");
const SIGNIFICANT_DIGITS = 3;

/** One line of characters that XML 1.0 allows. */
export function clean(text: string): string {
  return text
    .replaceAll(/\s+/g, " ")
    .replaceAll(/[\p{Cc}\p{Surrogate}\ufffe\uffff]/gu, "\ufffd")
    .trim();
}

/**
 * Width in px, for the widest of the usual sans-serif fonts (DejaVu Sans), so that what fits here fits in the
 * others as well. Bold is about a tenth wider.
 */
export function textWidth(text: string, sizePx: number): number {
  let ems = 0;
  for (const character of text) {
    if (NARROW.has(character)) ems += 0.4;
    else if (WIDE.has(character)) ems += 0.97;
    else if (character > "\u2e7f") ems += 1;
    else ems += /[A-Z0-9_]/.test(character) ? 0.67 : 0.61;
  }
  return ems * sizePx;
}

/** The text, or as much of it as fits, with an ellipsis. */
export function shorten(text: string, widthPx: number, sizePx: number): string {
  if (textWidth(text, sizePx) <= widthPx) return text;
  const characters = [...text];
  while (characters.length > 1 && textWidth(`${characters.join("")}…`, sizePx) > widthPx) characters.pop();
  return `${characters.join("").trimEnd()}…`;
}

/** Lines broken between words; a word that is wider than a line is cut short. */
export function wrap(text: string, widthPx: number, sizePx: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of clean(text).split(" ")) {
    const longer = line === "" ? word : `${line} ${word}`;
    if (line !== "" && textWidth(longer, sizePx) > widthPx) {
      lines.push(line);
      line = word;
    } else line = longer;
  }
  return [...lines, line].map((each) => shorten(each, widthPx, sizePx));
}

/** A number for a person: en-US whatever the locale, so that the same data gives the same file. */
export function numberText(value: number, decimals?: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e7 || size < 1e-4)) {
    return value
      .toExponential(2)
      .replace(/\.?0+e/, "e")
      .replace("e+", "e")
      .replaceAll("-", "−");
  }
  const options =
    decimals === undefined
      ? {
          maximumSignificantDigits: Math.max(SIGNIFICANT_DIGITS, Math.floor(Math.log10(size || 1)) + 1),
        }
      : { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
  return value.toLocaleString("en-US", options).replace("-", "−");
}

/** Decimals that give the largest of the values three digits, and no more than it takes to write all of them. */
export function decimalsFor(values: readonly number[]): number {
  const largest = Math.max(...values.map(Math.abs)) || 1;
  return decimalsOf(
    values,
    Math.min(6, Math.max(0, SIGNIFICANT_DIGITS - 1 - Math.floor(Math.log10(largest)))),
  );
}

/** The fewest decimals that write the values in full, or `most`. */
export function decimalsOf(values: readonly number[], most: number): number {
  let decimals = 0;
  while (decimals < most && values.some((value) => Number(value.toFixed(decimals)) !== value)) decimals++;
  return decimals;
}
