import Anthropic from "@anthropic-ai/sdk";
import { beforeAll, describe, expect, it } from "vitest";
import { byteGrammars } from "../../../test/support/byte-grammars.ts";
import { type Script, ScriptTokenizer, scriptedFetch } from "../../../test/support/scripted.ts";
import type { LlguidanceGrammars } from "../../grammar/llguidance/grammars.ts";

/** Anthropic's client, unmodified, against a model that writes as Qwen 3 does and says what a script has it say. */

const TEMPLATE = `{# <tool_call> </think> #}{%- for message in messages -%}
{{- message.role }}: {{ message.content }}
{%- if message.reasoning_content %} THOUGHT {{ message.reasoning_content }}{% endif %}
{%- for call in message.tool_calls or [] %} CALL {{ call.id }} {{ call.function.name }} {{ call.function.arguments | tojson }}{% endfor %}
{%- if message.tool_call_id %} OF {{ message.tool_call_id }}{% endif %}
{{- "\\n" }}
{%- endfor -%}
{%- if tools %}TOOLS {% for tool in tools %}{{ tool.function.name }} {% endfor %}{% endif -%}
{%- if enable_thinking %}THINKS {% endif %}{% if reasoning_effort %}EFFORT {{ reasoning_effort }} {% endif -%}`;
const SPECIALS = ["<tool_call>", "</tool_call>", "<think>", "</think>"];

let grammars: LlguidanceGrammars;
beforeAll(async () => {
  grammars = await byteGrammars(new ScriptTokenizer(SPECIALS));
});

function world(script: Script | string) {
  const prompts: string[] = [];
  const says: Script = (prompt) => {
    prompts.push(prompt);
    return typeof script === "string" ? script : script(prompt);
  };
  const fetch = scriptedFetch({ script: says, template: TEMPLATE, specials: SPECIALS, grammars });
  const client = new Anthropic({ baseURL: "http://localhost", apiKey: "none", maxRetries: 0, fetch });
  return { client, prompts, fetch };
}

const HI = [{ role: "user" as const, content: "Hi!" }];
const asks = { model: "claude-any", max_tokens: 200, messages: HI };
const WEATHER: Anthropic.Tool = {
  name: "get_weather",
  description: "of a city",
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};
const call = (city: string) =>
  `<tool_call>\n{"name": "get_weather", "arguments": {"city": ${JSON.stringify(city)}}}\n</tool_call>`;

async function eventsOf(script: string, more: Partial<Anthropic.MessageCreateParamsStreaming> = {}) {
  const events: Anthropic.RawMessageStreamEvent[] = [];
  for await (const one of await world(script).client.messages.create({ ...asks, ...more, stream: true }))
    events.push(one);
  return events;
}

