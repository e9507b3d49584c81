import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import type { LlguidanceGrammars } from "../../src/grammar/llguidance/grammars.ts";
import type { Format } from "../../src/text/formats/format.ts";
import { FORMATS } from "../../src/text/formats/registry.ts";
import { byteGrammars } from "../support/byte-grammars.ts";
import { type SampleCall, TOOLS, WRITERS } from "../support/format-samples.ts";
import { type Script, ScriptTokenizer, scriptedFetch } from "../support/scripted.ts";

/** The openai client, unmodified, against a model of each family that says what a script has it say. */

const ADD: SampleCall = { name: "add", args: { a: 3, s: 'two "lines"\n</tool_call> 😀' } };
const NOW: SampleCall = { name: "now", args: {} };
const MESSAGES = [{ role: "user", content: "What is it?" }] as const;
/** The last line says what the model answers to. */
const TEMPLATE = `{%- for message in messages -%}
{{- message.role }}: {{ message.content }}
{%- for call in message.tool_calls or [] %} CALL {{ call.function.name }}{% endfor %}
{% endfor -%}
{%- if tools %}TOOLS{% endif %}`;
const template = ({ name, thinkingEnd }: Format) => `{# format: ${name} # ${thinkingEnd ?? ""} #}${TEMPLATE}`;

/** by the control tokens of the model */
const known = new Map<string, LlguidanceGrammars>();
const grammarsOf = (specials: readonly string[]) => known.get(specials.join())!;
beforeAll(async () => {
  for (const specials of [[], ...FORMATS.map(({ markers }) => markers)])
    known.set(specials.join(), await byteGrammars(new ScriptTokenizer(specials)));
});

function client(format: Format, script: Script, specials: readonly string[] = format.markers): OpenAI {
  const named = (source: string | null) => FORMATS.find(({ name }) => source?.includes(`format: ${name} #`))!;
  const grammars = grammarsOf(specials);
  const fetch = scriptedFetch({ script, specials, grammars, template: template(format), formatOf: named });
  return new OpenAI({ baseURL: "http://localhost/v1", apiKey: "none", maxRetries: 0, fetch });
}

const tools = TOOLS.map(({ name, parameters }) => ({
  type: "function" as const,
  function: { name, parameters: parameters as Record<string, unknown> },
}));
const ask = { model: "script", messages: [...MESSAGES], temperature: 0 };

const strict = tools.map((tool) => ({ ...tool, function: { ...tool.function, strict: true } }));
/** Without the tokens that end an answer. */
const ended = (text: string) => text.replace(/<\|(?:call|return)\|>$/, "");

/** Tools that note how they were called. */
function noting() {
  const calls: SampleCall[] = [];
  const noted = tools.map((tool) => ({
    ...tool,
    function: {
      ...tool.function,
      parse: JSON.parse,
      function: (args: Record<string, unknown>) => {
        calls.push({ name: tool.function.name, args });
        return "RESULT";
      },
    },
  }));
  return { calls, noted };
}

