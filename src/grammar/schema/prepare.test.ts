import { describe, expect, it } from "vitest";
import { accepted as acceptedOf, accepts } from "../../../test/schemas/bytes.ts";
import { byteGrammars, libraryAlone } from "../../../test/support/byte-grammars.ts";
import { SESSION_LIMITS } from "../../decoding/session.ts";
import { SettingError } from "../../util/errors.ts";
import { SchemaError } from "./error.ts";
import { preparedSchema, translated } from "./prepare.ts";

const grammars = await byteGrammars();

const accepted = (schema: unknown, texts: readonly string[]) => acceptedOf(grammars, schema, texts);

function errorOf(source: string): SettingError {
  try {
    preparedSchema(source);
  } catch (error) {
    if (error instanceof SettingError) return error;
    throw error;
  }
  throw new Error("no error");
}

const refusal = (schema: unknown) => errorOf(JSON.stringify(schema)).message;

/** Exact rewrites: a schema, texts that are valid, texts that are not. */
const REWRITES: readonly (readonly [string, unknown, readonly string[], readonly string[]])[] = [
  ["not const beside enum", { enum: [1, 2, "a"], not: { const: 2 } }, ["1", '"a"'], ["2"]],
  ["not enum beside boolean", { type: "boolean", not: { enum: [true] } }, ["false"], ["true"]],
  ["not const of a type that cannot come", { type: "string", not: { const: 1 } }, ['"a"'], ["1"]],
  ["not type", { not: { type: ["string", "object"] } }, ["1", "null", "[]"], ['"a"', "{}"]],
  ["not required", { not: { required: ["x"] } }, ["{}", '{"y": 1}'], ['{"x": 1}', "1"]],
  [
    "not required of several",
    { not: { type: "object", required: ["x", "y"] } },
    ["{}", '{"y": 1}', "1"],
    ['{"x": 1, "y": 2}'],
  ],
  [
    "not an object with a property of some type",
    { not: { type: "object", properties: { a: { type: "string" } } } },
    ['{"a": 1}', "1", "[]"],
    ['{"a": "x"}', "{}"],
  ],
  ["not false", { type: "null", not: false }, ["null"], ["1"]],
  ["propertyNames with a pattern", { propertyNames: { pattern: "^a" } }, ['{"ab": 1}', "1"], ['{"b": 1}']],
  [
    "propertyNames with a length",
    { propertyNames: { maxLength: 2 }, additionalProperties: { type: "null" } },
    ['{"ab": null}', "{}"],
    ['{"abc": null}', '{"a": 1}'],
  ],
  [
    "propertyNames with an enum",
    { propertyNames: { enum: ["a", "b"] }, properties: { a: { type: "null" }, c: true } },
    ['{"a": null}', '{"b": 1}', "{}"],
    ['{"a": 1}', '{"c": 1}', '{"d": 1}'],
  ],
  [
    "dependentRequired",
    { type: "object", properties: { a: true, b: true }, dependentRequired: { a: ["b"] } },
    ["{}", '{"b": 1}', '{"a": 1, "b": 2}', '{"c": 1}'],
    ['{"a": 1}', '{"a": 1, "c": 2}'],
  ],
  [
    "dependencies of draft-07",
    {
      $schema: "http://json-schema.org/draft-07/schema#",
      dependencies: { a: ["b"], c: { required: ["d"] } },
      properties: { a: true, b: true, c: true, d: true },
    },
    ["1", '{"a": 1, "b": 1}', '{"c": 1, "d": 1}'],
    ['{"a": 1}', '{"c": 1}'],
  ],
  [
    "if, then, else by a constant",
    {
      type: "object",
      properties: { kind: { enum: ["a", "b"] }, n: true },
      required: ["kind"],
      if: { properties: { kind: { const: "a" } }, required: ["kind"] },
      // biome-ignore lint/suspicious/noThenProperty: JSON Schema's keyword
      then: { required: ["n"] },
      else: { properties: { n: false } },
    },
    ['{"kind": "a", "n": 1}', '{"kind": "b"}'],
    ['{"kind": "a"}', '{"kind": "b", "n": 1}'],
  ],
  [
    "uniqueItems of at most one",
    { type: "array", uniqueItems: true, maxItems: 1 },
    ["[]", "[1]"],
    ["[1, 1]"],
  ],
  [
    "contains of at least none",
    { type: "array", contains: { type: "null" }, minContains: 0 },
    ["[]", "[1]"],
    ["1"],
  ],
  [
    "unevaluatedProperties",
    { properties: { a: true }, unevaluatedProperties: false },
    ["{}", '{"a": 1}'],
    ['{"b": 1}'],
  ],
  [
    "unevaluatedItems",
    { prefixItems: [{ type: "null" }], unevaluatedItems: { type: "integer" } },
    ["[null, 1]"],
    ['[null, "a"]'],
  ],
  [
    "minProperties beside optional ones",
    { type: "object", properties: { a: true, b: true }, minProperties: 1 },
    ['{"a": 1}', '{"b": 1}', '{"c": 1}'],
    ["{}"],
  ],
  [
    "counts of properties that no object has",
    { properties: { a: true }, additionalProperties: false, minProperties: 2 },
    ["1", "[]"],
    ["{}", '{"a": 1}'],
  ],
  [
    "all properties by their count",
    {
      type: "object",
      properties: { a: true, b: true, c: true },
      additionalProperties: false,
      minProperties: 3,
    },
    ['{"a": 1, "b": 2, "c": 3}'],
    ['{"a": 1, "b": 2}', "{}"],
  ],
  ["oneOf of constants", { oneOf: [{ const: 1 }, { const: 2 }] }, ["1", "2"], ["3"]],
  [
    "oneOf with a tag, by reference",
    {
      oneOf: [{ $ref: "#/$defs/a" }, { $ref: "#/$defs/b" }],
      $defs: {
        a: { type: "object", properties: { kind: { const: "a" } }, required: ["kind"] },
        b: { type: "object", properties: { kind: { const: "b" } }, required: ["kind"] },
      },
    },
    ['{"kind": "a"}', '{"kind": "b"}'],
    ['{"kind": "c"}', "{}"],
  ],
  ["oneOf of ranges", { type: "integer", oneOf: [{ maximum: 3 }, { minimum: 5 }] }, ["3", "5"], ["4"]],
];

