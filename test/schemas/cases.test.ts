import { describe, expect, it } from "vitest";
import { SettingError } from "../../src/util/errors.ts";
import { byteGrammars } from "../support/byte-grammars.ts";
import { accepted as acceptedOf } from "./bytes.ts";

/** Schemas that other servers got wrong, and the kinds behind them: the texts that are valid and those that are not. */

const grammars = await byteGrammars();

const accepted = (schema: unknown, texts: readonly string[]) => acceptedOf(grammars, schema, texts);

/** A name of at most 12 characters, and an age. */
function person(age: object): object {
  const name = { type: "string", maxLength: 12 };
  return {
    type: "object",
    required: ["name", "age"],
    additionalProperties: false,
    properties: { name, age },
  };
}

const bea = (age: string) => `{"name": "Bea", "age": ${age}}`;

/** An object with nothing but one property. */
function only(name: string, schema: object): object {
  return { type: "object", required: [name], additionalProperties: false, properties: { [name]: schema } };
}

const a = (text: string) => `{"a": ${JSON.stringify(text)}}`;

type Case = readonly [string, object, readonly string[], readonly string[]];

const NUMBERS: readonly Case[] = [
  [
    "18 to 120",
    person({ type: "integer", minimum: 18, maximum: 120 }),
    ["18", "99", "100", "120"].map(bea),
    ["17", "121", "125", "1200", "1", "-18", "018", "18.5"].map(bea),
  ],
  [
    "18 to 150",
    person({ type: "integer", minimum: 18, maximum: 150 }),
    ["18", "149", "150"].map(bea),
    ["151", "155", "17", "1500"].map(bea),
  ],
  [
    "at least 5",
    person({ type: "integer", minimum: 5 }),
    ["5", "10", "123456"].map(bea),
    ["3", "4", "-5", "0"].map(bea),
  ],
  [
    "at least 0, not whole",
    person({ type: "number", minimum: 0 }),
    ["0", "0.5", "22"].map(bea),
    ["-0.5", "-1", ".5"].map(bea),
  ],
  [
    "0 to 1",
    person({ type: "number", minimum: 0, maximum: 1 }),
    ["0", "0.25", "1", "1.0"].map(bea),
    ["1.9", "1.01", "2", "-0.1"].map(bea),
  ],
  [
    "multiples of 5",
    person({ type: "integer", multipleOf: 5 }),
    ["0", "5", "20", "-15"].map(bea),
    ["22", "1", "51"].map(bea),
  ],
  ["below 0", { type: "integer", exclusiveMaximum: 0 }, ["-1", "-30"], ["0", "-0", "1"]],
  ["across 0", { type: "integer", minimum: -12, maximum: 7 }, ["-12", "-9", "0", "7"], ["-13", "8", "-20"]],
  [
    "the safe integers",
    { type: "integer", minimum: -9007199254740991, maximum: 9007199254740991 },
    ["9007199254740991", "-9007199254740991"],
    ["9007199254740992", "-9007199254740992"],
  ],
  ["constants", { enum: [1.5, -2, 0] }, ["1.5", "-2", "0"], ["1", "2", "-1.5"]],
];

const STRINGS: readonly Case[] = [
  [
    "one of two words",
    only("a", { type: "string", pattern: "^yes$|^no$" }),
    ["yes", "no"].map(a),
    ["yesno", "no ", "", "y", "yes$|^no"].map(a),
  ],
  [
    "a bound for each alternative",
    { pattern: "^a|b$", type: "string" },
    ['"axx"', '"xxb"'],
    ['"xa"', '"bx"'],
  ],
  [
    "pattern and length",
    only("a", { type: "string", pattern: "^[a-z]+$", maxLength: 2 }),
    ["x", "xy"].map(a),
    ["", "xyz", "X", "1"].map(a),
  ],
  [
    "quotes",
    only("a", { type: "string", pattern: '^"x"$' }),
    [a('"x"')],
    ["x", '"x', 'x"', '\\"x\\"'].map(a),
  ],
  [
    "a line end",
    only("a", { type: "string", pattern: "^a[\\n]b$" }),
    [a("a\nb")],
    ["ab", "anb", "a b", "a\\nb"].map(a),
  ],
  ["anywhere", { type: "string", pattern: "b+" }, ['"b"', '"abbc"', '"\\nb"'], ['"a"', '""']],
  ["letters past ASCII", { type: "string", pattern: "^[é-ü🐸]+$" }, ['"é"', '"ö🐸"'], ['"e"', '"🐹"', '""']],
  ["ASCII's word characters", { type: "string", pattern: "^\\w\\d$" }, ['"a1"', '"_9"'], ['"é1"', '"a٣"']],
  ["classes by name", { type: "string", pattern: "^\\p{Lu}\\p{L}*$" }, ['"Élan"', '"Ω"'], ['"élan"', '"1"']],
  [
    "control characters",
    { type: "string", pattern: "^[\\x02-\\x1f]$" },
    ['"\\u0002"', '"\\n"'],
    ['"a"', '"\\""', '"\\\\"'],
  ],
  [
    "length in characters",
    { type: "string", minLength: 2, maxLength: 2 },
    ['"ab"', '"🐸🐸"', '"\\n\\""', '"\\\\\\t"'],
    ['"🐸"', '"\\n"', '"abc"', '"\\\\"'],
  ],
  ["dates", { type: "string", format: "date" }, ['"2024-02-29"'], ['"2024-13-01"', '"2024-2-9"', '"today"']],
];

