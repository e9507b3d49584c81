/** JSON values as schemas hold them. */
export type JsonObject = { readonly [key: string]: unknown };

/** A schema in the few keywords that llguidance is given. */
export interface Plain {
  type?: readonly string[];
  const?: unknown;
  enum?: readonly unknown[];
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
  multipleOf?: number;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  format?: string;
  prefixItems?: readonly PlainSchema[];
  items?: PlainSchema;
  minItems?: number;
  maxItems?: number;
  properties?: { [name: string]: PlainSchema };
  patternProperties?: { [pattern: string]: PlainSchema };
  additionalProperties?: PlainSchema;
  required?: readonly string[];
  minProperties?: number;
  maxProperties?: number;
  allOf?: readonly PlainSchema[];
  anyOf?: readonly PlainSchema[];
  $ref?: string;
}

export type PlainSchema = boolean | Plain;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** An object whose names may be any: `__proto__` is one like others. */
export function dictionary<T>(entries: Iterable<readonly [string, T]> = []): { [name: string]: T } {
  return Object.fromEntries(entries);
}

/** The value of a name that an object itself has. */
export function own<T>(object: { readonly [name: string]: T }, name: string): T | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

/** Text that two JSON values share if they are equal: 1 and 1.0 are, and the order of names does not count. */
export function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (!isObject(value)) return JSON.stringify(value === 0 ? 0 : value);
  const names = Object.keys(value).sort();
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join()}}`;
}

/** @returns the type's name, `integer` for whole numbers */
export function typeOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") return Number.isInteger(value) ? "integer" : "number";
  return typeof value;
}
