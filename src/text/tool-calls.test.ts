import { describe, expect, it } from "vitest";
import { callsTools, ToolCallParser, type WrittenCall } from "./tool-calls.ts";

function parse(pieces: readonly string[]): { text: string; calls: WrittenCall[] } {
  const parser = new ToolCallParser();
  const parts = [...pieces.map((piece) => parser.push(piece)), parser.end()];
  return { text: parts.map(({ text }) => text).join(""), calls: parts.flatMap(({ calls }) => calls) };
}
const letters = (text: string) => [...text];

const CALL = '<tool_call>\n{"name": "add", "arguments": {"a": 1,  "b": "}</x>"}}\n</tool_call>';

describe("calls of tools", () => {
  it("are told from text, whole or letter by letter, with arguments as they were written", () => {
    const text = `Let me see. ${CALL} and <b>${CALL}`;
    const expected = {
      text: "Let me see.  and <b>",
      calls: [
        { name: "add", arguments: '{"a": 1,  "b": "}</x>"}' },
        { name: "add", arguments: '{"a": 1,  "b": "}</x>"}' },
      ],
    };
    expect(parse([text])).toEqual(expected);
    expect(parse(letters(text))).toEqual(expected);
  });

  it("may lack their end, or arguments, or have them first", () => {
    expect(parse(['<tool_call>{"name": "now"}'])).toEqual({
      text: "",
      calls: [{ name: "now", arguments: "{}" }],
    });
    expect(parse(['<tool_call>{"arguments": {"a": 1}, "name": "f"}</tool_call>']).calls).toEqual([
      { name: "f", arguments: '{"a":1}' },
    ]);
  });

  it.each([
    "<tool_call>no JSON</tool_call>",
    '<tool_call>{"name": 3}</tool_call>',
    "<tool_call>[",
    "a <tool_ca",
  ])("that are none stay text: %s", (text) => {
    expect(parse([text])).toEqual({ text, calls: [] });
    expect(parse(letters(text))).toEqual({ text, calls: [] });
  });

  it("are asked for by templates that name the tag", () => {
    expect(callsTools("... <tool_call> ...")).toBe(true);
    expect([callsTools("{{ messages }}"), callsTools(null)]).toEqual([false, false]);
  });
});
