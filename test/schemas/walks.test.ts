import { Ajv } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, it } from "vitest";
import type { GrammarMatcher } from "../../src/grammar/grammar.ts";
import { inTokenSet } from "../../src/sampling/sampler.ts";
import { SettingError } from "../../src/util/errors.ts";
import { byteGrammars, END } from "../support/byte-grammars.ts";
import { textOf } from "./bytes.ts";

/** Whatever a model says, as far as it may, is valid: random answers under many schemas, judged by Ajv. */

const WALKS = 20;
/** Past this, an answer ends as soon as it may. */
const LONG = 60;
const MOST_TOKENS = 2000;
const SEED = 20_251;
const DRAFT_7 = "http://json-schema.org/draft-07/schema#";

const text = { type: "string", maxLength: 8 };
const SCHEMAS: readonly object[] = [
  { type: "object", properties: { a: { type: "integer" }, b: text }, required: ["a"] },
  { type: "object", properties: { a: { type: "integer" }, b: text }, additionalProperties: false },
  { type: "object", additionalProperties: { type: "boolean" }, minProperties: 1, maxProperties: 3 },
  {
    type: "object",
    patternProperties: { "^a": { type: "null" }, "^b": text },
    additionalProperties: { type: "integer" },
  },
  {
    type: "object",
    properties: { ab: { minimum: 3 } },
    patternProperties: { b$: { type: "integer" } },
    required: ["ab"],
  },
  { type: "array", items: { enum: ["red", "green", 1, null] }, minItems: 2, maxItems: 4 },
  {
    type: "array",
    prefixItems: [{ type: "null" }, { type: "boolean" }],
    items: { type: "integer" },
    minItems: 1,
  },
  { $schema: DRAFT_7, type: "array", items: [{ type: "null" }, text], additionalItems: false },
  { type: "number", minimum: -1.25, maximum: 7.5 },
  { type: "number", exclusiveMinimum: 0, exclusiveMaximum: 10 },
  { type: "integer", exclusiveMinimum: -100, maximum: 1000, multipleOf: 7 },
  { type: ["integer", "null"], minimum: 12 },
  { type: "string", minLength: 2, maxLength: 5 },
  { type: "string", pattern: '^[^"]{1,6}$' },
  { type: "string", pattern: "^(\\w+|\\S\\s)$", maxLength: 6 },
  { type: "string", pattern: "^a|b$|c.d", maxLength: 6 },
  { type: "string", pattern: "^[^\\\\a-z]+$", maxLength: 5 },
  { anyOf: [{ type: "boolean" }, { type: "null" }, { enum: ["maybe", { x: [1] }] }] },
  {
    oneOf: [
      { type: "object", properties: { k: { const: "a" } }, required: ["k"], additionalProperties: false },
      { type: "array", maxItems: 1 },
    ],
  },
  {
    type: "object",
    properties: { k: { enum: ["a", "b"] }, n: { type: "integer" } },
    required: ["k"],
    additionalProperties: false,
    if: { properties: { k: { const: "a" } } },
    // biome-ignore lint/suspicious/noThenProperty: JSON Schema's keyword
    then: { required: ["n"] },
  },
  {
    type: "object",
    properties: { a: { type: "null" }, b: { type: "null" }, c: { type: "null" } },
    dependentRequired: { a: ["b"] },
    additionalProperties: false,
  },
  {
    type: "object",
    properties: { a: { type: "null" }, b: { type: "null" } },
    minProperties: 1,
    maxProperties: 1,
    additionalProperties: false,
  },
  { type: "object", propertyNames: { enum: ["x", "y"] }, additionalProperties: { type: "integer" } },
  {
    type: "object",
    propertyNames: { pattern: "^[a-c]{1,3}$" },
    additionalProperties: { type: "null" },
    maxProperties: 3,
  },
  {
    type: "object",
    allOf: [
      { properties: { a: { minimum: 2 } }, required: ["a"] },
      { properties: { a: { type: "integer", maximum: 5 } } },
    ],
  },
  {
    type: "object",
    properties: { kind: { const: "p" } },
    required: ["kind"],
    anyOf: [
      { required: ["age"], properties: { age: { type: "integer" } } },
      { required: ["name"], properties: { name: text } },
    ],
  },
  {
    $ref: "#/$defs/tree",
    $defs: {
      tree: {
        type: "object",
        properties: { v: { type: "integer" }, next: { anyOf: [{ type: "null" }, { $ref: "#/$defs/tree" }] } },
        required: ["v", "next"],
        additionalProperties: false,
      },
    },
  },
  { properties: { a: { type: "string", maxLength: 3 } }, minLength: 2, minimum: 5, maxItems: 2 },
  { type: "object", properties: { a: true, b: true }, not: { required: ["a"] }, minProperties: 1 },
  { enum: [0, -1.5, 'é\n"', [1, { a: null }], true] },
  {
    type: "object",
    properties: { 'q"': { type: "null" }, "n\n": { type: "null" } },
    required: ["n\n"],
    additionalProperties: { type: "integer" },
  },
  {
    type: "object",
    properties: { a: { type: "integer", maximum: 99 } },
    unevaluatedProperties: false,
    required: ["a"],
  },
];

