import { describe, expect, it } from "vitest";
import { type Split, splitOf, TOOLS } from "../../../test/support/format-samples.ts";
import type { FormatTool } from "./format.ts";
import { FORMATS } from "./registry.ts";

/** What is particular to a family, and what models get wrong. */

function read(
  name: string,
  text: string,
  more: { tools?: readonly FormatTool[]; cut?: boolean } = {},
): Split {
  const { tools = TOOLS, cut = false } = more;
  const format = FORMATS.find((format) => format.name === name)!;
  const split = (pieces: readonly string[]) => {
    const reader = format.reader({ thinkingOpen: false, tools });
    return splitOf([...pieces.flatMap((piece) => reader.push(piece)), ...reader.end(cut)]);
  };
  const whole = split([text]);
  expect(split([...text])).toEqual(whole);
  return whole;
}

const call = (name: string, args: string, id: string | null = null) => ({ name, id, args });
const text = (text: string): Split => ({ text, reasoning: "", calls: [] });

describe("what looks like a call and is none", () => {
  it.each([
    ["hermes", "<tool_call>no JSON</tool_call> and more"],
    ["hermes", '<tool_call>{"name": 3}</tool_call>'],
    ["hermes", "<tool_call>["],
    ["hermes", "a <tool_ca"],
    ["qwen3-coder", "<tool_call>add</tool_call>"],
    ["qwen3-coder", "write <function=main> here"],
    ["llama-3", '{"answer": {"name": "add"}}'],
    ["llama-3", '{"name": "Bob", "parameters": {}}'],
    ["llama-3", "[1] and [add] are not add(1)"],
    ["llama-3", "<|python_tag|>print(1)"],
    ["functionary-3.2", "all\n>>> f(x)\n>>> g(x)\n1"],
    ["firefunction-2", "the module functools has partial"],
    ["lfm2", "<|tool_call_start|>nothing<|tool_call_end|>"],
    ["mistral-nemo", "[TOOL_CALLS] is a token"],
  ])("is text: %s %s", (name, given) => {
    expect(read(name, given)).toEqual(text(given.replace(/^all\n/, "")));
  });
});