describe("keywords that llguidance does not have", () => {
  it.each(REWRITES)("%s", (_, schema, valid, invalid) => {
    expect(accepted(schema, [...valid, ...invalid])).toEqual(valid);
  });
});

/** Faults of llguidance 1.9.1 that a schema must not reach: schema, valid and invalid texts. */
const FAULTS: readonly (readonly [string, unknown, readonly string[], readonly string[]])[] = [
  [
    "a name is spelled with escapes",
    { properties: { a: { type: "integer" } } },
    ['{"a": 1}', '{"b": "x"}'],
    ['{"a": 1, "\\u0061": "x"}', '{"\\u0061": "x"}', '{"a": 1, "a": "x"}'],
  ],
  [
    "a name that fits a pattern is spelled with escapes",
    { patternProperties: { "^a": { type: "integer" } } },
    ['{"ab": 1}', '{"b": "x"}'],
    ['{"\\u0061b": "x"}', '{"a": 1, "a": "x"}'],
  ],
  ["a class without quotes takes one", { pattern: '^[^"]*$', type: "string" }, ['"a\\\\"'], ['"\\""']],
  ["a class without backslashes takes one", { pattern: "^[^\\\\]$", type: "string" }, ['"\\""'], ['"\\\\"']],
  ["\\s is what ECMAScript says", { pattern: "^\\s$", type: "string" }, ['"\ufeff"', '" "'], ['"\u0085"']],
  [". is what ECMAScript says", { pattern: "^.$", type: "string" }, ['"🐸"', '"\\""'], ['"\u2028"', '"\\n"']],
  [
    "what an object's counts leave open",
    { type: "object", required: ["a"], minProperties: 2 },
    ['{"a": 1, "b": 1}'],
    ['{"a": 1}', '{"a": 1, "a": 1}'],
  ],
  [
    "additionalItems before items",
    { $schema: "http://json-schema.org/draft-07/schema#", additionalItems: false, const: [1], items: [{}] },
    ["[1]"],
    ["[1, 2]"],
  ],
];

