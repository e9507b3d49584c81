import type { Place } from "./document.ts";
import { SchemaError } from "./error.ts";
import { dictionary, isObject, type JsonObject, own, type Plain, type PlainSchema } from "./json.ts";
import type { Reader } from "./reader.ts";
import { checkName, countOf, patternOf, unevaluated } from "./values.ts";

/** Ways to say that one of these has to be there, or that one asks for another. */
const MOST_WAYS = 16;
const MOST_DEPENDENCIES = 4;
/** Of one object: more of them take llguidance longer than 50 ms. */
const MOST_NAMES = 500;
/** What counts of properties say nothing of. */
const NO_OBJECT: PlainSchema = { type: ["null", "boolean", "number", "string", "array"] };

/** @returns what has to hold beside `plain`. */
export function objectKeywords(place: Place, plain: Plain, reader: Reader): PlainSchema[] {
  const schema = place.schema as JsonObject;
  const { path } = place;
  if ("properties" in schema) plain.properties = schemas(place, "properties", (name) => name, reader);
  if ("patternProperties" in schema) {
    const ofPattern = (pattern: string) => patternOf(pattern, "patternProperties", path);
    plain.patternProperties = schemas(place, "patternProperties", ofPattern, reader);
  }
  if ("additionalProperties" in schema)
    plain.additionalProperties = reader.inner(place, "additionalProperties");
  const left = unevaluated(place, "unevaluatedProperties", reader);
  if (left !== undefined) plain.additionalProperties ??= left;
  if ("required" in schema) plain.required = namesOf(schema.required, "required", path);
  propertyNames(place, plain);
  const more = [...counts(schema, path, plain), ...dependencies(place, plain, reader)];
  const hasNames = Object.keys(plain.properties ?? {}).length > 0 || (plain.required ?? []).length > 0;
  const patterns = Object.keys(plain.patternProperties ?? {}).length > 0;
  if (patterns || (hasNames && plain.additionalProperties !== false)) reader.oneSpelling();
  return more;
}

function schemas(
  place: Place,
  keyword: string,
  nameOf: (key: string) => string,
  reader: Reader,
): { [name: string]: PlainSchema } {
  const map = (place.schema as JsonObject)[keyword];
  if (!isObject(map)) throw new SchemaError(keyword, place.path, "it has to be an object of schemas");
  if (Object.keys(map).length > MOST_NAMES)
    throw new SchemaError(keyword, place.path, `it has more than ${MOST_NAMES} names`);
  const result = new Map<string, PlainSchema>();
  for (const key of Object.keys(map)) {
    checkName(key, keyword, place.path);
    const name = nameOf(key);
    const before = result.get(name);
    const schema = reader.inner(place, keyword, key);
    result.set(name, before === undefined ? schema : { allOf: [before, schema] });
  }
  return dictionary(result);
}

function namesOf(value: unknown, keyword: string, path: string): string[] {
  if (!Array.isArray(value) || !value.every((name) => typeof name === "string")) {
    throw new SchemaError(keyword, path, "it has to be a list of names");
  }
  for (const name of value as string[]) checkName(name, keyword, path);
  return [...new Set(value as string[])];
}

/** As `patternProperties` and `additionalProperties`, or as `properties` where the names are few. */
function propertyNames({ schema, path }: Place, plain: Plain): void {
  const names = (schema as JsonObject).propertyNames;
  if (names === undefined || names === true) return;
  const refuse = () => new SchemaError("propertyNames", path, "use patternProperties");
  if (names === false) {
    plain.maxProperties = 0;
    return;
  }
  if (!isObject(names)) throw refuse();
  const { type = "string", title, description, $comment, ...rest } = names;
  if (type !== "string" || plain.patternProperties) throw refuse();
  const keys = Object.keys(rest);
  if (keys.length === 0) return;
  const { properties = {}, additionalProperties = true } = plain;
  const values = "const" in rest ? [rest.const] : rest.enum;
  if (keys.length === 1 && Array.isArray(values)) {
    const allowed = values.filter((name): name is string => typeof name === "string");
    const kept = Object.entries(properties).filter(([name]) => allowed.includes(name));
    const added = allowed.filter((name) => own(properties, name) === undefined);
    plain.properties = dictionary([...kept, ...added.map((name) => [name, additionalProperties] as const)]);
    plain.additionalProperties = false;
    return;
  }
  const isLength = keys.every((key) => key === "minLength" || key === "maxLength");
  if ((!isLength && !(keys.length === 1 && "pattern" in rest)) || Object.keys(properties).length > 0)
    throw refuse();
  const pattern = isLength
    ? `^[\\s\\S]{${countOf(rest, "minLength", path) ?? 0},${countOf(rest, "maxLength", path) ?? ""}}$`
    : rest.pattern;
  plain.patternProperties = dictionary([[patternOf(pattern, "propertyNames", path), additionalProperties]]);
  plain.additionalProperties = false;
}

