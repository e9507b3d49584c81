import { beforeAll, describe, expect, it } from "vitest";
import { allows, byteGrammars } from "../../../test/support/byte-grammars.ts";
import type { LlguidanceGrammars } from "../llguidance/grammars.ts";
import { preparedLark } from "./inline.ts";

let grammars: LlguidanceGrammars;
beforeAll(async () => {
  grammars = await byteGrammars();
});

describe("schemas within a Lark grammar", () => {
  it("are kept as whole schemas are", () => {
    const source = `start: "say " %json { "type": "string", "pattern": "^}{$" } | NOT_ONE
      // %json { this is a comment
      # and %json { this one
      NOT_ONE: "%json {" | /%json \\/ \\{/`;
    const grammar = { kind: "lark", source } as const;
    for (const text of ['say "}{"', "%json {", "%json / {"])
      expect(allows(grammars, grammar, text)).toBe(true);
    for (const text of ['say "x"', "say ", "%json"]) expect(allows(grammars, grammar, text)).toBe(false);
  });

  it("cannot make the library lenient, and are written in one line", () => {
    const schema = { type: "object", properties: { a: {}, b: {} }, additionalProperties: false };
    const lenient = JSON.stringify({ "x-guidance": { lenient: true, whitespace_flexible: true }, ...schema });
    const grammar = { kind: "lark", source: `start: %json ${lenient}` } as const;
    expect(allows(grammars, grammar, '{"a": 1, "b": 2}')).toBe(true);
    expect(allows(grammars, grammar, '{"a":1,"b":2}')).toBe(false);
    expect(() =>
      preparedLark('start: %json {"contains": {"const": 1}, "x-guidance": {"lenient": true}}'),
    ).toThrow(/contains at #\/contains cannot be kept/);
  });

  it.each([
    ['start: %json {"a": ', /does not end/],
    ['start: %json {"type": 3}', /type/],
    [`start: "${"a".repeat(33_000)}"`, /more than 32768 characters/],
    [`start: ${'%json {"const":1} '.repeat(300)}`, /more than 256 schemas/],
    ["start: word\nword[max_tokens=3]: /[a-z]+/", /attribute max_tokens is not supported/],
    ['start: word\nword[capture, stop="x"]: /[a-z]+/', /attribute stop is not supported/],
  ])("that are wrong are refused: %s", (source, message) => {
    expect(() => preparedLark(source)).toThrow(message);
  });
});