describe("faults of llguidance", () => {
  it.each(FAULTS)("%s", (_, schema, valid, invalid) => {
    expect(accepted(schema, [...valid, ...invalid])).toEqual(valid);
  });

  it("control: some of them are there without the translation", () => {
    const raw = (schema: unknown, text: string) => {
      const matcher = libraryAlone(grammars, JSON.stringify(schema));
      return accepts(matcher, text);
    };
    expect(raw({ type: "object", properties: { a: { type: "integer" } } }, '{"a":1,"\\u0061":"x"}')).toBe(
      true,
    );
    expect(raw({ type: "string", pattern: '^[^"]*$' }, '"\\""')).toBe(true);
    expect(raw({ type: "string", pattern: "^\\s$" }, '"\u0085"')).toBe(true);
    expect(raw({ type: "object", minProperties: 2 }, '{"a":1,"a":1}')).toBe(true);
    expect(raw({ type: "number", exclusiveMinimum: 0, maximum: 0.5 }, "0")).toBe(true);
  });
});

describe("what cannot be kept is refused with its place", () => {
  it.each([
    [{ properties: { a: { not: { pattern: "x" } } } }, "not at #/properties/a/not"],
    [{ items: { contains: {} } }, "contains at #/items/contains"],
    [
      { $defs: { a: { uniqueItems: true } }, allOf: [{ $ref: "#/$defs/a" }] },
      "uniqueItems at #/$defs/a/uniqueItems",
    ],
    [{ properties: { "a/b~c": { format: "iri" } } }, "format at #/properties/a~1b~0c/format"],
    [{ properties: { a: { type: "string", pattern: "^(?!x)" } } }, "pattern at #/properties/a/pattern"],
    [{ pattern: "(a)\\1" }, "pattern at #/pattern"],
    [{ pattern: "[" }, "pattern at #/pattern"],
    [{ dependencies: { a: ["b"] } }, "dependencies at #/dependencies"],
    [{ properties: { a: { type: "string", nullable: true } } }, "nullable at #/properties/a/nullable"],
    [{ anyOf: [{ $ref: "other.json" }] }, "$ref at #/anyOf/0/$ref"],
    [{ $ref: "#/$defs/a" }, '$ref at #/$ref cannot be kept: there is no "#/$defs/a"'],
    [{ items: { $dynamicRef: "#a" } }, "$dynamicRef at #/items/$dynamicRef"],
    [
      { anyOf: [{ type: "null" }, { $ref: "#" }] },
      "$ref at #/anyOf/1/$ref cannot be kept: it leads back to itself",
    ],
    [{ oneOf: [{ type: "integer" }, { minimum: 2 }] }, "oneOf at #/oneOf"],
    [{ type: "number", exclusiveMinimum: 0, maximum: 0.5 }, "exclusiveMinimum at #/exclusiveMinimum"],
    [{ minProperties: 2 }, "minProperties at #/minProperties"],
    [{ type: "int" }, "type at #/type"],
    [{ minLength: -1 }, "minLength at #/minLength"],
    [{ maximum: 1e300 }, "maximum at #/maximum"],
    [{ multipleOf: 0 }, "multipleOf at #/multipleOf"],
    [{ allOf: [{ multipleOf: 65536 }, { multipleOf: 65537 }] }, "multipleOf at #/allOf/"],
    [{ const: "\ud800" }, "const at #/const"],
    [{ properties: { a: { const: "\u0001" } } }, "const at #/properties/a/const"],
    [{ unevaluatedProperties: false, allOf: [{}] }, "unevaluatedProperties at #/unevaluatedProperties"],
    [
      { $schema: "http://json-schema.org/draft-07/schema#", items: { prefixItems: [] } },
      "prefixItems at #/items/prefixItems",
    ],
    [
      { items: { "x-guidance": { lenient: true }, contains: {} }, "x-guidance": { lenient: true } },
      "contains at #/items/contains",
    ],
  ])("%j", (schema, message) => {
    expect(refusal(schema)).toContain(message);
  });

  it("a number that JSON can spell and JavaScript cannot hold", () => {
    expect(errorOf('{"const": 1e400}').message).toContain("const at #/const");
    expect(errorOf('{"enum": [9007199254740993]}').message).toContain("enum at #/enum");
  });

  it("keyword and path can be read by a program", () => {
    const error = errorOf('{"items": {"contains": true}}');
    expect(error).toBeInstanceOf(SchemaError);
    expect(error).toMatchObject({
      code: "bad_setting",
      setting: "schema",
      keyword: "contains",
      path: "#/items/contains",
    });
  });
});

