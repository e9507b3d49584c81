import { SettingError } from "../../util/errors.ts";
import { SchemaError } from "./error.ts";

/** JSON Schema's drafts, as one compares them. */
export type Draft = 4 | 6 | 7 | 2019 | 2020;

const DRAFTS: ReadonlyMap<string, Draft> = new Map([
  ["http://json-schema.org/draft-04/schema", 4],
  ["http://json-schema.org/draft-06/schema", 6],
  ["http://json-schema.org/draft-07/schema", 7],
  ["https://json-schema.org/draft/2019-09/schema", 2019],
  ["https://json-schema.org/draft/2020-12/schema", 2020],
]);

/** The drafts that know a keyword: from the first on, up to the second. */
type Span = readonly [from: Draft, to: Draft];

const span = (from: Draft, to: Draft, ...names: string[]): [string, Span][] =>
  names.map((name) => [name, [from, to]]);

/** Keywords that say which instances are valid. Any other word is an annotation, and says nothing of that. */
const KEYWORDS: ReadonlyMap<string, Span> = new Map([
  ...span(4, 2020, "$ref", "type", "enum", "allOf", "anyOf", "oneOf", "not", "format"),
  ...span(4, 2020, "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
  ...span(4, 2020, "minLength", "maxLength", "pattern", "items", "minItems", "maxItems", "uniqueItems"),
  ...span(4, 2020, "properties", "patternProperties", "additionalProperties", "required"),
  ...span(4, 2020, "minProperties", "maxProperties"),
  ...span(4, 2019, "additionalItems"),
  ...span(4, 7, "dependencies"),
  ...span(6, 2020, "const", "contains", "propertyNames"),
  ...span(7, 2020, "if", "then", "else"),
  ...span(2019, 2020, "minContains", "maxContains", "dependentRequired", "dependentSchemas"),
  ...span(2019, 2020, "unevaluatedItems", "unevaluatedProperties"),
  ...span(2019, 2019, "$recursiveRef"),
  ...span(2020, 2020, "prefixItems", "$dynamicRef"),
]);

/** @throws SettingError for a `$schema` that is none of the drafts' */
export function draftOf(schema: unknown): Draft {
  if (typeof schema !== "object" || schema === null || !("$schema" in schema)) return 2020;
  const name = schema.$schema;
  const draft = typeof name === "string" ? DRAFTS.get(name.replace(/#$/, "")) : undefined;
  if (!draft) {
    throw new SettingError(
      "schema",
      `there is no draft ${JSON.stringify(name)}; use ${[...DRAFTS.keys()].join(" or ")}`,
    );
  }
  return draft;
}

export function isKeyword(name: string): boolean {
  return KEYWORDS.has(name);
}

/** @throws SchemaError for a keyword that the draft does not know: it would say nothing, and was meant to */
export function checkDraft(name: string, draft: Draft, path: string): void {
  const known = KEYWORDS.get(name);
  if (!known || (known[0] <= draft && draft <= known[1])) return;
  // What both spell alike: tuples of the earlier drafts are read in every draft.
  if (name === "additionalItems") return;
  const label = draft >= 2019 ? `${draft}-${draft === 2019 ? "09" : "12"}` : `draft-0${draft}`;
  throw new SchemaError(name, path, `${label} does not have it; name another draft by $schema`);
}
