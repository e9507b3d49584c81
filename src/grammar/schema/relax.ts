import { SettingError } from "../../util/errors.ts";
import { SchemaError } from "./error.ts";
import { isObject, type JsonObject } from "./json.ts";
import { translated } from "./prepare.ts";

/** A keyword that was left out of a schema, or weakened (`oneOf`, to `anyOf`). */
export interface Dropped {
  readonly keyword: string;
  /** JSON pointer to it */
  readonly path: string;
}

const MOST_DROPPED = 100;

/**
 * A schema without what cannot be kept, for clients that do not ask for strictness.
 * @throws SettingError `schema` for what is no schema, or one of which too much is left out
 */
export function relaxedSchema(schema: unknown): { schema: unknown; dropped: readonly Dropped[] } {
  const relaxed: unknown = JSON.parse(JSON.stringify(schema));
  const dropped: Dropped[] = [];
  for (;;) {
    try {
      translated(relaxed);
      return { schema: relaxed, dropped };
    } catch (error) {
      if (!(error instanceof SchemaError)) throw error;
      if (dropped.length === MOST_DROPPED) {
        throw new SettingError(
          "schema",
          `more than ${MOST_DROPPED} keywords of it cannot be kept, the last one: ${error.message}`,
        );
      }
      drop(relaxed, error);
      dropped.push({ keyword: error.keyword, path: error.path });
    }
  }
}

function drop(root: unknown, error: SchemaError): void {
  const keys = error.path
    .split("/")
    .slice(1)
    .map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
  const keyword = keys.pop();
  let schema = root;
  for (const key of keys)
    schema = isObject(schema) || Array.isArray(schema) ? (schema as JsonObject)[key] : undefined;
  if (!isObject(schema) || keyword === undefined || !Object.hasOwn(schema, keyword)) throw error;
  const holder = schema as { [key: string]: unknown };
  const options = holder[keyword];
  delete holder[keyword];
  if (keyword !== "oneOf" || !Array.isArray(options)) return;
  if ("anyOf" in holder)
    holder.allOf = [...(Array.isArray(holder.allOf) ? holder.allOf : []), { anyOf: options }];
  else holder.anyOf = options;
}
