import { SettingError } from "../../util/errors.ts";

/** Bounds on a schema before anything walks it: by a walk without recursion. */

/** Objects and lists within one another: twice as many as levels of schemas. */
const MOST_DEPTH = 300;
/** Values in all, and characters of all texts: what a request's schemas may have together. Some 50 ms, at first. */
const MOST_VALUES = 4000;
const MOST_UNITS = 262_144;

/** What is left for the schemas of one request. */
export interface SchemaBudget {
  values: number;
  units: number;
}

export function schemaBudget(): SchemaBudget {
  return { values: MOST_VALUES, units: MOST_UNITS };
}

/**
 * @param schema parsed JSON
 * @returns how many values it has
 * @throws SettingError `schema`
 */
export function checkSize(schema: unknown, budget: SchemaBudget = schemaBudget()): number {
  const before = budget.values;
  const open: [value: unknown, depth: number][] = [[schema, 0]];
  for (let next = open.pop(); next; next = open.pop()) {
    const [value, depth] = next;
    budget.values--;
    if (typeof value === "string") budget.units -= value.length;
    if (depth > MOST_DEPTH) throw new SettingError("schema", "it is nested deeper than 100 levels");
    if (typeof value === "object" && value !== null) {
      for (const [key, child] of Object.entries(value)) {
        budget.units -= key.length;
        open.push([child, depth + 1]);
      }
    }
    if (budget.values < 0) throw tooLarge(`${MOST_VALUES} values`);
    if (budget.units < 0) throw tooLarge(`${MOST_UNITS} characters`);
  }
  return before - budget.values;
}

function tooLarge(most: string): SettingError {
  return new SettingError("schema", `the schemas of a request have at most ${most}; make them smaller`);
}
