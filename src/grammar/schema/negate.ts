import { valuesOf } from "./disjoint.ts";
import {
  canonical,
  dictionary,
  isObject,
  type JsonObject,
  own,
  type Plain,
  type PlainSchema,
  typeOf,
} from "./json.ts";
import { isKeyword } from "./keywords.ts";

const TYPES = ["null", "boolean", "number", "string", "array", "object"];

/**
 * A schema for what a schema does not allow, among the instances that `beside` allows; null where none is known. Each
 * rule is an equivalence of JSON Schema's own semantics.
 */
export function negation(schema: unknown, beside: Plain): PlainSchema | null {
  if (typeof schema === "boolean") return !schema;
  if (!isObject(schema)) return null;
  const keys = Object.keys(schema).filter(isKeyword);
  const only = (...names: string[]) => keys.length > 0 && keys.every((key) => names.includes(key));
  if (keys.length === 0) return false;
  if (only("not")) return null;
  if (only("type")) return otherTypes(schema.type);
  if (only("const", "type") && "const" in schema && fits(schema.const, schema.type)) {
    return otherValues([schema.const], beside);
  }
  if (only("enum") && Array.isArray(schema.enum)) return otherValues(schema.enum, beside);
  if (only("required", "properties", "type")) return otherObjects(schema, beside);
  if (only("anyOf") && Array.isArray(schema.anyOf)) {
    const none = schema.anyOf.map((option: unknown) => negation(option, beside));
    return none.includes(null) ? null : { allOf: none as PlainSchema[] };
  }
  return null;
}

/** A value's type is among those given, or none is given. */
function fits(value: unknown, types: unknown): boolean {
  if (types === undefined) return true;
  const list: unknown[] = Array.isArray(types) ? types : [types];
  return list.includes(typeOf(value)) || (typeof value === "number" && list.includes("number"));
}

function otherTypes(types: unknown): PlainSchema | null {
  const list: unknown[] = Array.isArray(types) ? types : [types];
  // Numbers that are not whole are of no type's own.
  if (list.some((type) => !TYPES.includes(type as string))) return null;
  const left = TYPES.filter((type) => !list.includes(type));
  return left.length === 0 ? false : { type: left };
}

/** What is left of the few values that there are. */
function otherValues(values: readonly unknown[], beside: Plain): PlainSchema | null {
  const excluded = new Set(values.map(canonical));
  const possible = valuesOf(beside) ?? fewValues(beside.type);
  if (possible) {
    const left = possible.filter((value) => !excluded.has(canonical(value)));
    return left.length === 0 ? false : { enum: left };
  }
  // Values of types that do not come.
  return beside.type && values.every((value) => !fits(value, beside.type)) ? true : null;
}

function fewValues(types: readonly string[] | undefined): readonly unknown[] | null {
  if (!types?.every((type) => type === "null" || type === "boolean")) return null;
  return types.flatMap((type) => (type === "null" ? [null] : [true, false]));
}

/** Not an object with these properties: one is missing, or is another. */
function otherObjects(schema: JsonObject, beside: Plain): PlainSchema | null {
  const { required = [], properties = {} } = schema;
  if (!Array.isArray(required) || !isObject(properties)) return null;
  if (!required.every((name) => typeof name === "string")) return null;
  const types = schema.type;
  if (types !== undefined && types !== "object") return null;
  const ways: PlainSchema[] = required
    .filter((name: string) => !own(properties, name))
    .map((name: string) => ({ properties: dictionary<PlainSchema>([[name, false]]) }));
  for (const [name, wanted] of Object.entries(properties)) {
    const known = beside.properties && own(beside.properties, name);
    const other = negation(wanted, typeof known === "object" ? known : {});
    if (other === null) return null;
    const property = dictionary<PlainSchema>([[name, other]]);
    // Where the schema asks for the property, an object without it is another too.
    if (required.includes(name)) ways.push({ properties: property });
    else ways.push({ type: ["object"], required: [name], properties: property });
  }
  if (types === "object") ways.push({ type: TYPES.filter((type) => type !== "object") });
  if (ways.length === 0) return false;
  const way: PlainSchema = ways.length === 1 ? ways[0]! : { anyOf: ways };
  // A schema without a type takes whatever is no object, which is excluded then.
  return types === "object" ? way : { allOf: [{ type: ["object"] }, way] };
}
