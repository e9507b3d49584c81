import { printed } from "./print.ts";
import type { Twins } from "./twins.ts";
import {
  argumentsOf,
  integer,
  isInteger,
  isList,
  isText,
  itemsOf,
  list,
  text,
  truth,
  type Value,
} from "./values.ts";

/** Python's methods of texts. What is searched is plain, and what is returned keeps its marks. */

export type Method = (self: Value, args: readonly Value[], twins: Twins) => Value;

const raw = (value: Value): string => value.value as string;

/** A text among the arguments, as it is. @throws Error */
function textAt(args: readonly Value[], index: number): string {
  const value = args[index];
  if (!isText(value)) throw new Error(`argument ${index + 1} has to be a text`);
  return value.value;
}

/** Pieces of a text between separators: as many cuts as `most`, from the left. */
function split(whole: string, separator: string | null, most: number, twins: Twins): string[] {
  const plain = twins.plain(whole);
  if (separator === "") throw new Error("a separator has to have a character");
  const pieces: string[] = [];
  let from = separator === null ? plain.length - plain.trimStart().length : 0;
  while (most < 0 || pieces.length < most) {
    const cut = separator === null ? spaceAt(plain, from) : indexAt(plain, twins.plain(separator), from);
    if (cut === null) break;
    pieces.push(whole.slice(from, cut.index));
    from = cut.index + cut.length;
  }
  const rest =
    separator === null && (most < 0 || pieces.length < most)
      ? whole.slice(from).trimEnd()
      : whole.slice(from);
  if (separator !== null || rest !== "") pieces.push(rest);
  return pieces;
}

function indexAt(plain: string, separator: string, from: number) {
  const index = plain.indexOf(separator, from);
  return index < 0 ? null : { index, length: separator.length };
}

function spaceAt(plain: string, from: number) {
  const pattern = /\s+/g;
  pattern.lastIndex = from;
  const found = pattern.exec(plain);
  return found === null ? null : { index: found.index, length: found[0].length };
}

function rightSplit(whole: string, separator: string, most: number, twins: Twins): string[] {
  const pieces = split(whole, separator, -1, twins);
  if (most < 0 || pieces.length <= most + 1) return pieces;
  const kept = pieces.slice(pieces.length - most);
  const tail = kept.reduce((units, piece) => units + piece.length + separator.length, 0);
  return [whole.slice(0, whole.length - tail), ...kept];
}

/** @param most replacements; below 0: all */
function replaced(whole: string, old: string, by: string, most: number, twins: Twins): string {
  if (old === "") return most === 0 ? whole : whole.split("").reduce((out, unit) => out + unit + by, by);
  return split(whole, old, most, twins).join(by);
}

/** @param characters to be taken off; null: white space */
export function stripped(
  whole: string,
  characters: string | null,
  sides: "left" | "right" | "both",
  twins: Twins,
): string {
  const plain = twins.plain(whole);
  const drop = characters === null ? null : twins.plain(characters);
  const goes = (unit: string) => (drop === null ? unit.trim() === "" : drop.includes(unit));
  let from = 0;
  let to = plain.length;
  if (sides !== "right") while (from < to && goes(plain[from]!)) from++;
  if (sides !== "left") while (to > from && goes(plain[to - 1]!)) to--;
  return whole.slice(from, to);
}

const strip =
  (sides: "left" | "right" | "both"): Method =>
  (self, args, twins) =>
    text(stripped(raw(self), isText(args[0]) ? args[0].value : null, sides, twins));

const mapped =
  (change: (plain: string) => string): Method =>
  (self, _args, twins) =>
    text(twins.mapped(raw(self), change));

const capitalized = (plain: string): string => plain.slice(0, 1).toUpperCase() + plain.slice(1).toLowerCase();
const titled = (plain: string): string => plain.replace(/\p{L}+/gu, (word) => capitalized(word));

const edge =
  (has: (plain: string, part: string) => boolean): Method =>
  (self, args, twins) => {
    const parts = isList(args[0]) ? args[0].value : [args[0]!];
    return truth(parts.some((_, i) => has(twins.plain(raw(self)), twins.plain(textAt(parts, i)))));
  };

const found =
  (find: (plain: string, part: string) => number): Method =>
  (self, args, twins) =>
    integer(find(twins.plain(raw(self)), twins.plain(textAt(args, 0))));

const all =
  (pattern: RegExp): Method =>
  (self, _args, twins) =>
    truth(pattern.test(twins.plain(raw(self))));

