import { beforeAll, describe, expect, it } from "vitest";
import { allows, byteGrammars } from "../../../test/support/byte-grammars.ts";
import { TOOLS, WRITERS } from "../../../test/support/format-samples.ts";
import type { LlguidanceGrammars } from "../../grammar/llguidance/grammars.ts";
import type { Format, FormatGrammarOptions } from "./format.ts";
import { FORMATS } from "./registry.ts";

let grammars: LlguidanceGrammars;
beforeAll(async () => {
  grammars = await byteGrammars();
});

const MAY: FormatGrammarOptions = {
  ...{ tools: TOOLS, calls: "may", parallel: true, thinkingOpen: false, answer: null },
};

function allowed(format: Format, text: string, options: Partial<FormatGrammarOptions> = {}): boolean {
  return allows(grammars, { kind: "lark", source: format.grammar({ ...MAY, ...options }) }, text);
}

const ADD = { name: "add", args: { a: 3, s: "one, two" } };
const NOW = { name: "now", args: {} };
const FILE = { name: "read.file", args: { path: "a b" } };

describe.each(
  FORMATS.map((format) => [format.name, format] as const),
)("the grammar of %s", (name, format) => {
  const writer = WRITERS[name]!;
  const said = (text: string) => (writer.text ?? ((plain: string) => plain))(text);
  const ends = (text: string) => text.replace(/<\|(?:call|return)\|>$/, "");
  const calls = (...all: { name: string; args: Record<string, unknown> }[]) => ends(writer.calls(all));

  it("has calls as they are to be, and nothing beside them where one has to be", () => {
    for (const all of [[ADD], [NOW], [FILE], [ADD, NOW]]) {
      if (all.length > 1 && name === "gpt-oss") continue;
      expect([all, allowed(format, calls(...all), { calls: "must" })]).toEqual([all, true]);
      expect(allowed(format, calls(...all))).toBe(true);
    }
    const one = { calls: "must", parallel: false } as const;
    expect(allowed(format, calls(ADD), one)).toBe(true);
    expect(allowed(format, calls(ADD, NOW), one)).toBe(false);
    expect(allowed(format, ends(said("No.")), one)).toBe(false);
  });

  it("lets a tool without a schema take anything", () => {
    const tools = [{ name: "add" }];
    for (const args of [{}, { a: 3 }, { a: 3, s: "x" }]) {
      const text = calls({ name: "add", args });
      expect([text, allowed(format, text, { tools, calls: "must" })]).toEqual([text, true]);
    }
  });

  it.each([
    ["another tool", { name: "sub", args: {} }],
    ["a parameter that there is not", { name: "add", args: { b: 3, s: "x" } }],
    ["a value of another type", { name: "add", args: { a: "x", s: "x" } }],
    ["a parameter missing", { name: "add", args: { a: 3 } }],
  ])("has no calls of %s", (_, call) => {
    expect(allowed(format, calls(call))).toBe(false);
    expect(allowed(format, calls(call), { calls: "must" })).toBe(false);
  });

  it("leaves text free, or keeps it to an answer's grammar", () => {
    for (const text of ["", "Two < three {and} [four].\n"])
      expect(allowed(format, ends(said(text)))).toBe(true);
    const answer = 'answer: "yes" | "no"';
    expect(allowed(format, ends(said("yes")), { answer })).toBe(true);
    expect(allowed(format, ends(said("maybe")), { answer })).toBe(false);
    expect(allowed(format, calls(ADD), { answer })).toBe(true);
    expect(allowed(format, ends(said("yes")), { answer, tools: [] })).toBe(true);
  });

  it("begins after the thought, which may hold anything", () => {
    if (!writer.thought) return;
    const thought = writer.thought(`I may write ${calls({ name: "sub", args: {} }).slice(0, 9)} here.`);
    const bad = calls({ name: "sub", args: {} });
    expect(allowed(format, thought + calls(ADD), { calls: "must" })).toBe(true);
    expect(allowed(format, thought + ends(said("Five.")))).toBe(true);
    expect(allowed(format, thought + bad)).toBe(false);
    if (writer.opens === undefined) return;
    const rest = thought.slice(writer.opens.length);
    expect(allowed(format, rest + calls(ADD), { thinkingOpen: true })).toBe(true);
    expect(allowed(format, rest + bad, { thinkingOpen: true })).toBe(false);
  });
});

describe("an answer in JSON beside tools", () => {
  const schemas = {
    "any object": { type: "object" },
    "an object that has a name too": {
      type: "object",
      properties: { name: { type: "string" }, nice: { type: "number" } },
      required: ["name"],
    },
    "a closed object": {
      type: "object",
      properties: { nice: { type: "number" } },
      required: ["nice"],
      additionalProperties: false,
    },
  };
  const answers = {
    "any object": ['{"nice": 1}', '{"name": "add"}', "{}", '{"name": 3, "a": 1}', '{"": 1}'],
    "an object that has a name too": ['{"name": "add", "nice": 3}', '{"name": "b"}'],
    "a closed object": ['{"nice": 1}'],
  };
  const kinds = Object.keys(schemas) as (keyof typeof schemas)[];

  it.each(
    FORMATS.map((format) => [format.name, format] as const),
  )("is any that it may be: %s", (name, format) => {
    const writer = WRITERS[name]!;
    const said = (text: string) => (writer.text ?? ((plain: string) => plain))(text);
    const ends = (text: string) => text.replace(/<\|(?:call|return)\|>$/, "");
    for (const kind of kinds) {
      const answer = `answer: %json ${JSON.stringify(schemas[kind])}`;
      for (const text of answers[kind])
        expect([kind, text, allowed(format, ends(said(text)), { answer })]).toEqual([kind, text, true]);
      const bad = ends(said('{"nice": "x", "name": 3}'));
      if (kind !== "any object") expect([kind, allowed(format, bad, { answer })]).toEqual([kind, false]);
      for (const call of [ADD, NOW])
        expect([kind, allowed(format, ends(writer.calls([call])), { answer })]).toEqual([kind, true]);
    }
    const answer = `answer: %json ${JSON.stringify(schemas["a closed object"])}`;
    const wrong = ends(writer.calls([{ name: "add", args: { a: "x" } }]));
    expect(allowed(format, wrong, { answer })).toBe(false);
  });
});