const OBJECTS: readonly Case[] = [
  [
    "a backslash in a name",
    only("a\\b", { type: "null" }),
    ['{"a\\\\b": null}'],
    ['{"a\\b": null}', '{"ab": null}'],
  ],
  [
    "a line end in a name",
    only("a\nb", { type: "null" }),
    ['{"a\\nb": null}'],
    ['{"a\nb": null}', '{"anb": null}', '{"a\\u000ab": null}'],
  ],
  ["a quote in a name", only('a"b', { type: "null" }), ['{"a\\"b": null}'], ['{"a"b": null}']],
  [
    "names past ASCII",
    only("é🐸", { type: "null" }),
    ['{"é🐸": null}'],
    ['{"é": null}', '{"\\u00e9🐸": null}'],
  ],
  [
    "__proto__",
    JSON.parse(
      '{"type": "object", "required": ["__proto__"], "properties": {"__proto__": {"type": "null"}}}',
    ) as object,
    ['{"__proto__": null}'],
    ['{"__proto__": 1}', "{}"],
  ],
  [
    "allOf with properties each",
    {
      allOf: [
        { type: "object", properties: { name: { type: "string" } }, required: ["name"] },
        { type: "object", properties: { years: { type: "integer" } }, required: ["years"] },
      ],
    },
    ['{"name": "Bea", "years": 22}', '{"name": "Bea", "years": 22, "more": 1}'],
    ['{"name": "Bea"}', '{"years": 22}', '{"name": 1, "years": 22}', '{"name": "Bea", "years": "x"}'],
  ],
  [
    "anyOf beside properties",
    {
      type: "object",
      properties: { kind: { const: "person" } },
      required: ["kind"],
      anyOf: [
        { properties: { age: { type: "integer" } }, required: ["age"] },
        { properties: { name: { type: "string" } }, required: ["name"] },
      ],
    },
    ['{"kind": "person", "age": 22}', '{"kind": "person", "name": "Bea"}'],
    ['{"kind": "person"}', '{"age": 22}', '{"kind": "dog", "age": 22}', '{"kind": "person", "age": "x"}'],
  ],
];

const REFERENCES: readonly Case[] = [
  [
    "a slash in a pointer",
    { $ref: "#/$defs/a~1b", $defs: { "a/b": { type: "null" }, a: { b: {} } } },
    ["null"],
    ["1"],
  ],
  ["a tilde in a pointer", { $ref: "#/$defs/a~01b", $defs: { "a~1b": { type: "null" } } }, ["null"], ["1"]],
  [
    "a pointer with percent signs",
    { $ref: "#/$defs/a%25b%22%20c", $defs: { 'a%b" c': { type: "null" } } },
    ["null"],
    ["1"],
  ],
  [
    "an index",
    { properties: { a: { $ref: "#/anyOf/1" } }, anyOf: [{ type: "null" }, { type: "object" }] },
    ["null", '{"a": {}}'],
    ['{"a": null}'],
  ],
  [
    "the root",
    { type: "object", properties: { a: { $ref: "#" } }, additionalProperties: false },
    ["{}", '{"a": {"a": {}}}'],
    ['{"a": 1}', '{"b": {}}'],
  ],
  ["an anchor", { $ref: "#here", $defs: { a: { $anchor: "here", type: "null" } } }, ["null"], ["1"]],
  [
    "siblings",
    { $ref: "#/$defs/a", maxLength: 2, $defs: { a: { type: "string" } } },
    ['"ab"'],
    ['"abc"', "1"],
  ],
  [
    "siblings in draft-07",
    {
      $schema: "http://json-schema.org/draft-07/schema#",
      properties: { a: { $ref: "#/definitions/s", maxLength: 1 } },
      definitions: { s: { type: "string" } },
    },
    ['{"a": "abc"}'],
    ['{"a": 1}'],
  ],
];

describe.each([
  ["numbers", NUMBERS],
  ["strings", STRINGS],
  ["objects", OBJECTS],
  ["references", REFERENCES],
] as const)("%s", (_, cases) => {
  it.each(cases)("%s", (__, schema, valid, invalid) => {
    expect(accepted(schema, [...valid, ...invalid])).toEqual(valid);
  });
});

describe("schemas that no answer can come of", () => {
  it.each([
    [
      "references in a circle",
      { $ref: "#/$defs/a", $defs: { a: { $ref: "#/$defs/b" }, b: { $ref: "#/$defs/a" } } },
      /\$ref at #\/\$ref .*back to itself/,
    ],
    [
      "a circle behind anyOf",
      { $defs: { a: { anyOf: [{ $ref: "#/$defs/a" }] } }, items: { $ref: "#/$defs/a" } },
      /\$ref at .*back to itself/,
    ],
  ])("%s", (_, schema, message) => {
    expect(() => accepted(schema, [])).toThrow(SettingError);
    expect(() => accepted(schema, [])).toThrow(message);
  });

  it("a pattern that would cost too much", () => {
    const schema = only("a", { type: "string", pattern: "^(([a-z]{1,1000}){1,1000}){1,1000}$" });
    const from = performance.now();
    expect(() => accepted(schema, [])).toThrow(/pattern at #\/properties\/a\/pattern .*repeats repetitions/);
    expect(performance.now() - from).toBeLessThan(1000);
    const long = { type: "string", pattern: "^([a-z]{1,63}[.]){1,100}x{0,20000}$" };
    expect(accepted(long, ['"abc.de.x"', '"abc"'])).toEqual(['"abc.de.x"']);
  });
});
