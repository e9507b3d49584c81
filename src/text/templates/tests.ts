import { order, same } from "./compare.ts";
import type { Twins } from "./twins.ts";
import {
  isDict,
  isInteger,
  isList,
  isNone,
  isNumber,
  isText,
  isUndefined,
  itemsOf,
  type Value,
} from "./values.ts";

/** Jinja's tests: what follows `is`, and the names that `select` and its kin take. */

type Test = (value: Value, args: readonly Value[], twins: Twins) => boolean;

export function contains(whole: Value, part: Value, twins: Twins): boolean {
  if (isText(whole)) return isText(part) && twins.plain(whole.value).includes(twins.plain(part.value));
  if (isDict(whole)) {
    const key = part.value;
    return (typeof key === "string" || typeof key === "number") && whole.value.has(key);
  }
  return (itemsOf(whole) ?? []).some((item) => same(item, part, twins));
}

const equals: Test = (value, [other], twins) => same(value, other!, twins);
const differs: Test = (value, [other], twins) => !same(value, other!, twins);
const compared =
  (holds: (order: number) => boolean): Test =>
  (value, [other], twins) =>
    holds(order(value, other!, twins));
const greater = compared((first) => first > 0);
const less = compared((first) => first < 0);
const atLeast = compared((first) => first >= 0);
const atMost = compared((first) => first <= 0);
const hasCase =
  (change: (plain: string) => string): Test =>
  (value, _args, twins) =>
    isText(value) && twins.plain(value.value) === change(twins.plain(value.value));

export const TESTS: Readonly<Record<string, Test>> = {
  boolean: (value) => value.type === "BooleanValue",
  callable: (value) => value.type === "FunctionValue",
  defined: (value) => !isUndefined(value),
  divisibleby: (value, [by]) => isNumber(value) && isNumber(by) && value.value % by.value === 0,
  eq: equals,
  equalto: equals,
  even: (value) => isNumber(value) && value.value % 2 === 0,
  false: (value) => value.type === "BooleanValue" && value.value === false,
  float: (value) => value.type === "FloatValue",
  ge: atLeast,
  greaterthan: greater,
  gt: greater,
  in: (value, [whole], twins) => contains(whole!, value, twins),
  integer: (value) => isInteger(value),
  iterable: (value) => isList(value) || isDict(value) || isText(value),
  le: atMost,
  lessthan: less,
  lower: hasCase((plain) => plain.toLowerCase()),
  lt: less,
  mapping: (value) => isDict(value),
  ne: differs,
  none: (value) => isNone(value),
  number: (value) => isNumber(value) || value.type === "BooleanValue",
  odd: (value) => isNumber(value) && value.value % 2 !== 0,
  sameas: (value, [other]) => value === other || (value.type === other!.type && value.value === other!.value),
  sequence: (value) => isList(value) || isDict(value) || isText(value),
  string: (value) => isText(value),
  true: (value) => value.type === "BooleanValue" && value.value === true,
  undefined: (value) => isUndefined(value),
  upper: hasCase((plain) => plain.toUpperCase()),
};
