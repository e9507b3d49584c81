import { same } from "./compare.ts";
import type { Twins } from "./twins.ts";
import {
  argumentsOf,
  type DictValue,
  dict,
  integer,
  isDict,
  isInteger,
  isList,
  isNumber,
  isText,
  itemsOf,
  keyValue,
  type ListValue,
  list,
  NONE,
  TwinKeys,
  type Value,
} from "./values.ts";

/** Python's methods of lists and dictionaries. */

type ListMethod = (self: ListValue, args: readonly Value[], twins: Twins) => Value;
type DictMethod = (self: DictValue, args: readonly Value[], twins: Twins) => Value;

function placeOf(self: ListValue, args: readonly Value[], twins: Twins): number {
  return self.value.findIndex((item) => same(item, args[0]!, twins));
}

export const LIST_METHODS: Readonly<Record<string, ListMethod>> = {
  append: (self, [item]) => {
    self.value.push(item!);
    return NONE;
  },
  extend: (self, [more]) => {
    self.value.push(...(itemsOf(more!) ?? []));
    return NONE;
  },
  insert: (self, [at, item]) => {
    self.value.splice(isInteger(at) ? at.value : 0, 0, item!);
    return NONE;
  },
  pop: (self, [at]) => {
    const [taken] = self.value.splice(isInteger(at) ? at.value : -1, 1);
    if (taken === undefined) throw new Error("pop from an empty list");
    return taken;
  },
  index: (self, args, twins) => {
    const place = placeOf(self, args, twins);
    if (place < 0) throw new Error("the list has no such item");
    return integer(place);
  },
  count: (self, args, twins) => integer(self.value.filter((item) => same(item, args[0]!, twins)).length),
  copy: (self) => list([...self.value]),
};

/** @throws Error for what cannot be a key */
export function keyOf(value: Value | undefined): string | number {
  if (isText(value)) return value.value;
  if (isNumber(value)) return value.value;
  throw new Error(`a key has to be a text or a number, and not ${value?.type}`);
}

export function pairsOf(self: DictValue): Value[] {
  return [...self.value.entries()].map(([key, value]) => list([keyValue(key), value]));
}

export const DICT_METHODS: Readonly<Record<string, DictMethod>> = {
  get: (self, args) => {
    const { positional, named } = argumentsOf(args);
    return self.value.get(keyOf(positional[0])) ?? positional[1] ?? named.get("default") ?? NONE;
  },
  items: (self) => list(pairsOf(self)),
  keys: (self) => list([...self.value.keys()].map(keyValue)),
  values: (self) => list([...self.value.values()]),
  pop: (self, [key, otherwise]) => {
    const found = self.value.get(keyOf(key)) ?? otherwise;
    if (found === undefined) throw new Error("the dictionary has no such key");
    self.value.delete(keyOf(key));
    return found;
  },
  setdefault: (self, [key, otherwise]) => {
    const found = self.value.get(keyOf(key));
    if (found !== undefined) return found;
    self.value.set(keyOf(key), otherwise ?? NONE);
    return otherwise ?? NONE;
  },
  update: (self, args) => {
    for (const more of args)
      if (isDict(more)) for (const [key, item] of more.value) self.value.set(key, item);
    return NONE;
  },
  copy: (self, _args, twins) => copyOf([self], twins),
};

/** dict(...): of dictionaries, or pairs. */
export function copyOf(sources: readonly Value[], twins: Twins): Value {
  const map = new TwinKeys(twins);
  for (const source of sources) {
    const pairs = isDict(source) ? pairsOf(source) : (itemsOf(source) ?? []);
    for (const pair of pairs) if (isList(pair)) map.set(keyOf(pair.value[0]), pair.value[1]!);
  }
  return dict(map);
}
