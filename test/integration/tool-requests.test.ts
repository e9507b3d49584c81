import fc from "fast-check";
import OpenAI from "openai";
import { beforeAll, describe, expect, it } from "vitest";
import type { LlguidanceGrammars } from "../../src/grammar/llguidance/grammars.ts";
import { byteGrammars } from "../support/byte-grammars.ts";
import { type Script, ScriptTokenizer, scriptedFetch } from "../support/scripted.ts";

/** Requests with tools and thoughts, each with its right answer, from a model that writes as Qwen 3 does. */

const TEMPLATE = `{# <tool_call> </think> #}{%- for message in messages -%}
{{- message.role }}: {{ message.content }}
{% endfor -%}
{%- if tools %}TOOLS{% endif %}{% if reasoning_effort == "high" and enable_thinking %}<think>
{% endif %}`;
const MARKERS = ["<tool_call>", "</tool_call>", "<think>", "</think>"];
const MESSAGES = [{ role: "user", content: "Say x." }];

let grammars: LlguidanceGrammars;
beforeAll(async () => {
  grammars = await byteGrammars(new ScriptTokenizer(MARKERS));
});

interface Choice {
  readonly message: {
    readonly content: string | null;
    readonly reasoning_content?: string;
    readonly tool_calls?: readonly {
      readonly function: { readonly name: string; readonly arguments: string };
    }[];
    readonly function_call?: { readonly name: string; readonly arguments: string };
  };
  readonly finish_reason: string;
}
interface Chat {
  readonly choices: readonly [Choice];
  readonly usage: {
    readonly completion_tokens: number;
    readonly completion_tokens_details: { readonly reasoning_tokens: number };
  };
}

function endpoint(script: Script | string, template = TEMPLATE): typeof fetch {
  const says = typeof script === "string" ? () => script : script;
  return scriptedFetch({ script: says, template, specials: MARKERS, grammars });
}

async function ask(script: Script | string, body: object, template?: string): Promise<Chat> {
  const request = { method: "POST", body: JSON.stringify({ messages: MESSAGES, max_tokens: 400, ...body }) };
  const response = await endpoint(script, template)("http://localhost/v1/chat/completions", request);
  const answer = (await response.json()) as Chat & { error?: { message: string } };
  if (answer.error) throw new Error(answer.error.message);
  return answer;
}

/** With one argument, and the space that models write before its value. */
const written = (name: string, args: object) =>
  `<tool_call>\n{"name": ${JSON.stringify(name)}, "arguments": ${JSON.stringify(args).replace('":', '": ')}}\n</tool_call>`;
const tool = (properties: object, name = "say") => ({
  type: "function",
  function: {
    name,
    parameters: {
      type: "object",
      properties,
      required: Object.keys(properties),
      additionalProperties: false,
    },
  },
});
const WEATHER = tool({ city: { type: "string" } }, "get_weather");
const called = ({ choices: [{ message }] }: Chat) =>
  message.tool_calls?.map(({ function: { name, arguments: args } }) => [name, JSON.parse(args)]);

describe("a call that is required", () => {
  it.each([
    [
      "a closing tag in a constant",
      { const: "the tag </tool_call> ends a call" },
      "the tag </tool_call> ends a call",
    ],
    [
      "a closing tag in a pattern",
      { type: "string", pattern: "^see </tool_call> here$" },
      "see </tool_call> here",
    ],
    ["quotes in a pattern", { type: "string", pattern: '^"x"$' }, '"x"'],
  ])("has %s", async (_, a, value) => {
    const request = { tools: [tool({ a })], tool_choice: "required" };
    const answer = await ask(written("say", { a: value }), request);
    expect(called(answer)).toEqual([["say", { a: value }]]);
    expect(answer.choices[0]).toMatchObject({ finish_reason: "tool_calls", message: { content: null } });
    await expect(ask(written("say", { a: "other" }), request)).rejects.toThrow(/grammar does not allow/);
  });

  it("goes by a name of any characters", async () => {
    const names = fc.oneof(
      fc.constantFrom('s"ay\n', "</tool_call>", "a\\b", "<think>", "é🐸", "{", "%json"),
      fc.string({ minLength: 1, maxLength: 8 }),
    );
    const property = fc.asyncProperty(names, async (name) => {
      const request = { tools: [tool({ a: { const: 1 } }, name)], tool_choice: "required" };
      expect(called(await ask(written(name, { a: 1 }), request))).toEqual([[name, { a: 1 }]]);
    });
    await fc.assert(property, { numRuns: 30, seed: 18 });
  });

  it("is one where parallel calls are not wanted, or one tool is named", async () => {
    const two = `${written("say", { a: 1 })}\n${written("say", { a: 1 })}`;
    const tools = [tool({ a: { const: 1 } })];
    const required = { tools, tool_choice: "required" };
    expect(called(await ask(two, required))).toHaveLength(2);
    const named = { tools, tool_choice: { type: "function", function: { name: "say" } } };
    for (const request of [{ ...required, parallel_tool_calls: false }, named])
      await expect(ask(two, request)).rejects.toThrow(/grammar does not allow/);
  });
});