/**
 * How many properties there are. Beyond the names that are required, only "at least one" and "at most one" can be
 * kept: a name that an object takes beside those it lists may come twice, and is one all the same.
 */
function counts(schema: JsonObject, path: string, plain: Plain): PlainSchema[] {
  const least = countOf(schema, "minProperties", path) ?? 0;
  const most = Math.min(countOf(schema, "maxProperties", path) ?? Infinity, plain.maxProperties ?? Infinity);
  delete plain.maxProperties;
  const { properties = {}, required = [], additionalProperties } = plain;
  const optional = Object.keys(properties).filter(
    (name) => properties[name] !== false && !required.includes(name),
  );
  const isClosed = additionalProperties === false && !plain.patternProperties;
  const all = required.length + optional.length;
  const needed = Math.max(0, least - required.length);
  const more = most - required.length;
  const hasMost = most !== Infinity && !(isClosed && all <= most);
  if (isClosed && least > all) return [NO_OBJECT];
  if (needed > 1 && isClosed && needed === optional.length) {
    plain.required = [...required, ...optional];
    return hasMost ? [NO_OBJECT] : [];
  }
  if (needed > 1) throw new SchemaError("minProperties", path, "it is kept up to one more than is required");
  if (hasMost && more < 0) return [NO_OBJECT];
  const isKept = optional.length === 0 || (isClosed && (!hasMost || more === 1));
  if (hasMost && !isKept) throw new SchemaError("maxProperties", path, "list all properties as required");
  if (hasMost) plain.maxProperties = most;
  if (needed === 0) return [];
  if (isKept) {
    plain.minProperties = least;
    return [];
  }
  if (optional.length >= MOST_WAYS)
    throw new SchemaError("minProperties", path, "there are too many properties");
  const none = dictionary<PlainSchema>(optional.map((name) => [name, false] as const));
  return [
    {
      anyOf: [
        ...optional.map((name) => ({ required: [name] })),
        { properties: none, required, minProperties: least },
      ],
    },
  ];
}

/** A property that asks for others: it is not there, or they are. */
function dependencies(place: Place, plain: Plain, reader: Reader): PlainSchema[] {
  const schema = place.schema as JsonObject;
  const result: PlainSchema[] = [];
  for (const keyword of ["dependentRequired", "dependentSchemas", "dependencies"]) {
    if (!(keyword in schema)) continue;
    const map = schema[keyword];
    if (!isObject(map)) throw new SchemaError(keyword, place.path, "it has to be an object");
    for (const [name, asks] of Object.entries(map)) {
      checkName(name, keyword, place.path);
      const isList = keyword === "dependentRequired" || (keyword === "dependencies" && Array.isArray(asks));
      const asked: PlainSchema = isList
        ? { required: namesOf(asks, keyword, place.path) }
        : reader.inner(place, keyword, name);
      if (plain.required?.includes(name)) result.push(asked);
      else result.push({ anyOf: [{ properties: dictionary<PlainSchema>([[name, false]]) }, asked] });
    }
    if (result.length > MOST_DEPENDENCIES) throw new SchemaError(keyword, place.path, "there are too many");
    reader.oneSpelling();
  }
  return result;
}