describe("calls that models write in other ways", () => {
  it.each([
    ["without their end", "hermes", '<tool_call>{"name": "now"}', call("now", "{}")],
    [
      "the name last",
      "hermes",
      '<tool_call>{"arguments": {"a": 1}, "name": "add"}</tool_call>',
      call("add", '{"a": 1}'),
    ],
    [
      "arguments as text",
      "hermes",
      '<tool_call>{"name": "add", "arguments": "{\\"a\\": 1}"}',
      call("add", '{"a": 1}'),
    ],
    [
      "a brace short",
      "hermes",
      '<tool_call>{"name": "add", "arguments": {"a": [1',
      call("add", '{"a": [1]}'),
    ],
    [
      "within `function`",
      "hermes",
      '<tool_call>{"type": "function", "function": {"name": "add", "arguments": {"a": 1}}}</tool_call>',
      call("add", '{"a":1}'),
    ],
    [
      "as written, spaces too",
      "hermes",
      '<tool_call>{"name": "add", "arguments": {"a":1,  "s":"}</x>"}}',
      call("add", '{"a":1,  "s":"}</x>"}'),
    ],
    ["without the outer tag", "qwen3-coder", "<function=now>\n</function>\n</tool_call>", call("now", "{}")],
    ["after text", "llama-3", 'Now:\n{"name": "now", "parameters": {}}', call("now", "{}")],
    ["as in Python", "llama-3", "[add(a=1, s='x')]", call("add", '{"a": 1, "s": "x"}')],
    ["by place", "llama-4", "[add(1, 'x')]", call("add", '{"a": 1, "s": "x"}')],
    ["built in", "llama-3", '<|python_tag|>now.call(zone="UTC")', call("now", '{"zone": "UTC"}')],
    [
      "an object behind the tag",
      "llama-3",
      '<|python_tag|>{"name": "now", "parameters": {}}',
      call("now", "{}"),
    ],
    [
      "recipient first",
      "gpt-oss",
      ' to=functions.add<|channel|>commentary json<|message|>{"a": 1}',
      call("add", '{"a": 1}'),
    ],
    [
      "in analysis",
      "gpt-oss",
      "<|channel|>analysis to=functions.now<|message|>{}<|call|>",
      call("now", "{}"),
    ],
    [
      "text as nothing",
      "kimi-k2",
      "<|tool_call_begin|>functions.now:3<|tool_call_argument_begin|><|tool_call_end|>",
      call("now", "{}", "functions.now:3"),
    ],
  ])("are calls: %s", (_, name, given, expected) => {
    expect(read(name, given).calls).toEqual([expected]);
  });

  it("may be code, where a tool takes it", () => {
    const tools = [
      { name: "python", parameters: { type: "object", properties: { code: { type: "string" } } } },
    ];
    const { calls } = read("llama-3", '<|python_tag|>print("a")\nx', { tools });
    expect(JSON.parse(calls[0]!.args)).toEqual({ code: 'print("a")\nx' });
  });

  it.each([
    ["hermes", '<tool_call>{"name": "add", ', null],
    ["hermes", '<tool_call>{"name": "add", "arguments": ', null],
    ["command-r7b", '<|START_ACTION|>[{"tool_call_id": "0", "tool_name": "add", ', "0"],
    ["mistral-nemo", '[TOOL_CALLS][{"name": "add", "arguments": ', null],
    ["magistral", "[TOOL_CALLS]add[ARGS]", null],
    ["kimi-k2", "<|tool_call_begin|>functions.add:0<|tool_call_argument_begin|>", "functions.add:0"],
    ["muse-glimmer", ' to=add<|message|><atem:function_calls>\n<atem:invoke name="add">', null],
  ])("have a name where they were cut off behind it: %s %s", (name, given, id) => {
    expect(read(name, given, { cut: true })).toEqual({
      ...text(""),
      calls: [call("add", "", id)],
    });
  });

  it("may have begun arguments where the id was cut off", () => {
    const cut = read("mistral-nemo", '[TOOL_CALLS][{"name": "add", "arguments": {"a": 1', { cut: true });
    expect(cut.calls).toEqual([call("add", '{"a": 1')]);
  });

  it("are none where they were cut off before their tool is known to be one", () => {
    expect(read("llama-3", '{"name": "Bob", ', { cut: true }).calls).toEqual([]);
    expect(read("hermes", '<tool_call>{"name": "ad', { cut: true })).toEqual(text(""));
  });

  it("are addressed to a tool, in a family whose messages have recipients", () => {
    const tags = '<atem:function_calls>\n<atem:invoke name="now">\n</atem:invoke>\n</atem:function_calls>';
    const next = "<|eom|><|start|>assistant";
    expect(
      read("muse-glimmer", ` to=self<|message|>a ${tags}${next} to=user<|message|>b ${tags}<|eot|>`),
    ).toEqual({
      ...{ text: `b ${tags}`, reasoning: `a ${tags}`, calls: [] },
    });
    expect(read("muse-glimmer", ` to=user<|message|>a${next} to=now<|message|>${tags}`)).toEqual({
      ...{ text: "a", reasoning: "", calls: [call("now", "{}")] },
    });
    const two = tags.replace("</atem:invoke>", '</atem:invoke>\n<atem:invoke name="now">\n</atem:invoke>');
    expect(read("muse-glimmer", ` to=now<|message|>${two}`).calls).toHaveLength(2);
    expect(read("muse-glimmer", `<|message|>a${next} to=self<|message|>b`)).toEqual({
      ...{ text: "a", reasoning: "b", calls: [] },
    });
  });

  it("end a thought that was not closed, in families that do so", () => {
    const { reasoning, calls } = read(
      "kimi-k2",
      "<think>so<|tool_calls_section_begin|><|tool_call_begin|>functions.now:0<|tool_call_argument_begin|>{}<|tool_call_end|>",
    );
    expect([reasoning, calls.length]).toEqual(["so", 1]);
    expect(read("magistral", "[THINK]a [TOOL_CALLS] b[/THINK]c")).toEqual({
      text: "c",
      reasoning: "a [TOOL_CALLS] b",
      calls: [],
    });
  });
});

describe("text", () => {
  it("keeps its white space, but beside markers", () => {
    expect(read("hermes", " a \n\n b \n")).toEqual(text(" a \n\n b \n"));
    const { text: said } = read("hermes", 'a\n\n<tool_call>{"name": "now"}</tool_call>\n\nb ');
    expect(said).toBe("ab ");
  });

  it("names a tag without beginning a thought, once it has begun", () => {
    expect(read("hermes", "the tag <think> opens")).toEqual(text("the tag <think> opens"));
  });

  it("loses the tags around it only where they are around it", () => {
    expect(read("granite-3.3", "<think>a</think><response>b</response>")).toEqual({
      text: "b",
      reasoning: "a",
      calls: [],
    });
    expect(read("granite-3.3", "see <response>b</response>")).toEqual(text("see <response>b</response>"));
  });

  it.each([
    "functionary-3.2",
    "muse-glimmer",
  ])("is without what the prompt began, where the answer does not go on with it: %s", (name) => {
    for (const given of ["Five.", "\nFive", ""]) expect(read(name, given)).toEqual(text(given));
  });

  it("may go on where a prompt ended, without a header", () => {
    expect(read("gpt-oss", "and so on.")).toEqual(text("and so on."));
  });

  it("that was cut off keeps what can be no marker", () => {
    expect(read("hermes", "a <", { cut: true })).toEqual(text("a <"));
    expect(read("hermes", "a <tool", { cut: true })).toEqual(text("a "));
    expect(read("hermes", "a <tool")).toEqual(text("a <tool"));
  });
});
