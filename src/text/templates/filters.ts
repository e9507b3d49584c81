import { DICT_METHODS, pairsOf } from "./collections.ts";
import { order, same } from "./compare.ts";
import { json, printed } from "./print.ts";
import { stripped, TEXT_METHODS } from "./texts.ts";
import type { Twins } from "./twins.ts";
import {
  type DictValue,
  float,
  integer,
  isDict,
  isInteger,
  isList,
  isNone,
  isNumber,
  isText,
  isUndefined,
  itemsOf,
  list,
  text,
  UNDEFINED,
  type Value,
} from "./values.ts";

/** Jinja's filters. */

export interface FilterContext {
  readonly positional: readonly Value[];
  readonly named: ReadonlyMap<string | number, Value>;
  readonly twins: Twins;
  /** another filter by name */
  filter(name: string, value: Value, args: readonly Value[]): Value;
  /** a test by name */
  test(name: string, value: Value, args: readonly Value[]): boolean;
}

type Filter = (value: Value, context: FilterContext) => Value;

const argument = ({ positional, named }: FilterContext, index: number, name: string): Value | undefined =>
  positional[index] ?? named.get(name);

const isOn = (value: Value | undefined): boolean => value?.__bool__().value ?? false;

/** @throws Error */
function items(value: Value): Value[] {
  const found = itemsOf(value);
  if (found === null) throw new Error(`${value.type} is no list`);
  return found;
}

/** A path such as "function.name". */
function attribute(value: Value, path: string): Value {
  let at = value;
  for (const part of path.split(".")) {
    if (isDict(at) || at.type === "NamespaceValue") at = (at as DictValue).value.get(part) ?? UNDEFINED;
    else if (isList(at)) at = at.value[Number(part)] ?? UNDEFINED;
    else return UNDEFINED;
  }
  return at;
}

function keyOf(value: Value, path: Value | undefined): Value {
  return path === undefined || isNone(path) ? value : attribute(value, printed(path));
}

function toJson(value: Value, context: FilterContext): Value {
  const { named, twins } = context;
  const spaces = argument(context, 0, "indent");
  const indent = isInteger(spaces) ? spaces.value : null;
  const given = named.get("separators");
  const separators = isList(given) ? given.value.map(printed) : [indent === null ? ", " : ",", ": "];
  const form = {
    indent,
    separators: separators as [string, string],
    sortKeys: isOn(named.get("sort_keys")),
    ascii: isOn(named.get("ensure_ascii")),
  };
  return text(json(value, form, twins));
}

function sorted(value: Value, context: FilterContext): Value {
  const by = context.named.get("attribute");
  const caseMatters = isOn(argument(context, 1, "case_sensitive"));
  const sign = isOn(argument(context, 0, "reverse")) ? -1 : 1;
  const compared = (a: Value, b: Value) =>
    sign * order(keyOf(a, by), keyOf(b, by), context.twins, caseMatters);
  return list([...items(value)].sort(compared));
}

function dictSorted(value: Value, context: FilterContext): Value {
  if (!isDict(value)) throw new Error("dictsort needs a dictionary");
  const by = argument(context, 1, "by");
  const place = by !== undefined && printed(by) === "value" ? 1 : 0;
  const sign = isOn(argument(context, 2, "reverse")) ? -1 : 1;
  const caseMatters = isOn(argument(context, 0, "case_sensitive"));
  const at = (pair: Value) => (pair.value as Value[])[place]!;
  return list(pairsOf(value).sort((a, b) => sign * order(at(a), at(b), context.twins, caseMatters)));
}

const extreme =
  (sign: number): Filter =>
  (value, context) => {
    const by = context.named.get("attribute");
    const all = items(value);
    const better = (a: Value, b: Value) =>
      sign * order(keyOf(b, by), keyOf(a, by), context.twins, false) > 0 ? b : a;
    return all.length === 0 ? UNDEFINED : all.reduce(better);
  };

const chosen =
  (keeps: boolean, byAttribute: boolean): Filter =>
  (value, { positional, test }) => {
    const args = byAttribute ? positional.slice(1) : positional;
    const path = byAttribute ? positional[0] : undefined;
    const passes = (item: Value) => {
      const about = keyOf(item, path);
      return args[0] === undefined ? isOn(about) : test(printed(args[0]), about, args.slice(1));
    };
    return list(items(value).filter((item) => passes(item) === keeps));
  };

function mapped(value: Value, { positional, named, filter }: FilterContext): Value {
  const path = named.get("attribute");
  if (path === undefined) {
    const [name, ...args] = positional;
    return list(items(value).map((item) => filter(printed(name!), item, args)));
  }
  const otherwise = named.get("default");
  return list(
    items(value).map((item) => {
      const found = attribute(item, printed(path));
      return isUndefined(found) ? (otherwise ?? UNDEFINED) : found;
    }),
  );
}

