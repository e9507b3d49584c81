import { SettingError } from "./errors.ts";

/**
 * Settings as tables: one row a setting, as plain data. The library's check, the schema of the wire, the options of the
 * command line and the fields of an API are derived from the rows, so that a setting is described in one place.
 */

/** What a number may be. */
export interface NumberRange {
  readonly least: number;
  /** Infinity: there is no largest. From 2^31 on no user meets the bound, and messages do not tell it. */
  readonly most: number;
  /** `least` itself is outside */
  readonly aboveLeast?: true;
  readonly whole?: true;
  /** allowed as well: a 0 that switches off what otherwise starts above 0 */
  readonly also?: number;
}

interface Row {
  /** what --help says: no capital, no full stop */
  readonly help: string;
  /** of the values, where they have one */
  readonly unit?: string;
  /** option of the command line, as commander reads it; absent: there is none. Its attribute is the row's name. */
  readonly flag?: `--${string} <${string}>`;
  /** field of OpenAI's API, or of servers like it; absent: there is none */
  readonly field?: string;
  /** the release that brought it; absent: 0.1. A peer of an earlier release does not read it. */
  readonly since?: "0.2";
}

export interface NumberRow extends Row {
  readonly kind: "number";
  readonly range: NumberRange;
  /** absent: it has to be given, or is optional where it is used */
  readonly default?: number;
  /** what the default does, for --help: "all", "none" */
  readonly defaultMeans?: string;
  /** OpenAI's own range, where it is narrower; with what clients of other servers send */
  readonly fieldRange?: NumberRange;
  /** what the field is called elsewhere */
  readonly fieldAliases?: readonly string[];
  /** values of the field that stand for others: [given, meant] */
  readonly fieldMeans?: readonly (readonly [number, number])[];
}

export interface FlagRow extends Row {
  readonly kind: "flag";
}

export interface ChoiceRow extends Row {
  readonly kind: "choice";
  readonly choices: readonly string[];
}

/** Numbers for token ids: [id, number] pairs; in an API an object from id to number. */
export interface PairsRow extends Row {
  readonly kind: "pairs";
  readonly range: NumberRange;
  readonly mostPairs: number;
  readonly default: readonly (readonly [number, number])[];
  /** OpenAI's own range, where it is narrower */
  readonly fieldRange?: NumberRange;
}

export type SettingRow = NumberRow | FlagRow | ChoiceRow | PairsRow;

export type SettingTable = Readonly<Record<string, SettingRow>>;

export function inRange(value: unknown, range: NumberRange): value is number {
  if (typeof value !== "number") return false;
  if (value === range.also) return true;
  if (range.whole && !Number.isInteger(value)) return false;
  return (range.aboveLeast ? value > range.least : value >= range.least) && value <= range.most;
}

/** Completes "must be": "from 0 to 1", "a whole number, 0 or more". */
export function rangeText({ least, most, aboveLeast, whole, also }: NumberRange): string {
  const open = most >= 2 ** 31;
  const bounds = aboveLeast
    ? `above ${least}${open ? "" : ` and at most ${most}`}`
    : open
      ? `${least} or more`
      : `from ${least} to ${most}`;
  const text = whole ? `a whole number${bounds.startsWith("from") ? "" : ","} ${bounds}` : bounds;
  return also === undefined ? text : `${also}, or ${text}`;
}

/** Completes "must be", for a value of a row. */
export function allowedText(row: SettingRow): string {
  switch (row.kind) {
    case "number":
      return rangeText(row.range);
    case "flag":
      return "true or false";
    case "choice":
      return row.choices.map((choice) => JSON.stringify(choice)).join(" or ");
    case "pairs":
      return `at most ${row.mostPairs} pairs of token id and a number ${rangeText(row.range)}`;
    default:
      return row satisfies never;
  }
}

/** @throws SettingError that names the setting, what it has to be and what it is */
export function checkSetting(name: string, value: unknown, row: SettingRow): void {
  if (isAllowed(value, row)) return;
  throw new SettingError(name, `${name} must be ${allowedText(row)}, not ${shown(value)}`);
}

function isAllowed(value: unknown, row: SettingRow): boolean {
  switch (row.kind) {
    case "number":
      return inRange(value, row.range);
    case "flag":
      return typeof value === "boolean";
    case "choice":
      return row.choices.some((choice) => choice === value);
    case "pairs":
      return (
        Array.isArray(value) && value.length <= row.mostPairs && value.every((pair) => isPair(pair, row))
      );
    default:
      return row satisfies never;
  }
}

function isPair(pair: unknown, { range }: PairsRow): boolean {
  return Array.isArray(pair) && Number.isInteger(pair[0]) && pair[0] >= 0 && inRange(pair[1], range);
}

const MOST_SHOWN = 60;

function shown(value: unknown): string {
  const text = typeof value === "number" ? String(value) : (JSON.stringify(value) ?? String(value));
  return text.length > MOST_SHOWN ? `${text.slice(0, MOST_SHOWN)}...` : text;
}

/**
 * @param what is unknown, for the message: "sampler setting"
 * @throws SettingError for a name that the table does not have; it names the nearest that it has
 */
export function refuseUnknown(what: string, given: object, table: SettingTable): void {
  const names = Object.keys(table);
  const unknown = Object.keys(given).find((name) => !Object.hasOwn(table, name));
  if (unknown === undefined) return;
  const near = nearestName(unknown, names);
  const hint = near === null ? `there are ${names.join(", ")}` : `did you mean ${near}?`;
  throw new SettingError(unknown, `unknown ${what} ${shown(unknown)}; ${hint}`);
}

/** The name that `given` is a misspelling of, as far as that can be guessed; null: of none. */
export function nearestName(given: string, names: readonly string[]): string | null {
  const plain = (name: string) => name.toLowerCase().replaceAll(/[_-]/g, "");
  const wanted = plain(given).slice(0, MOST_SHOWN);
  const most = Math.max(1, Math.floor(wanted.length / 3));
  const ranked = names
    .map((name) => ({ name, distance: editDistance(wanted, plain(name)) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  if (best && best.distance <= most) return best.name;
  return (wanted.length >= 3 && names.find((name) => plain(name).startsWith(wanted))) || null;
}

/** Insertions, deletions and replacements of one letter that make b of a (Levenshtein 1966). */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(replaced, previous[j]! + 1, current[j - 1]! + 1));
    }
    previous = current;
  }
  return previous[b.length]!;
}