describe("a call of an earlier turn", () => {
  it("is in the prompt as the model wrote it where the template does not show calls", async () => {
    let prompt = "";
    const script = (text: string) => {
      prompt = text;
      return "Done.";
    };
    const tool_calls = [{ id: "c1", type: "function", function: { name: "say", arguments: '{"a": 1.0}' } }];
    const messages = [
      ...MESSAGES,
      { role: "assistant", content: null, tool_calls },
      { role: "tool", tool_call_id: "c1", content: "said" },
    ];
    await ask(script, { messages, tools: [WEATHER] });
    expect(prompt).toContain(
      'assistant: <tool_call>\n{"name": "say", "arguments": {"a": 1.0}}\n</tool_call>',
    );
    expect(prompt).toContain("tool: said");
  });
});

describe("a call that is free", () => {
  it("goes along with text, and keeps to no grammar unless a tool is strict", async () => {
    const call = written("get_weather", { city: 3 });
    const answer = await ask(`Let me see. ${call}`, { tools: [WEATHER] });
    expect(answer.choices[0].message.content?.trim()).toBe("Let me see.");
    expect(called(answer)).toEqual([["get_weather", { city: 3 }]]);
    const strict = { ...WEATHER, function: { ...WEATHER.function, strict: true } };
    await expect(ask(`Let me see. ${call}`, { tools: [strict] })).rejects.toThrow(/grammar does not allow/);
    expect(called(await ask(`Hm.${written("get_weather", { city: "Oslo" })}`, { tools: [strict] }))).toEqual([
      ["get_weather", { city: "Oslo" }],
    ]);
  });

  it("is one of the tools that are allowed", async () => {
    const tools = [WEATHER, tool({ a: { const: 1 } })];
    const allowed_tools = { mode: "auto", tools: [{ type: "function", function: { name: "say" } }] };
    const request = { tools, tool_choice: { type: "allowed_tools", allowed_tools } };
    expect(called(await ask(written("say", { a: 1 }), request))).toEqual([["say", { a: 1 }]]);
    expect((await ask("Hello.", request)).choices[0].message.content).toBe("Hello.");
    await expect(ask(written("get_weather", { city: "x" }), request)).rejects.toThrow(
      /grammar does not allow/,
    );
  });

  it("or text that keeps to a format", async () => {
    const schema = {
      type: "object",
      properties: { summary: { type: "string", maxLength: 40 } },
      required: ["summary"],
      additionalProperties: false,
    };
    const response_format = { type: "json_schema", json_schema: { name: "answer", schema } };
    const request = { tools: [WEATHER], response_format };
    const content = '{"summary": "Sunny"}';
    expect((await ask(content, request)).choices[0].message.content).toBe(content);
    expect(called(await ask(written("get_weather", { city: "Paris" }), request))).toHaveLength(1);
    await expect(ask("Sunny.", request)).rejects.toThrow(/grammar does not allow/);
  });

  it("has fields that are null, and a function without parameters", async () => {
    const bare = { name: "get_weather", description: null, parameters: null, strict: null };
    const tools = [{ type: "function", function: bare }];
    const nulls = { tools, tool_choice: null, response_format: null, stop: null, functions: null };
    expect((await ask("Sunny.", nulls)).choices[0].message.content).toBe("Sunny.");
    const call = '<tool_call>\n{"name": "get_weather"}\n</tool_call>';
    expect(called(await ask(call, nulls))).toEqual([["get_weather", {}]]);
  });

  it("is text where no tool was given, or none may be called", async () => {
    const call = written("get_weather", { city: "Oslo" });
    for (const request of [{}, { tools: [WEATHER], tool_choice: "none" }]) {
      const { choices } = await ask(call, request);
      expect(choices[0].message.tool_calls).toBeUndefined();
      expect(choices[0]).toMatchObject({ finish_reason: "stop", message: { content: call } });
    }
  });
});