function count(args: readonly Value[], index: number, name: string): number {
  const { positional, named } = argumentsOf(args);
  const value = positional[index] ?? named.get(name);
  return isInteger(value) ? value.value : -1;
}

function separatorOf(args: readonly Value[]): string | null {
  const { positional, named } = argumentsOf(args);
  const value = positional[0] ?? named.get("sep");
  return isText(value) ? value.value : null;
}

/** Around the first place, or the last. */
function partition(self: Value, args: readonly Value[], twins: Twins, last: boolean): Value {
  const separator = textAt(args, 0);
  const pieces = last ? rightSplit(raw(self), separator, 1, twins) : split(raw(self), separator, 1, twins);
  const [before, after] = pieces as [string, string?];
  if (after !== undefined) return list([text(before), text(separator), text(after)]);
  return list(last ? [text(""), text(""), text(before)] : [text(before), text(""), text("")]);
}

/** Python's format(), as far as fields without a form. */
function formatted(self: Value, args: readonly Value[]): Value {
  const { positional, named } = argumentsOf(args);
  let next = 0;
  const out = raw(self).replace(/\{\{|\}\}|\{([^{}]*)\}/g, (whole, field?: string) => {
    if (field === undefined) return whole[0]!;
    const key = field === "" ? String(next++) : field;
    const value = /^\d+$/.test(key) ? positional[Number(key)] : named.get(key);
    if (value === undefined) throw new Error(`format() has no ${field === "" ? "more arguments" : field}`);
    return printed(value);
  });
  return text(out);
}

function joined(self: Value, args: readonly Value[]): Value {
  const items = itemsOf(args[0]!);
  if (items === null) throw new Error("join() needs a list");
  return text(items.map(printed).join(raw(self)));
}

const affix =
  (at: "start" | "end"): Method =>
  (self, args, twins) => {
    const whole = raw(self);
    const part = twins.plain(textAt(args, 0));
    const plain = twins.plain(whole);
    if (at === "start") return text(plain.startsWith(part) ? whole.slice(part.length) : whole);
    return text(part !== "" && plain.endsWith(part) ? whole.slice(0, -part.length) : whole);
  };

function lines(self: Value, args: readonly Value[]): Value {
  const keep = args[0]?.value === true;
  const parts = raw(self).match(/[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$/g) ?? [];
  return list(parts.map((line) => text(keep ? line : line.replace(/(?:\r\n|\r|\n)$/, ""))));
}

export const TEXT_METHODS: Readonly<Record<string, Method>> = {
  upper: mapped((plain) => plain.toUpperCase()),
  lower: mapped((plain) => plain.toLowerCase()),
  title: mapped(titled),
  capitalize: mapped(capitalized),
  strip: strip("both"),
  lstrip: strip("left"),
  rstrip: strip("right"),
  startswith: edge((plain, part) => plain.startsWith(part)),
  endswith: edge((plain, part) => plain.endsWith(part)),
  find: found((plain, part) => plain.indexOf(part)),
  rfind: found((plain, part) => plain.lastIndexOf(part)),
  count: found((plain, part) => (part === "" ? plain.length + 1 : plain.split(part).length - 1)),
  index: found((plain, part) => {
    if (!plain.includes(part)) throw new Error("substring not found");
    return plain.indexOf(part);
  }),
  isdigit: all(/^\p{Nd}+$/u),
  isnumeric: all(/^\p{N}+$/u),
  isalpha: all(/^\p{L}+$/u),
  isalnum: all(/^[\p{L}\p{N}]+$/u),
  isspace: all(/^\s+$/u),
  isupper: all(/^(?=.*\p{Lu})[^\p{Ll}]+$/su),
  islower: all(/^(?=.*\p{Ll})[^\p{Lu}]+$/su),
  split: (self, args, twins) =>
    list(split(raw(self), separatorOf(args), count(args, 1, "maxsplit"), twins).map(text)),
  rsplit: (self, args, twins) =>
    list(rightSplit(raw(self), separatorOf(args) ?? " ", count(args, 1, "maxsplit"), twins).map(text)),
  splitlines: lines,
  partition: (self, args, twins) => partition(self, args, twins, false),
  rpartition: (self, args, twins) => partition(self, args, twins, true),
  replace: (self, args, twins) =>
    text(replaced(raw(self), textAt(args, 0), textAt(args, 1), count(args, 2, "count"), twins)),
  removeprefix: affix("start"),
  removesuffix: affix("end"),
  format: formatted,
  join: joined,
};
