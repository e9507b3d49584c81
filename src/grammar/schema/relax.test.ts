import { describe, expect, it } from "vitest";
import { accepted as acceptedOf } from "../../../test/schemas/bytes.ts";
import { byteGrammars } from "../../../test/support/byte-grammars.ts";
import { relaxedSchema } from "./relax.ts";

const grammars = await byteGrammars();

const accepted = (schema: unknown, texts: readonly string[]) => acceptedOf(grammars, schema, texts);

describe("a relaxed schema", () => {
  it("is the schema itself where all of it can be kept", () => {
    const schema = { type: "object", properties: { a: { oneOf: [{ const: 1 }, { const: 2 }] } } };
    expect(relaxedSchema(schema)).toEqual({ schema, dropped: [] });
  });

  it("lacks what cannot be kept, and says so", () => {
    const schema = {
      type: "object",
      properties: {
        a: { type: "array", uniqueItems: true, items: { type: "integer" } },
        b: { format: "iri", maxLength: 2 },
      },
      not: { minProperties: 2 },
    };
    const { schema: relaxed, dropped } = relaxedSchema(schema);
    expect(dropped.map(({ path }) => path).sort()).toEqual([
      "#/not",
      "#/properties/a/uniqueItems",
      "#/properties/b/format",
    ]);
    expect(dropped.map(({ keyword }) => keyword).sort()).toEqual(["format", "not", "uniqueItems"]);
    const texts = ['{"a": [1, 1], "b": "x y"}'.replace("x y", "xy"), '{"a": ["x"]}', '{"b": "abc"}'];
    expect(accepted(relaxed, texts)).toEqual([texts[0]]);
    expect(schema.properties.a.uniqueItems).toBe(true);
  });

  it("has anyOf for a oneOf that may overlap", () => {
    const { schema, dropped } = relaxedSchema({
      oneOf: [{ type: "integer" }, { type: "number", minimum: 2 }],
    });
    expect(dropped).toEqual([{ keyword: "oneOf", path: "#/oneOf" }]);
    expect(accepted(schema, ["1", "3", "2.5", "1.5"])).toEqual(["1", "3", "2.5"]);
  });

  it("never asks for more than the schema: neither by conditions nor by names that are listed no more", () => {
    const closed = { patternProperties: { "^(?=x)": { type: "null" } }, additionalProperties: false };
    const { schema, dropped } = relaxedSchema(closed);
    expect(dropped.map(({ keyword }) => keyword)).toEqual(["patternProperties", "additionalProperties"]);
    expect(accepted(schema, ['{"x": null}'])).toHaveLength(1);
    const condition = {
      if: { properties: { a: { pattern: "(?=x)" } }, required: ["a"] },
      else: { type: "null" },
    };
    expect(relaxedSchema(condition).dropped).toEqual([{ keyword: "if", path: "#/if" }]);
  });

  it("is none of what is no schema", () => {
    expect(() => relaxedSchema(5)).toThrow(/a schema is an object/);
    expect(() => relaxedSchema({ items: 5 })).toThrow(/a schema is an object/);
  });
});
