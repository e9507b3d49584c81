/** Sets of characters: code points without surrogates, since those are in no text. */

/** [low, high, low, high, ...], both ends within, ascending, with gaps between: a set has one form. */
export type CharSet = readonly number[];

export const LAST_CHARACTER = 0x10ffff;
const FIRST_SURROGATE = 0xd800;
const LAST_SURROGATE = 0xdfff;

export const ANY_CHARACTER: CharSet = [0, FIRST_SURROGATE - 1, LAST_SURROGATE + 1, LAST_CHARACTER];

export function isSurrogate(code: number): boolean {
  return code >= FIRST_SURROGATE && code <= LAST_SURROGATE;
}

/** @param ranges [low, high] each, in any order, overlapping or not */
export function charSet(ranges: readonly (readonly [number, number])[]): CharSet {
  if (ranges.length === 1 && ranges[0]![1] < FIRST_SURROGATE) return [...ranges[0]!];
  const sorted = ranges.flatMap(withoutSurrogates).sort((a, b) => a[0] - b[0]);
  const set: number[] = [];
  for (const [low, high] of sorted) {
    const last = set.length - 1;
    if (last > 0 && low <= set[last]! + 1) set[last] = Math.max(set[last]!, high);
    else set.push(low, high);
  }
  return set;
}

function withoutSurrogates([low, high]: readonly [number, number]): [number, number][] {
  const parts: [number, number][] = [
    [low, Math.min(high, FIRST_SURROGATE - 1)],
    [Math.max(low, LAST_SURROGATE + 1), high],
  ];
  return parts.filter(([from, to]) => from <= to);
}

/** All characters that are not in the set. */
export function complement(set: CharSet): CharSet {
  const ranges: [number, number][] = [];
  let from = 0;
  for (let i = 0; i < set.length; i += 2) {
    if (from < set[i]!) ranges.push([from, set[i]! - 1]);
    from = set[i + 1]! + 1;
  }
  if (from <= LAST_CHARACTER) ranges.push([from, LAST_CHARACTER]);
  return charSet(ranges);
}

export function intersects(a: CharSet, b: CharSet): boolean {
  let [i, j] = [0, 0];
  while (i < a.length && j < b.length) {
    if (a[i + 1]! < b[j]!) i += 2;
    else if (b[j + 1]! < a[i]!) j += 2;
    else return true;
  }
  return false;
}

/** Bytes as a set: bit b % 32 of word b / 32, Uint32Array[8]. */
export type ByteSet = Uint32Array;

export function noBytes(): ByteSet {
  return new Uint32Array(8);
}

export function addBytes(to: ByteSet, from: ByteSet): void {
  for (let i = 0; i < 8; i++) to[i]! |= from[i]!;
}

export function shareBytes(a: ByteSet, b: ByteSet): boolean {
  return a.some((word, i) => (word & b[i]!) !== 0);
}

/** The bytes that the characters' UTF-8 begins with. */
export function firstBytes(set: CharSet): ByteSet {
  const bytes = noBytes();
  for (let i = 0; i < set.length; i += 2) {
    // Ascending with the character, so nothing between the ends is missed.
    for (let byte = firstByte(set[i]!); byte <= firstByte(set[i + 1]!); byte++) {
      bytes[byte >>> 5]! |= 1 << (byte & 31);
    }
  }
  return bytes;
}

function firstByte(code: number): number {
  if (code < 0x80) return code;
  if (code < 0x800) return 0xc0 | (code >>> 6);
  if (code < 0x10000) return 0xe0 | (code >>> 12);
  return 0xf0 | (code >>> 18);
}
