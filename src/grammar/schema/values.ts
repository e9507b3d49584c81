import type { Place } from "./document.ts";
import { PatternError, SchemaError } from "./error.ts";
import { isObject, type JsonObject, type Plain, type PlainSchema, typeOf } from "./json.ts";
import { allWritings, isSafe } from "./numbers.ts";
import { libraryPattern } from "./pattern.ts";
import type { Reader } from "./reader.ts";

/** Keywords of values, numbers, strings and arrays. */

const TYPES = ["null", "boolean", "integer", "number", "string", "array", "object"];
/** What llguidance knows; JSON Schema itself leaves open whether a format is checked. */
const FORMATS = ["date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"];
/** Formats of OpenAPI that say how a number is stored. */
const NUMBER_FORMATS = ["int32", "int64", "float", "double"];
const MOST_VALUE_DEPTH = 50;
/** Of one `enum`: more of them take llguidance longer than 50 ms. */
const MOST_VALUES = 2000;

/** @returns what has to hold beside `plain` */
export function valueKeywords(schema: JsonObject, path: string, plain: Plain, reader: Reader): PlainSchema[] {
  if ("type" in schema) {
    const types: unknown[] = Array.isArray(schema.type) ? schema.type : [schema.type];
    if (types.length === 0 || !types.every((type) => TYPES.includes(type as string))) {
      throw new SchemaError("type", path, `it is one or more of ${TYPES.join(", ")}`);
    }
    plain.type = [...new Set(types as string[])];
  }
  numberKeywords(schema, path, plain, reader);
  if ("const" in schema) {
    checkValue(schema.const, "const", path, reader);
    plain.const = schema.const;
  }
  if ("enum" in schema) {
    if (!Array.isArray(schema.enum)) throw new SchemaError("enum", path, "it has to be a list");
    if (schema.enum.length > MOST_VALUES)
      throw new SchemaError("enum", path, `it has more than ${MOST_VALUES} values`);
    checkValue(schema.enum, "enum", path, reader);
    plain.enum = schema.enum;
  }
  return allWritings(plain);
}

function numberKeywords(schema: JsonObject, path: string, plain: Plain, reader: Reader): void {
  for (const keyword of ["minimum", "maximum", "multipleOf"] as const) {
    const value = schema[keyword];
    if (value === undefined) continue;
    plain[keyword] = numberOf(value, keyword, path);
  }
  for (const [keyword, inclusive] of [
    ["exclusiveMinimum", "minimum"],
    ["exclusiveMaximum", "maximum"],
  ] as const) {
    const value = schema[keyword];
    if (value === undefined) continue;
    if (reader.draft !== 4) plain[keyword] = numberOf(value, keyword, path);
    else if (value === true && plain[inclusive] !== undefined) {
      plain[keyword] = plain[inclusive];
      delete plain[inclusive];
    } else if (typeof value !== "boolean") throw new SchemaError(keyword, path, "draft-04 has true or false");
  }
  reader.numbers.add(plain, path);
}

function numberOf(value: unknown, keyword: string, path: string): number {
  if (typeof value === "number") return value;
  throw new SchemaError(keyword, path, "it has to be a number");
}

/** A count, or undefined where there is none. */
export function countOf(schema: JsonObject, keyword: string, path: string): number | undefined {
  const value = schema[keyword];
  if (value === undefined) return undefined;
  if (Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 31)
    return value as number;
  throw new SchemaError(keyword, path, "it has to be a whole number of at least 0");
}

function checkValue(value: unknown, keyword: string, path: string, reader: Reader, depth = 0): void {
  if (depth > MOST_VALUE_DEPTH) throw new SchemaError(keyword, path, "its value is nested too deep");
  if (typeof value === "number" && !isSafe(value)) {
    throw new SchemaError(keyword, path, `${value} is too large or has too many digits`);
  }
  if (typeof value === "string") checkText(value, keyword, path, reader);
  if (typeof value !== "object" || value === null) return;
  if (isObject(value)) for (const name of Object.keys(value)) checkName(name, keyword, path);
  for (const part of Object.values(value)) checkValue(part, keyword, path, reader, depth + 1);
}

function checkText(text: string, keyword: string, path: string, reader: Reader): void {
  checkName(text, keyword, path);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  if (/[\u0000-\u0007\u000b\u000e-\u001f\u007f]/.test(text)) reader.escapes(keyword, path);
}