describe.each(FORMATS.map((format) => [format.name, format] as const))("%s", (name, format) => {
  const writer = WRITERS[name]!;
  const said = (text: string) => writer.text?.(text) ?? text;
  const loop: Script = (prompt) => (prompt.includes("RESULT") ? said("Done.") : writer.calls([ADD, NOW]));

  it.each([
    ["special tokens", format.markers],
    ["plain text", []],
  ])("runs a loop of tools, whole and streamed, with markers as %s", async (_, specials) => {
    for (const stream of [false, true] as const) {
      const { calls, noted } = noting();
      const chat = client(format, loop, specials).chat.completions;
      const asked = { ...ask, tools: noted as never };
      const runner = stream ? chat.runTools({ ...asked, stream }) : chat.runTools({ ...asked, stream });
      expect(await runner.finalContent()).toBe("Done.");
      expect(calls).toEqual([ADD, NOW]);
    }
  });

  it("tells calls and their ids, and arguments in parts that are JSON together", async () => {
    const openai = client(format, loop);
    const { choices } = await openai.chat.completions.create({ ...ask, tools });
    const [{ message, finish_reason }] = choices as [OpenAI.ChatCompletion.Choice];
    expect([finish_reason, message.content]).toEqual(["tool_calls", null]);
    const ids = message.tool_calls!.map(({ id }) => id);
    expect(new Set(ids).size).toBe(2);
    const written = writer.ids?.([ADD, NOW]);
    if (written) expect(ids).toEqual(written);
    const stream = await openai.chat.completions.create({ ...ask, tools, stream: true });
    const parts = ["", ""];
    const names: string[] = [];
    for await (const { choices: told } of stream) {
      for (const { index, function: part } of told[0]?.delta.tool_calls ?? []) {
        if (part?.name) names[index] = part.name;
        parts[index] += part?.arguments ?? "";
      }
    }
    expect(names).toEqual(["add", "now"]);
    expect(parts.map((part) => JSON.parse(part))).toEqual([ADD.args, {}]);
  });

  it("leaks no markup of a call that is cut off", async () => {
    const whole = [...writer.calls([ADD])];
    const openai = client(format, () => whole.join(""), []);
    // One or two characters may be text.
    for (let cut = 3; cut < whole.length - 1; cut += 7) {
      const max_tokens = Buffer.byteLength(whole.slice(0, cut).join(""));
      const { choices } = await openai.chat.completions.create({ ...ask, tools, max_tokens });
      expect(choices[0]).toMatchObject({ finish_reason: "length" });
      expect(choices[0]!.message.content ?? "").toBe("");
    }
  });

  const { thought } = writer;
  if (thought) {
    it("tells a thought from what it says, whole and streamed", async () => {
      const openai = client(format, () => thought("Let me see.") + said("It is 3."));
      const { choices, usage } = await openai.chat.completions.create(ask);
      expect(choices[0]!.message).toMatchObject({ content: "It is 3.", reasoning_content: "Let me see." });
      expect(usage!.completion_tokens_details!.reasoning_tokens).toBeGreaterThan(8);
      expect(usage!.completion_tokens_details!.reasoning_tokens).toBeLessThan(usage!.completion_tokens);
      let [content, reasoning] = ["", ""];
      for await (const { choices: told } of await openai.chat.completions.create({ ...ask, stream: true })) {
        const delta = (told[0]?.delta ?? {}) as {
          content?: string;
          reasoning_content?: string;
          reasoning?: string;
        };
        expect(delta.reasoning).toBe(delta.reasoning_content);
        content += delta.content ?? "";
        reasoning += delta.reasoning_content ?? "";
      }
      expect([content, reasoning]).toEqual(["It is 3.", "Let me see."]);
    });
  }

  it("keeps to a schema, which begins after the thought, also where it may call tools", async () => {
    const answer = z.object({ answer: z.number() });
    const text = ended((writer.thought?.("Let me see.") ?? "") + said('{"answer": 3}'));
    const openai = client(format, () => text);
    for (const more of [{}, { tools: strict }]) {
      const { choices } = await openai.chat.completions.parse({
        ...{ ...ask, ...more },
        response_format: zodResponseFormat(answer, "answer"),
      });
      expect(choices[0]!.message.parsed).toEqual({ answer: 3 });
    }
    const wrong = client(format, () => text.replace("3}", '"three"}'));
    const response_format = zodResponseFormat(answer, "answer");
    await expect(wrong.chat.completions.create({ ...ask, tools, response_format })).rejects.toThrow(
      /grammar does not allow/,
    );
  });

  it("calls a tool that it has to, under a grammar", async () => {
    const openai = client(format, () => ended(writer.calls([ADD])));
    for (const choice of ["required", { type: "function", function: { name: "add" } }] as const) {
      const { choices } = await openai.chat.completions.create({
        ...ask,
        tools: strict,
        tool_choice: choice,
      });
      const call = choices[0]!.message.tool_calls![0] as OpenAI.ChatCompletionMessageFunctionToolCall;
      expect([call.function.name, JSON.parse(call.function.arguments)]).toEqual(["add", ADD.args]);
    }
    const wrong = client(format, () => writer.calls([{ name: "add", args: { a: "three", s: "x" } }]));
    await expect(
      wrong.chat.completions.create({ ...ask, tools: strict, tool_choice: "required" }),
    ).rejects.toThrow(/grammar does not allow/);
  });
});