const grammars = await byteGrammars();

describe("random answers under a schema", () => {
  const random = generator(SEED);

  it.each(SCHEMAS)("%j", (schema) => {
    const isValid = validator(schema);
    const texts = walks(grammars.matcher({ kind: "json_schema", source: JSON.stringify(schema) }), random);
    expect(texts.length).toBeGreaterThan(WALKS / 2);
    for (const one of texts) {
      if (!isValid(JSON.parse(one))) expect.fail(`${one}: ${JSON.stringify(isValid.errors)}`);
    }
  });

  it("control: schemas without half of their keywords give answers that are invalid", () => {
    let broken = 0;
    for (const schema of SCHEMAS) {
      const isValid = validator(schema);
      const less = Object.fromEntries(
        Object.entries(schema).filter(([key], i) => i % 2 === 0 || key === "$defs"),
      );
      try {
        const texts = walks(grammars.matcher({ kind: "json_schema", source: JSON.stringify(less) }), random);
        if (texts.some((one) => !isValid(JSON.parse(one)))) broken++;
      } catch (error) {
        if (!(error instanceof SettingError)) throw error;
      }
    }
    expect(broken).toBeGreaterThan(SCHEMAS.length / 4);
  });
});

function validator(schema: object) {
  // A number such as 1e999 is one in JSON, and none that JavaScript has.
  const options = { strict: false, strictNumbers: false, validateFormats: false } as const;
  return ("$schema" in schema ? new Ajv(options) : new Ajv2020(options)).compile(schema);
}

/** Texts of whole answers; those that do not come to an end are left out. */
function walks(matcher: GrammarMatcher, random: () => number): string[] {
  const texts: string[] = [];
  for (let i = 0; i < WALKS; i++) {
    const tokens = walk(matcher, random);
    if (tokens) texts.push(textOf(tokens));
  }
  matcher.close();
  return texts;
}

function walk(matcher: GrammarMatcher, random: () => number): number[] | null {
  const tokens: number[] = [];
  while (tokens.length < MOST_TOKENS) {
    const set = matcher.allowed(tokens, 0, tokens.length);
    if (!set) throw new Error(`what was allowed is not: ${tokens.join()}`);
    const choices = Array.from({ length: set.length * 32 }, (_, token) => token).filter((token) =>
      inTokenSet(set, token),
    );
    if (choices.length === 0) throw new Error(`nothing may follow ${textOf(tokens)}`);
    if (inTokenSet(set, END) && (choices.length === 1 || tokens.length > LONG || random() < 0.2))
      return tokens;
    const others = choices.filter((token) => token !== END);
    // What closes strings, lists and objects, so that answers end.
    const closing = others.filter((token) => ['"', "]", "}"].includes(String.fromCharCode(token - 2)));
    const from = closing.length > 0 && random() < (tokens.length > LONG ? 0.9 : 0.2) ? closing : others;
    tokens.push(from[Math.floor(random() * from.length)]!);
  }
  return null;
}

function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}
