import { parsedJson } from "../../util/json.ts";
import type { FormatTool } from "./format.ts";

/** What a tool's schema says of its parameters, for families whose values are text that only the schema types. */

export interface Parameter {
  readonly name: string;
  readonly schema: Readonly<Record<string, unknown>>;
  readonly required: boolean;
}

/** In the order of the schema; empty where it names none. */
export function parametersOf(tool: FormatTool | undefined): readonly Parameter[] {
  const schema = asObject(tool?.parameters);
  const required = Array.isArray(schema?.required) ? (schema.required as unknown[]) : [];
  return Object.entries(asObject(schema?.properties) ?? {}).map(([name, given]) => ({
    ...{ name, schema: asObject(given) ?? {}, required: required.includes(name) },
  }));
}

/** Whether a value can be nothing but a string. */
export function isText(schema: Readonly<Record<string, unknown>>): boolean {
  const types = typesOf(schema);
  return types !== null && types.length === 1 && types[0] === "string";
}

/**
 * JSON of a value that was written as bare text.
 * @param schema undefined: not known, and what reads as JSON is JSON
 */
export function valueText(text: string, schema: Readonly<Record<string, unknown>> | undefined): string {
  const types = schema === undefined ? null : typesOf(schema);
  if (schema !== undefined && isText(schema)) return JSON.stringify(text);
  const json = parsedJson(text);
  if (json === undefined) {
    const python = PYTHON.get(text.trim());
    return python !== undefined && types !== null ? python : JSON.stringify(text);
  }
  const textToo = types === null ? typeof json === "string" : types.includes("string");
  return textToo && types !== null && !fits(json, types) ? JSON.stringify(text) : text.trim();
}

/** A map: `constructor` is a key of every object. */
const PYTHON: ReadonlyMap<string, string> = new Map([
  ["True", "true"],
  ["False", "false"],
  ["None", "null"],
]);

/** Types of JSON Schema that a value may have; null: any. */
function typesOf(schema: Readonly<Record<string, unknown>>): readonly string[] | null {
  const { type } = schema;
  if (typeof type === "string") return [type];
  if (Array.isArray(type)) return type.filter((name) => typeof name === "string");
  const options = schema.enum ?? (schema.const === undefined ? undefined : [schema.const]);
  if (Array.isArray(options)) return [...new Set(options.map(typeOf))];
  const parts = schema.anyOf ?? schema.oneOf;
  if (!Array.isArray(parts)) return null;
  const types = parts.map((part) => typesOf(asObject(part) ?? {}));
  return types.includes(null) ? null : [...new Set(types.flatMap((names) => names ?? []))];
}

function fits(value: unknown, types: readonly string[]): boolean {
  const type = typeOf(value);
  return types.includes(type) || (type === "integer" && types.includes("number"));
}

function typeOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return Number.isInteger(value) ? "integer" : typeof value;
}

function asObject(value: unknown): Record<string, unknown> | undefined {
  const object = typeof value === "object" && value !== null && !Array.isArray(value);
  return object ? (value as Record<string, unknown>) : undefined;
}