describe("functions of older clients", () => {
  const { function: weather } = WEATHER;
  const call = `${written("get_weather", { city: "Oslo" })}\n${written("get_weather", { city: "Rome" })}`;

  it("are called one at a time, whole and streamed", async () => {
    const { choices } = await ask(call, { functions: [weather] });
    expect(choices[0]).toMatchObject({
      finish_reason: "function_call",
      message: { content: null, function_call: { name: "get_weather" } },
    });
    expect(JSON.parse(choices[0].message.function_call!.arguments)).toEqual({ city: "Oslo" });
    const openai = new OpenAI({ baseURL: "http://localhost/v1", apiKey: "none", fetch: endpoint(call) });
    const stream = openai.chat.completions.stream({
      ...{ model: "script", messages: MESSAGES as never, functions: [weather as never] },
    });
    const { function_call } = (await stream.finalChatCompletion()).choices[0]!.message;
    expect(function_call).toMatchObject({ name: "get_weather" });
    expect(JSON.parse(function_call!.arguments)).toEqual({ city: "Oslo" });
  });
});

describe("a thought", () => {
  const thinks = { reasoning_effort: "high" };

  it("that the prompt has opened goes on in the answer, and a format begins after it", async () => {
    const { choices } = await ask("Hm.\n</think>\n\nYes.", thinks);
    expect(choices[0].message).toMatchObject({ content: "Yes.", reasoning_content: "Hm." });
    const formatted = { ...thinks, response_format: { type: "json_object" } };
    const answer = await ask('Hm.\n</think>\n\n{"a": 1}', formatted);
    expect(answer.choices[0].message).toMatchObject({ content: '{"a": 1}', reasoning_content: "Hm." });
    await expect(ask("Hm.\n</think>\n\nYes.", formatted)).rejects.toThrow(/grammar does not allow/);
  });

  it("may be asked for by the template's own variables", async () => {
    const { choices } = await ask("Hm.</think>Yes.", { chat_template_kwargs: thinks });
    expect(choices[0].message).toMatchObject({ content: "Yes.", reasoning_content: "Hm." });
    const plain = await ask("Yes.", { chat_template_kwargs: { ...thinks, enable_thinking: false } });
    expect((await ask("Yes.", { ...thinks, enable_thinking: false })).choices).toEqual(plain.choices);
    expect(plain.choices[0].message).not.toHaveProperty("reasoning_content");
  });

  it("keeps to its budget: it is ended, and the answer goes on from there", async () => {
    const prompts: string[] = [];
    const script: Script = (prompt) => {
      prompts.push(prompt);
      return prompt.endsWith("</think>") ? "\n\n4." : `${"Hm. ".repeat(50)}</think>5.`;
    };
    const { choices, usage } = await ask(script, { ...thinks, thinking_budget_tokens: 11 });
    expect(choices[0]).toMatchObject({
      finish_reason: "stop",
      message: { content: "4.", reasoning_content: "Hm. Hm. Hm." },
    });
    expect(prompts[1]).toBe(`${prompts[0]}Hm. Hm. Hm.</think>`);
    expect(usage.completion_tokens_details.reasoning_tokens).toBe(11);
    expect(usage.completion_tokens).toBe(11 + "\n\n4.".length);
    const short = await ask(script, { ...thinks, thinking_budget_tokens: 4000 });
    expect(short.choices[0].message.content).toBe("5.");
  });

  it("that is ended leaves room for a format, and for no more tokens than were asked", async () => {
    const script: Script = (prompt) => (prompt.endsWith("</think>") ? '{"a": 1}' : "Hm. ".repeat(50));
    const budget = { ...thinks, thinking_budget_tokens: 10 };
    const format = { response_format: { type: "json_object" } };
    expect((await ask(script, { ...budget, ...format })).choices[0].message.content).toBe('{"a": 1}');
    const cut = await ask(script, { ...budget, max_tokens: 14 });
    expect(cut.choices[0]).toMatchObject({ finish_reason: "length", message: { content: '{"a"' } });
    expect(cut.usage.completion_tokens).toBe(14);
  });
});

describe("a plain completion", () => {
  const complete = async (body: object, specials: readonly string[]) => {
    const prompts: string[] = [];
    const script: Script = (prompt) => {
      prompts.push(prompt);
      return "<think>b";
    };
    const answer = scriptedFetch({ script, template: TEMPLATE, specials, grammars });
    const request = { method: "POST", body: JSON.stringify(body) };
    const response = await answer("http://localhost/v1/completions", request);
    return { status: response.status, prompts, told: (await response.json()) as Record<string, unknown> };
  };
  const middle = ["<before>", "<after>", "<middle>"];

  it("fills in the middle, with all of the model's text, where the model has tokens for that", async () => {
    const { prompts, told } = await complete({ prompt: "a<after>", suffix: "c" }, middle);
    // What the client wrote is no special token, though it reads like one here.
    expect(prompts).toEqual(["<before>a<after><after>c<middle>"]);
    expect(told.choices).toMatchObject([{ text: "<think>b", finish_reason: "stop" }]);
    const { status, told: refusal } = await complete({ prompt: "a", suffix: "c" }, MARKERS);
    expect([status, refusal.error]).toMatchObject([400, { param: "suffix" }]);
  });
});
