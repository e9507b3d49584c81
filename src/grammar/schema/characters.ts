import { PatternError } from "./error.ts";

/** Code points, ascending and apart: first and last of each run. */
export type Ranges = readonly (readonly [number, number])[];

const LAST = 0x10ffff;
/** U+0001: see `setOf` */
const SPARED = 1;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

export function ranges(characters: string): Ranges {
  return united(
    [],
    Array.from(characters, (char) => [char.codePointAt(0)!, char.codePointAt(0)!] as const),
  );
}

export function united(left: Ranges, right: Ranges): Ranges {
  const all = [...left, ...right].sort((a, b) => a[0] - b[0]);
  const result: [number, number][] = [];
  for (const [from, to] of all) {
    const last = result.at(-1);
    if (last && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else result.push([from, to]);
  }
  return result;
}

export function negated(set: Ranges): Ranges {
  const result: [number, number][] = [];
  let next = 0;
  for (const [from, to] of united([], set)) {
    if (from > next) result.push([next, from - 1]);
    next = to + 1;
  }
  if (next <= LAST) result.push([next, LAST]);
  return result;
}

const known = new Map<string, Ranges>();
const MOST_KNOWN = 32;

/** The characters that an escape such as `\p{L}` stands for, as this platform knows them: 50 ms, and then kept. */
export function everything(name: string): Ranges {
  const before = known.get(name);
  if (before) return before;
  let form: RegExp;
  try {
    form = new RegExp(`^${name}$`, "u");
  } catch {
    throw new PatternError(`${name} is not supported`);
  }
  const result: [number, number][] = [];
  for (let point = 0; point <= LAST; point++) {
    if (!form.test(String.fromCodePoint(point))) continue;
    const last = result.at(-1);
    if (last && last[1] === point - 1) last[1] = point;
    else result.push([point, point]);
  }
  if (known.size >= MOST_KNOWN) known.clear();
  known.set(name, result);
  return result;
}

/**
 * A set in the library's language. A set with all control characters is read by llguidance as one with quotes and
 * backslashes (derivre 0.3.13, `quote_all_ctrl`), so U+0001 is left out of those that do not have both.
 * @throws PatternError for one that is nothing but U+0001
 */
export function setOf(set: Ranges): string {
  const has = (point: number) => set.some(([from, to]) => from <= point && point <= to);
  const spared = has(SPARED) && !(has(QUOTE) && has(BACKSLASH));
  const kept = spared ? without(set, SPARED) : set;
  if (spared && kept.length === 0) throw new PatternError("it asks for U+0001");
  const runs = withoutSurrogates(kept);
  if (runs.length === 0) return "[^\\x{0}-\\x{10FFFF}]";
  const hex = (point: number) => `\\x{${point.toString(16).toUpperCase()}}`;
  return `[${runs.map(([from, to]) => (from === to ? hex(from) : `${hex(from)}-${hex(to)}`)).join("")}]`;
}

function without(set: Ranges, point: number): Ranges {
  return negated(united(negated(set), [[point, point]]));
}

function withoutSurrogates(set: Ranges): Ranges {
  return negated(united(negated(set), [[0xd800, 0xdfff]]));
}