describe("a message", () => {
  it("is answered whole, with what it took", async () => {
    const message = await world("Hello.").client.messages.create(asks);
    expect(message).toMatchObject({
      ...{ type: "message", role: "assistant", stop_reason: "end_turn", stop_sequence: null },
      content: [{ type: "text", text: "Hello." }],
      usage: { cache_creation_input_tokens: 0, output_tokens: 6 },
    });
    expect(message.id).toMatch(/^msg_./);
    const { input_tokens, cache_read_input_tokens } = message.usage;
    expect(input_tokens + cache_read_input_tokens!).toBe("user: Hi!\n".length);
    expect(message._request_id).toBeNull();
  });

  it("is streamed by the events that the client puts together", async () => {
    const stream = world("Hello there.").client.messages.stream(asks);
    let text = "";
    stream.on("text", (delta) => {
      text += delta;
    });
    const message = await stream.finalMessage();
    expect([text, message.content]).toEqual(["Hello there.", [{ type: "text", text: "Hello there." }]]);
    const events = await eventsOf("Hi.");
    expect(new Set(events.map(({ type }) => type))).toEqual(
      new Set([
        ...["message_start", "content_block_start", "content_block_delta", "content_block_stop"],
        ...["message_delta", "message_stop"],
      ]),
    );
    expect(events[0]).toMatchObject({
      message: { content: [], stop_reason: null, usage: { input_tokens: 10 } },
    });
    expect(events.at(-2)).toMatchObject({
      delta: { stop_reason: "end_turn", stop_sequence: null },
      usage: { output_tokens: 3 },
    });
  });

  it("says which stop sequence came, and that there was no room", async () => {
    const { client } = world("one two three");
    const create = async (more: Partial<Anthropic.MessageCreateParamsNonStreaming>) => {
      const { content, stop_reason, stop_sequence } = await client.messages.create({ ...asks, ...more });
      return [content, stop_reason, stop_sequence];
    };
    const text = (said: string) => [{ type: "text", text: said }];
    const stops = { stop_sequences: ["zzz", "three", "two"] };
    expect(await create(stops)).toEqual([text("one "), "stop_sequence", "two"]);
    expect(await create({ max_tokens: 5 })).toEqual([text("one t"), "max_tokens", null]);
  });

  it("reaches the model with its system, its turns and its thoughts", async () => {
    const { client, prompts } = world("Yes.");
    await client.messages.create({
      ...asks,
      system: [
        { type: "text", text: "x-anthropic-billing-header: cch=1;" },
        { type: "text", text: "Be kind.", cache_control: { type: "ephemeral" } },
        { type: "text", text: "Be brief." },
      ],
      messages: [
        { role: "user", content: "A" },
        { role: "user", content: [{ type: "text", text: "B" }] },
        {
          role: "assistant",
          content: [
            { type: "thinking", thinking: "Hm.", signature: "s" },
            { type: "redacted_thinking", data: "d" },
            { type: "text", text: "One, " },
            { type: "text", text: "two." },
            { type: "tool_use", id: "t1", name: "get_weather", input: { city: "Oslo" } },
            { type: "tool_use", id: "t2", name: "get_weather", input: { city: "Rome" } },
          ],
        },
        {
          role: "user",
          content: [
            { type: "tool_result", tool_use_id: "t1", content: [{ type: "text", text: "7" }] },
            { type: "tool_result", tool_use_id: "t2", content: "no such city", is_error: true },
            { type: "text", text: "And?" },
          ],
        },
      ],
    });
    expect(prompts[0]!.split("\n")).toEqual([
      ...["system: Be kind.", "Be brief.", "user: A", "B"],
      'assistant: One, two. THOUGHT Hm. CALL t1 get_weather {"city": "Oslo"} CALL t2 get_weather {"city": "Rome"}',
      ...["tool: 7 OF t1", "tool: Error: no such city OF t2", "user: And?", ""],
    ]);
  });

  it("may have what the system says among its turns", async () => {
    const { client, prompts } = world("Yes.");
    const system = { role: "system", content: [{ type: "text", text: "Be kind." }] };
    const messages = [...HI, system, { role: "user", content: "And?" }] as Anthropic.MessageParam[];
    await client.messages.create({ ...asks, messages });
    expect(prompts[0]).toBe("user: Hi!\nsystem: Be kind.\nuser: And?\n");
  });

  it("goes on with what the assistant began", async () => {
    const { client, prompts } = world("lo.");
    const begun = [...HI, { role: "assistant" as const, content: "Hel" }];
    const { content } = await client.messages.create({ ...asks, messages: begun });
    expect([content, prompts[0]]).toEqual([[{ type: "text", text: "lo." }], "user: Hi!\nassistant: Hel"]);
  });
});

describe("thinking", () => {
  const said = "<think>\nHm.\n</think>\n\nYes.";
  const enabled = { thinking: { type: "enabled" as const, budget_tokens: 1024 } };

  it("is a block of its own, signed, whole and streamed", async () => {
    const { client, prompts } = world(said);
    const { content } = await client.messages.create({ ...asks, ...enabled });
    const thought = { type: "thinking", thinking: "Hm.", signature: expect.stringMatching(/./) };
    expect(content).toEqual([thought, { type: "text", text: "Yes." }]);
    expect(prompts[0]).toMatch(/THINKS $/);
    const streamed = await world(said)
      .client.messages.stream({ ...asks, ...enabled })
      .finalMessage();
    expect(streamed.content).toEqual(
      content.map((block) => ({
        ...block,
        ...("signature" in block ? { signature: expect.any(String) } : {}),
      })),
    );
    const deltas = (await eventsOf(said, enabled)).flatMap((one) =>
      one.type === "content_block_delta" ? [one.delta.type] : [],
    );
    expect(deltas.indexOf("signature_delta")).toBe(deltas.lastIndexOf("thinking_delta") + 1);
  });

  it("is off unless it is asked for, and takes an effort", async () => {
    const { client, prompts } = world("Yes.");
    await client.messages.create(asks);
    await client.messages.create({ ...asks, thinking: { type: "disabled" } });
    await client.messages.create({
      ...asks,
      thinking: { type: "adaptive" },
      output_config: { effort: "low" },
    });
    expect(prompts.map((prompt) => prompt.split("\n")[1])).toEqual(["", "", "THINKS EFFORT low "]);
  });
});