describe("what is no schema", () => {
  it.each([
    "",
    "{",
    "5",
    "null",
    "[]",
    '"a"',
    '{"items": 5}',
    '{"allOf": []}',
    '{"properties": []}',
  ])("%s", (source) => {
    expect(errorOf(source).setting).toBe("schema");
  });

  it("false fits nothing, true and {} everything", () => {
    expect(errorOf("false").message).toContain("nothing fits");
    expect(errorOf('{"allOf": [true, false]}').message).toContain("nothing fits");
    for (const schema of [true, {}])
      expect(accepted(schema, ["1", '{"a": [null, true]}', "x"])).toHaveLength(2);
  });

  it("a schema 5,000 deep is refused, one of 45 levels is not", () => {
    const nested = (levels: number) => `${'{"items":'.repeat(levels)}{}${"}".repeat(levels)}`;
    for (const levels of [150, 5000, 20_000]) {
      expect(errorOf(nested(levels)).message).toMatch(/nested deeper than 100 levels/);
    }
    const matcher = grammars.matcher({ kind: "json_schema", source: nested(45) });
    expect(accepts(matcher, "[[[1]]]")).toBe(true);
    matcher.close();
  });

  it("a value 5,000 deep, and one that is too long", () => {
    expect(errorOf(`{"const": ${"[".repeat(5000)}${"]".repeat(5000)}}`).message).toContain("nested deeper");
    expect(errorOf(`{"const": ${"[".repeat(120)}${"]".repeat(120)}}`).message).toContain("const at #/const");
    expect(errorOf(`{"title": "${"a".repeat(SESSION_LIMITS.grammarUnits)}"}`).message).toContain(
      "at most 262144",
    );
  });
});

describe("a schema's own options for the library", () => {
  it("never count", () => {
    const schema = {
      "x-guidance": { lenient: true, whitespace_flexible: true },
      type: "object",
      required: ["a"],
    };
    expect(accepted(schema, ['{"a": 1}', '{"a":1}', '{ "a": 1 }', "{}"])).toEqual(['{"a": 1}']);
    const source = preparedSchema(JSON.stringify(schema));
    expect(source).not.toContain("lenient");
  });

  it("unknown words are annotations", () => {
    expect(
      accepted({ type: "null", deprecated: true, "x-order": 3, discriminator: {} }, ["null", "1"]),
    ).toEqual(["null"]);
  });
});

describe("a oneOf of many options", () => {
  const tagged = (count: number) => ({
    oneOf: Array.from({ length: count }, (_, i) => ({
      type: "object",
      properties: { kind: { const: `kind ${i}` }, value: { type: "integer" } },
      required: ["kind"],
    })),
  });

  it("is kept where a property tells them apart, and refused where two have the same", () => {
    expect(() => translated(tagged(400))).not.toThrow();
    const twice = tagged(400);
    twice.oneOf[399]!.properties.kind.const = "kind 7";
    expect(() => translated(twice)).toThrow(/may fit options \d+ and \d+ both/);
    const optional = tagged(400);
    optional.oneOf[3]!.required = [];
    expect(() => translated(optional)).toThrow(/may fit options \d+ and \d+ both/);
  });

  it("is refused where their pairs are too many to be compared", () => {
    const ranges = (count: number) => ({
      type: "integer",
      oneOf: Array.from({ length: count }, (_, i) => ({ minimum: 2 * i, maximum: 2 * i + 1 })),
    });
    expect(() => translated(ranges(30))).not.toThrow();
    expect(() => translated(ranges(400))).toThrow(/use anyOf/);
  });
});
