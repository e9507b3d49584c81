import { SettingError } from "../../util/errors.ts";
import { pointer, SchemaError } from "./error.ts";
import { isObject, type JsonObject } from "./json.ts";
import { translated } from "./prepare.ts";
import { checkSize } from "./size.ts";

/** A keyword that was left out of a schema, or weakened (`oneOf`, to `anyOf`). */
export interface Dropped {
  readonly keyword: string;
  /** JSON pointer to it */
  readonly path: string;
}

const MOST_DROPPED = 100;
/** Values that are read in all rounds, so that they take no more than 50 ms. */
const MOST_WORK = 50_000;
const CONDITIONS = ["if", "not"];
/** Their keys are names, and no keywords. */
const MAPS = ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"];
const OTHERS = ["additionalProperties", "unevaluatedProperties"];

/**
 * A schema without what cannot be kept, for clients that do not ask for strictness.
 * @throws SettingError `schema` for what is no schema, or one of which too much is left out
 */
export function relaxedSchema(schema: unknown): { schema: unknown; dropped: readonly Dropped[] } {
  const values = checkSize(schema);
  const relaxed: unknown = JSON.parse(JSON.stringify(schema));
  const dropped: Dropped[] = [];
  for (;;) {
    // Each round reads all of it.
    if (values * dropped.length > MOST_WORK) throw tooMany(dropped);
    try {
      translated(relaxed);
      return { schema: relaxed, dropped };
    } catch (error) {
      if (!(error instanceof SchemaError)) throw error;
      if (dropped.length >= MOST_DROPPED) throw tooMany(dropped);
      dropped.push(...drop(relaxed, error));
    }
  }
}

function tooMany(dropped: readonly Dropped[]): SettingError {
  const { keyword, path } = dropped.at(-1)!;
  const message = `more than ${dropped.length} of its keywords cannot be kept, among them ${keyword} at ${path}`;
  return new SettingError("schema", message);
}

/** @returns what was left out */
function drop(root: unknown, error: SchemaError): Dropped[] {
  const keys = error.path
    .split("/")
    .slice(1)
    .map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
  // A condition that asks for less would not make the schema allow more.
  const condition = keys.findIndex((key, i) => CONDITIONS.includes(key) && !MAPS.includes(keys[i - 1] ?? ""));
  const path = condition < 0 ? keys : keys.slice(0, condition + 1);
  const keyword = path.pop();
  let schema = root;
  for (const key of path) {
    schema = isObject(schema) || Array.isArray(schema) ? (schema as JsonObject)[key] : undefined;
  }
  if (!isObject(schema) || keyword === undefined || !Object.hasOwn(schema, keyword)) throw error;
  const holder = schema as { [key: string]: unknown };
  const place = path.reduce<string>(pointer, "#");
  const left = [keyword];
  // What was listed there would be excluded by these otherwise.
  if (keyword === "patternProperties" || keyword === "properties") left.push(...OTHERS);
  const before = holder[keyword];
  const dropped = left.filter((name) => Object.hasOwn(holder, name));
  for (const name of dropped) delete holder[name];
  if (keyword === "oneOf" && Array.isArray(before)) addAnyOf(holder, before);
  return dropped.map((name) => ({ keyword: name, path: pointer(place, name) }));
}

function addAnyOf(holder: { [key: string]: unknown }, options: readonly unknown[]): void {
  if (!("anyOf" in holder)) holder.anyOf = options;
  else holder.allOf = [...(Array.isArray(holder.allOf) ? holder.allOf : []), { anyOf: options }];
}
