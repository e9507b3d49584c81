import type { Twins } from "./twins.ts";
import { type DictValue, isDict, isList, isText, type Value } from "./values.ts";

/** Python's comparisons: of texts without their marks. */

const numberOf = (value: Value): number | null => {
  if (value.type === "BooleanValue") return Number(value.value);
  return value.type === "IntegerValue" || value.type === "FloatValue" ? (value.value as number) : null;
};

export function same(a: Value, b: Value, twins: Twins): boolean {
  if (isText(a) && isText(b)) return twins.plain(a.value) === twins.plain(b.value);
  const [x, y] = [numberOf(a), numberOf(b)];
  if (x !== null && y !== null) return x === y;
  if (isList(a) && isList(b)) {
    const other = b.value;
    return a.value.length === other.length && a.value.every((item, i) => same(item, other[i]!, twins));
  }
  if (isDict(a) && isDict(b)) return sameDict(a, b, twins);
  return a.type === b.type && a.value === b.value;
}

function sameDict(a: DictValue, b: DictValue, twins: Twins): boolean {
  if (a.value.size !== b.value.size) return false;
  return [...a.value.entries()].every(([key, value]) => {
    const other = b.value.get(key);
    return other !== undefined && same(value, other, twins);
  });
}

/** Below 0: a comes first. @throws Error for kinds that have no order */
export function order(a: Value, b: Value, twins: Twins, caseMatters = true): number {
  if (isText(a) && isText(b)) {
    const [x, y] = [a.value, b.value].map((value) => {
      const plain = twins.plain(value);
      return caseMatters ? plain : plain.toLowerCase();
    }) as [string, string];
    return x < y ? -1 : x > y ? 1 : 0;
  }
  const [x, y] = [numberOf(a), numberOf(b)];
  if (x !== null && y !== null) return x - y;
  if (isList(a) && isList(b)) {
    for (const [i, item] of a.value.entries()) {
      const other = b.value[i];
      const first = other === undefined ? 1 : order(item, other, twins, caseMatters);
      if (first !== 0) return first;
    }
    return a.value.length - b.value.length;
  }
  throw new Error(`${a.type} and ${b.type} have no order`);
}