describe("tools", () => {
  it("are called, and their results answered: a loop", async () => {
    const { client, prompts } = world((prompt) =>
      prompt.includes("tool:") ? "It is 7 there." : `Let me see.${call("Oslo")}`,
    );
    const first = await client.messages.create({ ...asks, tools: [WEATHER] });
    const [text, use] = first.content;
    expect(text).toEqual({ type: "text", text: "Let me see." });
    expect(use).toMatchObject({ type: "tool_use", name: "get_weather", input: { city: "Oslo" } });
    expect([first.stop_reason, prompts[0]]).toEqual([
      "tool_use",
      expect.stringMatching(/TOOLS get_weather $/),
    ]);
    const { id } = use as Anthropic.ToolUseBlock;
    const result = { type: "tool_result" as const, tool_use_id: id, content: "7" };
    const messages = [
      ...HI,
      { role: "assistant" as const, content: first.content },
      { role: "user" as const, content: [result] },
    ];
    const last = await client.messages.create({ ...asks, tools: [WEATHER], messages });
    expect(last.content).toEqual([{ type: "text", text: "It is 7 there." }]);
    expect(prompts[1]).toContain(`CALL ${id} get_weather {"city": "Oslo"}\ntool: 7 OF ${id}`);
  });

  it("are streamed as parts of their JSON, one block a call", async () => {
    const stream = world(call("Oslo") + call('"R"')).client.messages.stream({ ...asks, tools: [WEATHER] });
    const { content, stop_reason } = await stream.finalMessage();
    const inputs = content.map((block) => (block.type === "tool_use" ? block.input : null));
    expect([inputs, stop_reason]).toEqual([[{ city: "Oslo" }, { city: '"R"' }], "tool_use"]);
    const starts = (await eventsOf(call("Oslo"), { tools: [WEATHER] })).filter(
      ({ type }) => type === "content_block_start",
    );
    expect(starts).toMatchObject([{ index: 0, content_block: { type: "tool_use", input: {} } }]);
  });

  it("are called as the choice says", async () => {
    const create = (script: string, tool_choice: Anthropic.ToolChoice) =>
      world(script).client.messages.create({ ...asks, tools: [WEATHER], tool_choice });
    for (const choice of [{ type: "any" }, { type: "tool", name: "get_weather" }] as const) {
      expect((await create(call("Oslo"), choice)).stop_reason).toBe("tool_use");
      await expect(create("Hello.", choice)).rejects.toThrow(/grammar does not allow/);
    }
    const one = { type: "auto", disable_parallel_tool_use: true } as const;
    await expect(create(call("Oslo") + call("Rome"), one)).rejects.toThrow(/grammar does not allow/);
    expect((await create("Hello.", { type: "none" })).stop_reason).toBe("end_turn");
  });

  it("that were cut off leave no markup, and what there is of them", async () => {
    const { client } = world(call("Oslo"));
    const { content, stop_reason } = await client.messages.create({
      ...asks,
      max_tokens: 40,
      tools: [WEATHER],
    });
    expect(stop_reason).toBe("max_tokens");
    expect(JSON.stringify(content)).not.toMatch(/<.?tool_call/);
  });
});

describe("a format", () => {
  it("is kept to, by either name", async () => {
    const format = {
      type: "json_schema" as const,
      schema: {
        type: "object",
        properties: { a: { type: "integer" } },
        required: ["a"],
        additionalProperties: false,
      },
    };
    const { client, fetch } = world('{"a": 1}');
    const { content } = await client.messages.create({ ...asks, output_config: { format } });
    expect(content).toEqual([{ type: "text", text: '{"a": 1}' }]);
    const send = async (body: object) =>
      (
        await fetch("http://localhost/v1/messages", {
          method: "POST",
          body: JSON.stringify({ ...asks, ...body }),
        })
      ).status;
    expect(await send({ output_format: format })).toBe(200);
    expect(await send({ output_format: format, output_config: { format } })).toBe(400);
    await expect(
      world("Hello.").client.messages.create({ ...asks, output_config: { format } }),
    ).rejects.toThrow(/grammar does not allow/);
  });
});

describe("tokens", () => {
  it("are counted as they would be read, without an answer", async () => {
    const { client, prompts } = world("");
    const { input_tokens } = await client.messages.countTokens({
      model: "m",
      messages: HI,
      tools: [WEATHER],
    });
    expect([input_tokens, prompts]).toEqual(["user: Hi!\nTOOLS get_weather ".length, []]);
  });
});

describe("models", () => {
  it("are listed for this client as well", async () => {
    const { client } = world("");
    const page = await client.models.list();
    expect(page.data).toMatchObject([
      { type: "model", id: expect.any(String), display_name: expect.any(String) },
    ]);
    const { id } = page.data[0]!;
    expect(await client.models.retrieve(id)).toMatchObject({ id, created_at: "1970-01-01T00:00:00.000Z" });
  });
});
