import { describe, expect, it } from "vitest";
import { isText, parametersOf, valueText } from "./schema-types.ts";

describe("bare values", () => {
  it.each([
    [{ type: "string" }, "5", '"5"'],
    [{ type: "integer" }, " 5 ", "5"],
    [{ type: "integer" }, "five", '"five"'],
    [{ type: ["string", "null"] }, "null", "null"],
    [{ type: ["string", "null"] }, "5", '"5"'],
    [{ anyOf: [{ type: "string" }, { type: "object" }] }, '{"a": 1}', '{"a": 1}'],
    [{ anyOf: [{ type: "string" }, {}] }, "5", "5"],
    [{ enum: ["1", "2"] }, "1", '"1"'],
    [{ enum: ["a", 2] }, "2", "2"],
    [{ const: "3" }, "3", '"3"'],
    [{ type: "boolean" }, "True", "true"],
    [{ type: ["null", "string"] }, "None", "null"],
    [{ type: "number" }, "3", "3"],
    [undefined, "[1, 2]", "[1, 2]"],
    [undefined, "two words", '"two words"'],
    [undefined, "True", '"True"'],
  ])("are what the schema %j says: %s", (schema, text, json) => {
    expect(valueText(text, schema)).toBe(json);
  });

  it("are strings where nothing else may be", () => {
    expect([
      isText({ type: "string" }),
      isText({ enum: ["a"] }),
      isText({}),
      isText({ type: ["string"] }),
    ]).toEqual([...[true, true, false, true]]);
  });

  it("belong to parameters in the schema's order; a schema that is none names none", () => {
    const parameters = { properties: { b: { type: "string" }, a: true }, required: ["a"] };
    expect(parametersOf({ name: "f", parameters })).toEqual([
      { name: "b", schema: { type: "string" }, required: false },
      { name: "a", schema: {}, required: true },
    ]);
    expect([parametersOf(undefined), parametersOf({ name: "f", parameters: [] })]).toEqual([[], []]);
  });
});
