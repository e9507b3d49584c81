import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type SampleCall,
  type Split,
  splitOf,
  TOOLS,
  WRITERS,
} from "../../../test/support/format-samples.ts";
import type { Format, FormatTool } from "./format.ts";
import { FORMATS, formatOf } from "./registry.ts";

interface Asked {
  readonly thinkingOpen?: boolean;
  readonly tools?: readonly FormatTool[];
  readonly cut?: boolean;
}

function split(format: Format, pieces: readonly string[], asked: Asked = {}): Split {
  const { thinkingOpen = false, tools = TOOLS, cut = false } = asked;
  const reader = format.reader({ thinkingOpen, tools });
  return splitOf([...pieces.flatMap((piece) => reader.push(piece)), ...reader.end(cut)]);
}

function pieces(text: string, size: number): string[] {
  return Array.from({ length: Math.ceil(text.length / size) }, (_, i) =>
    text.slice(i * size, (i + 1) * size),
  );
}

/** Whole, in pieces of 1 to 5 characters, and in random ones: always the same. */
function everyWay(format: Format, text: string, asked: Asked = {}): Split {
  const whole = split(format, [text], asked);
  for (const size of [1, 2, 3, 4, 5]) expect(split(format, pieces(text, size), asked)).toEqual(whole);
  const cuts = fc
    .uniqueArray(fc.nat(text.length), { maxLength: 6 })
    .map((cuts) => [...cuts].sort((a, b) => a - b));
  const property = fc.property(cuts, (cuts) => {
    const parts = [0, ...cuts].map((from, i) => text.slice(from, cuts[i] ?? text.length));
    expect(split(format, parts, asked)).toEqual(whole);
  });
  fc.assert(property, { numRuns: 10, seed: 18 });
  return whole;
}

const ADD: SampleCall = {
  name: "add",
  args: {
    a: 3,
    s: "one \"two\" 'three' </x> \\ }])\nfour 😀 ",
    list: [1, 2.5],
    deep: { on: true, note: "a, b: {c}" },
  },
};
const NOW: SampleCall = { name: "now", args: {} };
/** Every family's closing markers, in a string. */
const NASTY: SampleCall = {
  name: "read.file",
  args: {
    path: [
      ...[
        "</tool_call>x",
        "[TOOL_CALLS]x",
        "<|tool_call_end|>x",
        "</think>x",
        "</parameter>x",
        "</arg_value>x",
      ],
      ...["<|end|>x", "</function>x", "<tool_call|>x", "```x", "</tool_calls>x", "<|END_ACTION|>x", ">>>x"],
    ].join("\n"),
  },
};

const parsed = (calls: Split["calls"]) =>
  calls.map(({ args, ...call }) => ({ ...call, args: JSON.parse(args) }));

describe.each(FORMATS.map((format) => [format.name, format] as const))("%s", (name, format) => {
  const writer = WRITERS[name]!;
  const said = (text: string) => (writer.text ?? ((plain: string) => plain))(text);
  const called = (calls: readonly SampleCall[]) =>
    calls.map(({ name, args }, i) => ({ name, id: writer.ids?.(calls)[i] ?? null, args }));

  it("has text that is text", () => {
    const text = "Two < three, [a] and {b}.\n\n```js\nf(x) || y\n```";
    expect(everyWay(format, said(text))).toEqual({ text, reasoning: "", calls: [] });
    expect(everyWay(format, said(text), { tools: [] })).toEqual({ text, reasoning: "", calls: [] });
  });

  it.each([
    ["one", [ADD]],
    ["one without parameters", [NOW]],
    ["one with markers in a string", [NASTY]],
    ["several", [ADD, NOW, NASTY]],
  ] as const)("has calls: %s", (_, calls) => {
    const { text, reasoning, calls: found } = everyWay(format, writer.calls(calls));
    expect({ text, reasoning, calls: parsed(found) }).toEqual({
      text: "",
      reasoning: "",
      calls: called(calls),
    });
  });

  it("has no calls where there are no tools, but text", () => {
    if (name === "gpt-oss") return;
    expect(everyWay(format, writer.calls([ADD]), { tools: [] }).calls).toEqual([]);
  });

  it("has thoughts, which the prompt may open", () => {
    if (!writer.thought) {
      expect(format.thinkingEnd).toBeNull();
      return;
    }
    const thought = "First, < think.\n\nThen </x> answer.";
    const expected = { text: "Five.", reasoning: thought, calls: [] };
    const text = writer.thought(thought) + said("Five.");
    expect(everyWay(format, text)).toEqual(expected);
    const { opens } = writer;
    if (opens !== undefined) {
      expect(format.thinkingOpen(`<|user|>hello${opens}`)).toBe(true);
      expect(everyWay(format, text.slice(opens.length), { thinkingOpen: true })).toEqual(expected);
    }
    expect(format.thinkingOpen("<|user|>hello<|assistant|>")).toBe(false);
    const { calls, ...rest } = everyWay(
      format,
      writer.thought(thought) + (writer.lead ?? "") + writer.calls([ADD, NOW]),
    );
    expect({ ...rest, calls: parsed(calls) }).toEqual({
      text: "",
      reasoning: thought,
      calls: called([ADD, NOW]),
    });
  });

  it("has calls written back as it reads them", () => {
    const made = [ADD, NOW].map(({ name, args }, i) => ({
      ...{ name, id: writer.ids?.([ADD, NOW])[i] ?? `call_${i}`, arguments: JSON.stringify(args) },
    }));
    const begun = name === "functionary-3.2" ? ">>>" : "";
    const { text, calls } = split(format, [format.written(made).slice(begun.length)]);
    expect({ text, calls: parsed(calls) }).toEqual({ text: "", calls: called([ADD, NOW]) });
  });

  it("never shows markup of what is cut off, and of arguments their beginning", () => {
    const text = writer.calls([NASTY]);
    const whole = split(format, [text]).calls[0]!;
    for (let length = 2; length <= text.length; length++) {
      const cut = everyWayCut(format, text.slice(0, length));
      expect([cut.text, cut.reasoning]).toEqual(["", ""]);
      for (const call of cut.calls) expect(whole.args.startsWith(call.args)).toBe(true);
    }
    expect(split(format, [text], { cut: true }).calls).toHaveLength(1);
  });
});

function everyWayCut(format: Format, text: string): Split {
  const whole = split(format, [text], { cut: true });
  expect(split(format, pieces(text, 3), { cut: true })).toEqual(whole);
  return whole;
}

describe("formats", () => {
  it("have names of their own, and samples", () => {
    expect(new Set(FORMATS.map(({ name }) => name)).size).toBe(FORMATS.length);
    expect(Object.keys(WRITERS).sort()).toEqual(FORMATS.map(({ name }) => name).sort());
  });

  it("are recognised by templates, and without one are generic", () => {
    expect(formatOf("… <tool_call> …").name).toBe("hermes");
    expect(formatOf("… <tool_call> <function= <parameter= …").name).toBe("qwen3-coder");
    expect([formatOf(null).name, formatOf("{{ messages }}").name]).toEqual(["generic", "generic"]);
  });
});