function joined(value: Value, context: FilterContext): Value {
  const by = argument(context, 1, "attribute");
  const separator = argument(context, 0, "d");
  const parts = items(value).map((item) => printed(keyOf(item, by)));
  return text(parts.join(separator === undefined ? "" : printed(separator)));
}

function indented(value: Value, context: FilterContext): Value {
  const width = argument(context, 0, "width");
  const first = isOn(argument(context, 1, "first"));
  const blank = isOn(argument(context, 2, "blank"));
  const pad = isText(width) ? width.value : " ".repeat(isInteger(width) ? width.value : 4);
  const lines = printed(value).split("\n");
  return text(
    lines.map((line, i) => ((first || i > 0) && (blank || line !== "") ? pad + line : line)).join("\n"),
  );
}

function unique(value: Value, { named, twins }: FilterContext): Value {
  const by = named.get("attribute");
  const kept: Value[] = [];
  for (const item of items(value)) {
    if (!kept.some((known) => same(keyOf(known, by), keyOf(item, by), twins))) kept.push(item);
  }
  return list(kept);
}

const parsed =
  (whole: boolean): Filter =>
  (value, context) => {
    const make = whole ? integer : float;
    const otherwise = argument(context, 0, "default") ?? make(0);
    if (isNumber(value)) return make(whole ? Math.trunc(value.value) : value.value);
    if (value.type === "BooleanValue") return make(Number(value.value));
    if (!isText(value)) return otherwise;
    const plain = context.twins.plain(value.value).trim();
    if (!/^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(plain)) return otherwise;
    return make(whole ? Math.trunc(Number(plain)) : Number(plain));
  };

function length(value: Value): Value {
  if (isDict(value)) return integer(value.value.size);
  return integer(isText(value) ? [...value.value].length : items(value).length);
}

function summed(value: Value, { named }: FilterContext): Value {
  const by = named.get("attribute");
  const numbers = items(value).map((item) => keyOf(item, by));
  const total = numbers.reduce((sum, number) => sum + (isNumber(number) ? number.value : 0), 0);
  return numbers.every((number) => isInteger(number)) ? integer(total) : float(total);
}

function rounded(value: Value, context: FilterContext): Value {
  const places = argument(context, 0, "precision");
  const scale = 10 ** (isInteger(places) ? places.value : 0);
  return float(isNumber(value) ? Math.round(value.value * scale) / scale : 0);
}

/** A method of texts as a filter, of whatever value. */
const method =
  (name: string): Filter =>
  (value, { positional, twins }) =>
    TEXT_METHODS[name]!(text(printed(value)), positional, twins);

function otherwise(value: Value, context: FilterContext): Value {
  const falseToo = isOn(argument(context, 1, "boolean"));
  const given = argument(context, 0, "default_value") ?? text("");
  return isUndefined(value) || (falseToo && !isOn(value)) ? given : value;
}

function trimmed(value: Value, context: FilterContext): Value {
  const characters = argument(context, 0, "chars");
  return text(stripped(printed(value), isText(characters) ? characters.value : null, "both", context.twins));
}

function absolute(value: Value): Value {
  if (!isNumber(value)) throw new Error("abs needs a number");
  return value.type === "IntegerValue" ? integer(Math.abs(value.value)) : float(Math.abs(value.value));
}

const HTML: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&#34;",
  "'": "&#39;",
};

export const FILTERS: Readonly<Record<string, Filter>> = {
  abs: absolute,
  capitalize: method("capitalize"),
  count: length,
  d: otherwise,
  default: otherwise,
  dictsort: dictSorted,
  escape: (value, { twins }) =>
    text(
      printed(value)
        .split("")
        .map((unit) => HTML[twins.plain(unit)] ?? unit)
        .join(""),
    ),
  first: (value) => items(value)[0] ?? UNDEFINED,
  float: parsed(false),
  indent: indented,
  int: parsed(true),
  items: (value, { twins }) =>
    isDict(value) ? DICT_METHODS.items!(value, [], twins) : list(items(UNDEFINED)),
  join: joined,
  last: (value) => items(value).at(-1) ?? UNDEFINED,
  length,
  list: (value) => list([...items(value)]),
  lower: method("lower"),
  map: mapped,
  max: extreme(1),
  min: extreme(-1),
  reject: chosen(false, false),
  rejectattr: chosen(false, true),
  replace: method("replace"),
  reverse: (value) =>
    isText(value) ? text([...value.value].reverse().join("")) : list([...items(value)].reverse()),
  round: rounded,
  safe: (value) => value,
  select: chosen(true, false),
  selectattr: chosen(true, true),
  sort: sorted,
  string: (value) => text(printed(value)),
  sum: summed,
  title: method("title"),
  tojson: toJson,
  trim: trimmed,
  unique,
  upper: method("upper"),
};
