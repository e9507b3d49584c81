/**
 * Text that any tokenizer reads at once. Many split a text into words by regular expressions whose matching recurses once
 * for each character of a match, and search it anew for each special token in it: what strangers wrote may take them
 * seconds, or overflow the stack and end the process. A short text whose matches are short does neither, unless special
 * tokens cut it into many parts: each is matched by expressions that are compiled for it.
 */

/** Both in UTF-16 units. */
export const TAME_LIMITS = {
  /** of a match, and of a text that is read at once whatever it says: the shortest overflow had 4,000 */
  match: 1024,
  /** of a text that is read at once: it takes a few milliseconds */
  text: 8 * 1024,
} as const;

/** What one match of a tokenizer's expressions may span, as bits. */
const GRAPHIC = 1;
const SPACE = 2;
const WORDS = 4;
const NUMBERS = 8;

const NO_LENGTHS: readonly number[] = [];

/** Special tokens of a vocabulary, to be found in a text. */
export class SpecialTexts {
  /** by the first two units, or one where there is one: lengths that there are, the longest first */
  private readonly lengths = new Map<string, number[]>();
  private readonly texts: ReadonlySet<string>;

  constructor(texts: readonly string[]) {
    this.texts = new Set(texts);
    for (const text of this.texts) {
      const key = text.slice(0, 2);
      const known = this.lengths.get(key) ?? [];
      if (!known.includes(text.length)) known.push(text.length);
      this.lengths.set(key, known);
    }
    for (const known of this.lengths.values()) known.sort((a, b) => b - a);
  }

  /** How many are in the text, one behind the other; no more are counted than `most`. */
  count(text: string, most: number): number {
    let count = 0;
    for (let i = 0; i < text.length && count < most; ) {
      const length = this.at(text, i);
      if (length > 0) count++;
      i += length || 1;
    }
    return count;
  }

  /** All that begin there, as lengths, the longest first. */
  lengthsAt(text: string, from: number): number[] {
    return [2, 1].flatMap((units) => {
      const lengths = this.lengths.get(text.slice(from, from + units)) ?? NO_LENGTHS;
      return lengths.filter((length) => this.texts.has(text.slice(from, from + length)));
    });
  }

  /** Every character that is in one of them. */
  characters(): Set<string> {
    return new Set([...this.texts].flatMap((text) => text.split("")));
  }

  /** Length of the one that begins there; 0: none. */
  private at(text: string, from: number): number {
    for (const units of [2, 1]) {
      const lengths = this.lengths.get(text.slice(from, from + units)) ?? NO_LENGTHS;
      const length = lengths.find((length) => this.texts.has(text.slice(from, from + length)));
      if (length !== undefined) return length;
    }
    return 0;
  }
}

/** Whether a tokenizer can be given the text where it must not take long, and must not fail. */
export function isTame(text: string): boolean {
  if (text.length <= TAME_LIMITS.match) return true;
  return text.length <= TAME_LIMITS.text && longestMatch(text) < TAME_LIMITS.match;
}

/** Upper bound on what a match spans, in UTF-16 units. */
function longestMatch(text: string): number {
  const from = { graphic: 0, space: 0, words: 0, numbers: 0 };
  let longest = 0;
  for (let i = 0; i < text.length; i++) {
    const kinds = kindsOf(text.charCodeAt(i));
    if (!(kinds & GRAPHIC)) from.graphic = i + 1;
    if (!(kinds & SPACE)) from.space = i + 1;
    if (!(kinds & WORDS)) from.words = i + 1;
    if (!(kinds & NUMBERS)) from.numbers = i + 1;
    longest = Math.max(longest, i + 1 - Math.min(from.graphic, from.space, from.words, from.numbers));
  }
  return longest;
}

/** Past ASCII a unit may be anything. */
function kindsOf(unit: number): number {
  if (unit >= 0x80) return GRAPHIC | SPACE | WORDS | NUMBERS;
  if (unit === 0x20) return SPACE | WORDS | NUMBERS;
  if (unit < 0x20 || unit === 0x7f) return SPACE | (unit >= 9 && unit <= 13 ? 0 : GRAPHIC);
  if (unit >= 0x30 && unit <= 0x39) return GRAPHIC | NUMBERS;
  const lower = unit | 0x20;
  return lower >= 0x61 && lower <= 0x7a ? GRAPHIC | WORDS : GRAPHIC;
}