export function checkName(name: string, keyword: string, path: string): void {
  if (/\p{Surrogate}/u.test(name)) throw new SchemaError(keyword, path, "it has half a character");
}

export function stringKeywords(schema: JsonObject, path: string, plain: Plain): void {
  for (const keyword of ["minLength", "maxLength"] as const) {
    const count = countOf(schema, keyword, path);
    if (count !== undefined) plain[keyword] = count;
  }
  if ("pattern" in schema) plain.pattern = patternOf(schema.pattern, "pattern", path);
  if (!("format" in schema)) return;
  const { format } = schema;
  if (typeof format !== "string") throw new SchemaError("format", path, "it has to be a string");
  if (NUMBER_FORMATS.includes(format) && !canBeString(plain)) return;
  if (!FORMATS.includes(format)) {
    throw new SchemaError(
      "format",
      path,
      `${JSON.stringify(format)} is not checked; use ${FORMATS.join(", ")}, or none`,
    );
  }
  plain.format = format;
}

function canBeString({ type, enum: values }: Plain): boolean {
  if (type) return type.includes("string");
  return values?.some((value) => typeOf(value) === "string") ?? true;
}

/** @throws SchemaError for one that cannot be kept */
export function patternOf(pattern: unknown, keyword: string, path: string): string {
  if (typeof pattern !== "string") throw new SchemaError(keyword, path, "it has to be a string");
  try {
    return libraryPattern(pattern);
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    throw new SchemaError(keyword, path, `${error.message}: ${JSON.stringify(pattern).slice(0, 100)}`);
  }
}

export function arrayKeywords(place: Place, plain: Plain, reader: Reader): void {
  const { path } = place;
  const schema = place.schema as JsonObject;
  for (const keyword of ["minItems", "maxItems"] as const) {
    const count = countOf(schema, keyword, path);
    if (count !== undefined) plain[keyword] = count;
  }
  const tuple = "prefixItems" in schema ? "prefixItems" : Array.isArray(schema.items) ? "items" : null;
  if (tuple) {
    const list = schema[tuple];
    if (!Array.isArray(list)) throw new SchemaError(tuple, path, "it has to be a list of schemas");
    plain.prefixItems = list.map((_, i) => reader.inner(place, tuple, i));
    const rest = tuple === "items" ? "additionalItems" : "items";
    if (tuple === "prefixItems" && Array.isArray(schema.items))
      throw new SchemaError("items", path, "it has to be a schema");
    if (rest in schema) plain.items = reader.inner(place, rest);
  } else if ("items" in schema) plain.items = reader.inner(place, "items");
  unevaluatedItems(place, plain, reader);
  uniqueItems(schema, path, plain);
  contains(schema, path);
}

function uniqueItems(schema: JsonObject, path: string, plain: Plain): void {
  if (!("uniqueItems" in schema) || schema.uniqueItems === false) return;
  const { prefixItems = [], items, maxItems = Infinity } = plain;
  const most = items === false ? Math.min(maxItems, prefixItems.length) : maxItems;
  if (schema.uniqueItems !== true) throw new SchemaError("uniqueItems", path, "it has to be true or false");
  if (most > 1) throw new SchemaError("uniqueItems", path, "it is kept only for arrays of at most one item");
}

function contains(schema: JsonObject, path: string): void {
  // Without `contains` the counts say nothing.
  if (!("contains" in schema)) return;
  if (schema.minContains === 0 && !("maxContains" in schema)) return;
  throw new SchemaError("contains", path, "use prefixItems or items");
}

const IN_PLACE = [
  "$ref",
  "allOf",
  "anyOf",
  "oneOf",
  "not",
  "if",
  "then",
  "else",
  "dependentSchemas",
  "contains",
];

/** What other keywords leave over, where those of the same schema are all that there are. */
export function unevaluated(place: Place, keyword: string, reader: Reader): PlainSchema | undefined {
  const schema = place.schema as JsonObject;
  if (!(keyword in schema) || schema[keyword] === true) return undefined;
  const other = IN_PLACE.find((name) => name in schema);
  if (other) throw new SchemaError(keyword, place.path, `it is kept only without ${other}`);
  return reader.inner(place, keyword);
}

function unevaluatedItems(place: Place, plain: Plain, reader: Reader): void {
  const left = unevaluated(place, "unevaluatedItems", reader);
  if (left !== undefined) plain.items ??= left;
}
