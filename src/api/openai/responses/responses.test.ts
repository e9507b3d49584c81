import OpenAI from "openai";
import { beforeAll, describe, expect, it } from "vitest";
import { byteGrammars } from "../../../../test/support/byte-grammars.ts";
import { type Script, type ScriptedOptions, scriptedFetch } from "../../../../test/support/scripted.ts";
import type { LlguidanceGrammars } from "../../../grammar/llguidance/grammars.ts";
import { MemoryStore } from "./store.ts";

/** Responses as OpenAI's own client reads them, from a model that writes as Qwen 3 does. */

const TEMPLATE = `{# <tool_call> </think> #}{%- for message in messages -%}
{{- message.role }}: {% if message.reasoning_content %}({{ message.reasoning_content }}) {% endif %}{{ message.content }}
{%- for call in message.tool_calls or [] %}[{{ call.function.name }} {{ call.function.arguments | tojson }}]{% endfor %}
{{- "\\n" }}{% endfor -%}
{%- if tools %}TOOLS {% for tool in tools %}{{ tool.function.name }} {% endfor %}{% endif %}{% if reasoning_effort == "high" %}<think>
{% endif %}`;
const SPECIALS = ["<tool_call>", "</tool_call>", "<think>", "</think>"];

let grammars: LlguidanceGrammars;
beforeAll(async () => {
  grammars = await byteGrammars();
});

interface World {
  readonly openai: OpenAI;
  readonly prompts: readonly string[];
  readonly fetch: typeof fetch;
}

function world(script: Script | string, more: Partial<ScriptedOptions> = {}): World {
  const prompts: string[] = [];
  const says: Script = (prompt) => {
    prompts.push(prompt);
    return typeof script === "string" ? script : script(prompt);
  };
  const fetch = scriptedFetch({ script: says, template: TEMPLATE, specials: SPECIALS, grammars, ...more });
  const apiKey = more.apiKey ?? "none";
  const openai = new OpenAI({ baseURL: "http://localhost/v1", apiKey, fetch, maxRetries: 0 });
  return { openai, prompts, fetch };
}

const call = (name: string, args: object) =>
  `<tool_call>\n{"name": ${JSON.stringify(name)}, "arguments": ${JSON.stringify(args)}}\n</tool_call>`;
const WEATHER: OpenAI.Responses.FunctionTool = {
  ...{ type: "function", name: "get_weather", strict: false },
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};

type Event = OpenAI.Responses.ResponseStreamEvent;
async function eventsOf(openai: OpenAI, body: OpenAI.Responses.ResponseCreateParams): Promise<Event[]> {
  const events: Event[] = [];
  for await (const event of await openai.responses.create({ ...body, stream: true })) events.push(event);
  return events;
}
const types = (events: readonly Event[]) => {
  const names = events.map(({ type }) => type.replace("response.", ""));
  return names.filter((name, i) => name !== names[i - 1]);
};

describe("a response", () => {
  it("has the fields of OpenAI's, and what was asked", async () => {
    const { openai, prompts } = world("Hello!");
    const response = await openai.responses.create({
      ...{ model: "script", input: "Hi", instructions: "Be brief.", temperature: 0.5, metadata: { a: "b" } },
      ...{ max_output_tokens: 50, user: "u", top_p: 0.9, text: { verbosity: "low" } },
    });
    expect(prompts).toEqual(["system: Be brief.\nuser: Hi\n"]);
    expect(response).toMatchObject({
      ...{ id: "resp_0", object: "response", created_at: 0, status: "completed", model: "script" },
      ...{ error: null, incomplete_details: null, instructions: "Be brief.", metadata: { a: "b" } },
      ...{ max_output_tokens: 50, user: "u", temperature: 0.5, top_p: 0.9, store: true, background: false },
      ...{ text: { verbosity: "low", format: { type: "text" } }, tools: [], tool_choice: "auto" },
      ...{ parallel_tool_calls: true, previous_response_id: null, truncation: "disabled" },
      reasoning: { effort: null, summary: null },
      output_text: "Hello!",
      output: [
        {
          ...{ id: "msg_0_1", type: "message", role: "assistant", status: "completed" },
          content: [{ type: "output_text", text: "Hello!", annotations: [], logprobs: [] }],
        },
      ],
      usage: {
        ...{ input_tokens: 27, output_tokens: 6, total_tokens: 33 },
        input_tokens_details: { cached_tokens: 0 },
        output_tokens_details: { reasoning_tokens: 0 },
      },
    });
  });

  it("is streamed by the events that OpenAI's client puts together, each with its number", async () => {
    const { openai } = world("Hello!");
    const events = await eventsOf(openai, { model: "script", input: "Hi" });
    expect(events.map((event) => (event as { sequence_number: number }).sequence_number)).toEqual(
      events.map((_, i) => i),
    );
    expect(types(events)).toEqual([
      ...["created", "in_progress", "output_item.added", "content_part.added", "output_text.delta"],
      ...["output_text.done", "content_part.done", "output_item.done", "completed"],
    ]);
    expect(events[0]).toMatchObject({ response: { id: "resp_0", status: "in_progress", output: [] } });
    expect(events[2]).toMatchObject({ output_index: 0, item: { status: "in_progress", content: [] } });
    const stream = world("Hello!").openai.responses.stream({ model: "script", input: "Hi" });
    const final = await stream.finalResponse();
    expect(final.output_text).toBe("Hello!");
    expect(final.usage).toMatchObject({ output_tokens: 6 });
  });

  it("that meets its limit is incomplete", async () => {
    const { openai } = world("Hello!");
    const body = { model: "script", input: "Hi", max_output_tokens: 3 };
    expect(await openai.responses.create(body)).toMatchObject({
      ...{ status: "incomplete", incomplete_details: { reason: "max_output_tokens" }, output_text: "Hel" },
      output: [{ status: "incomplete" }],
    });
    expect((await eventsOf(openai, body)).at(-1)).toMatchObject({
      ...{ type: "response.incomplete", response: { status: "incomplete" } },
    });
  });

  it("keeps to a schema, and its client parses it", async () => {
    const schema = {
      type: "object",
      properties: { a: { const: 1 } },
      required: ["a"],
      additionalProperties: false,
    };
    const text = { format: { type: "json_schema" as const, name: "x", strict: true, schema } };
    const body = { model: "script", input: "Hi", text };
    expect((await world('{"a": 1}').openai.responses.parse(body)).output_parsed).toEqual({ a: 1 });
    await expect(world("Hello").openai.responses.create(body)).rejects.toThrow(/grammar does not allow/);
    const object = { model: "script", input: "Hi", text: { format: { type: "json_object" as const } } };
    expect((await world('{"b": 2}').openai.responses.create(object)).output_text).toBe('{"b": 2}');
  });

  it("that fails after its beginning ends with an event that says why, and is kept as that", async () => {
    const { openai } = world("Hello");
    const text = { format: { type: "json_object" as const } };
    const last = (await eventsOf(openai, { model: "script", input: "Hi", text })).at(-1);
    expect(last).toMatchObject({
      type: "response.failed",
      response: {
        status: "failed",
        error: { code: "server_error", message: expect.stringMatching(/grammar/) },
      },
    });
    expect(await openai.responses.retrieve("resp_0")).toMatchObject({ status: "failed" });
  });

  it("has logprobs where they are wanted", async () => {
    const { openai } = world("Hi");
    const include = ["message.output_text.logprobs" as const];
    const { output } = await openai.responses.create({ model: "script", input: "Hi", include });
    // A scripted model has none: the shape is that of chat completions, which has tests of its own.
    expect(output[0]).toMatchObject({ content: [{ logprobs: [] }] });
  });
});

describe("thoughts", () => {
  const asks = { model: "script", input: "2 + 2?", reasoning: { effort: "high" as const } };
  const thinks = "Hm.\n</think>\n\n4.";

  it("are an item of their own, before what is said", async () => {
    const { output, output_text, usage } = await world(thinks).openai.responses.create(asks);
    expect(output).toEqual([
      {
        ...{ id: "rs_0_1", type: "reasoning", status: "completed", summary: [] },
        content: [{ type: "reasoning_text", text: "Hm." }],
      },
      expect.objectContaining({ id: "msg_0_2", type: "message" }),
    ]);
    expect(output_text).toBe("4.");
    expect(usage!.output_tokens_details.reasoning_tokens).toBeGreaterThan(0);
  });

  it("are streamed as text, and as their own summary to a client that reads those", async () => {
    const plain = await eventsOf(world(thinks).openai, asks);
    expect(types(plain).slice(2, 8)).toEqual([
      ...["output_item.added", "content_part.added", "reasoning_text.delta", "reasoning_text.done"],
      ...["content_part.done", "output_item.done"],
    ]);
    const { openai } = world(thinks);
    const summary = { ...asks, reasoning: { effort: "high" as const, summary: "auto" as const } };
    const events = new Set(types(await eventsOf(openai, summary)));
    for (const name of ["part.added", "text.delta", "text.done", "part.done"])
      expect(events).toContain(`reasoning_summary_${name}`);
    const final = await openai.responses.stream(summary).finalResponse();
    expect(final.output[0]).toMatchObject({
      summary: [{ type: "summary_text", text: "Hm." }],
      content: [{ type: "reasoning_text", text: "Hm." }],
    });
  });

  it("come back to the model from what a client keeps: as items, sealed, or by reference", async () => {
    const { openai, prompts } = world(thinks);
    const include = ["reasoning.encrypted_content" as const];
    const { output } = await openai.responses.create({ ...asks, include });
    const [thought, said] = output as [
      OpenAI.Responses.ResponseReasoningItem,
      OpenAI.Responses.ResponseOutputMessage,
    ];
    const { content: _, ...sealed } = thought;
    const asked = { type: "message" as const, role: "user" as const, content: "2 + 2?" };
    for (const items of [
      [thought, said],
      [sealed, said],
      [thought, said].map(({ id }) => ({ type: "item_reference" as const, id })),
    ]) {
      await openai.responses.create({ model: "script", input: [asked, ...items, asked] });
      expect(prompts.at(-1)).toBe("user: 2 + 2?\nassistant: (Hm.) 4.\nuser: 2 + 2?\n");
    }
    const foreign = { ...sealed, encrypted_content: "gAAAA" };
    await openai.responses.create({ model: "script", input: [asked, foreign, said] });
    expect(prompts.at(-1)).toBe("user: 2 + 2?\nassistant: 4.\n");
  });
});

describe("tools", () => {
  const asks = { model: "script", input: "Oslo?", tools: [WEATHER] };
  const loop: Script = (prompt) =>
    prompt.includes("tool: ") ? "Cold." : call("get_weather", { city: "Oslo" });

  it("are called, whole and streamed, and their output is answered", async () => {
    const { openai, prompts } = world(loop);
    const { output } = await openai.responses.create(asks);
    const [called] = output as [OpenAI.Responses.ResponseFunctionToolCallItem];
    expect(output).toHaveLength(1);
    expect(called).toMatchObject({ type: "function_call", status: "completed", name: "get_weather" });
    expect(called.id).toMatch(/^fc_/);
    expect(JSON.parse(called.arguments)).toEqual({ city: "Oslo" });
    const answer = { type: "function_call_output" as const, call_id: called.call_id, output: "-3" };
    const question = { role: "user" as const, content: "Oslo?" };
    const whole = await openai.responses.create({ ...asks, input: [question, called, answer] });
    expect(whole.output_text).toBe("Cold.");
    const parts = { ...answer, output: [{ type: "input_text" as const, text: "-3" }] };
    await openai.responses.create({ ...asks, previous_response_id: "resp_0", input: [parts] });
    expect(prompts[2]).toBe(prompts[1]);
    const events = await eventsOf(openai, asks);
    expect(types(events).slice(2, 6)).toEqual([
      ...["output_item.added", "function_call_arguments.delta", "function_call_arguments.done"],
      "output_item.done",
    ]);
    const done = events.find(({ type }) => type === "response.function_call_arguments.done");
    expect(done).toMatchObject({ name: "get_weather", arguments: called.arguments });
  });

  it("that are custom take text, and go back as text", async () => {
    const custom = { type: "custom" as const, name: "patch", description: "Changes files." };
    const { openai, prompts } = world((prompt) =>
      prompt.includes("tool: ") ? "Done." : call("patch", { input: "*** Begin\n+x" }),
    );
    const body = { model: "script", input: "Fix it.", tools: [custom] };
    const [called] = (await openai.responses.create(body)).output;
    expect(called).toMatchObject({ type: "custom_tool_call", name: "patch", input: "*** Begin\n+x" });
    expect(called!.id).toMatch(/^ctc_/);
    const final = await openai.responses.stream(body).finalResponse();
    expect(final.output[0]).toMatchObject({ type: "custom_tool_call", input: "*** Begin\n+x" });
    const { call_id } = called as OpenAI.Responses.ResponseCustomToolCall;
    const output = { type: "custom_tool_call_output" as const, call_id, output: "ok" };
    const next = { ...body, previous_response_id: "resp_0", input: [output] };
    expect((await openai.responses.create(next)).output_text).toBe("Done.");
    expect(prompts.at(-1)).toContain(`[patch {"input": "*** Begin\\n+x"}]`);
  });

  it("in a namespace go by both names", async () => {
    const space = { type: "namespace", name: "files", description: "Files.", tools: [WEATHER] };
    const { openai, prompts } = world(call("files__get_weather", { city: "Oslo" }));
    const { output } = await openai.responses.create({ ...asks, tools: [space as never] });
    expect(prompts[0]).toContain("TOOLS files__get_weather");
    expect(output[0]).toMatchObject({ name: "get_weather", namespace: "files" });
  });

  it("that run elsewhere are left out where clients send them by themselves, and the client is told", async () => {
    const { openai, prompts } = world("No.");
    const tools = [WEATHER, { type: "web_search" as const }, { type: "image_generation" as const }];
    const { response } = await openai.responses.create({ ...asks, tools }).withResponse();
    expect(prompts[0]).toMatch(/TOOLS get_weather $/);
    expect(response.headers.get("x-picospec-relaxed")).toBe(
      "web_search at tools.1, image_generation at tools.2",
    );
    const search = { type: "file_search" as const, vector_store_ids: ["v"] };
    await expect(openai.responses.create({ ...asks, tools: [search] })).rejects.toThrow(
      'tools.0.type: tools of type "file_search" are not run here',
    );
  });

  it("are called as the choice says", async () => {
    const required = { ...asks, tool_choice: { type: "function" as const, name: "get_weather" } };
    const { openai } = world(call("get_weather", { city: "Oslo" }).replace('":"', '": "'));
    expect((await openai.responses.create(required)).output).toHaveLength(1);
    await expect(world("Hello.").openai.responses.create(required)).rejects.toThrow(/grammar does not allow/);
    const none = { ...asks, tool_choice: "none" as const };
    expect((await world("Hello.").openai.responses.create(none)).output_text).toBe("Hello.");
  });
});

describe("what is kept", () => {
  const say: Script = (prompt) => `${prompt.length}`;

  it("is gone on from, without its instructions", async () => {
    const { openai, prompts } = world(say);
    const first = await openai.responses.create({ model: "script", input: "One", instructions: "Be brief." });
    const second = await openai.responses.create({
      model: "script",
      input: "Two",
      previous_response_id: first.id,
    });
    const input = [{ role: "user" as const, content: "Three" }];
    await openai.responses.create({ model: "script", input, previous_response_id: second.id });
    const said = `user: One\nassistant: ${first.output_text}\nuser: Two\n`;
    expect(prompts.slice(1)).toEqual([said, `${said}assistant: ${second.output_text}\nuser: Three\n`]);
    expect(second.previous_response_id).toBe(first.id);
  });

  it("is read again, listed and deleted", async () => {
    const { openai } = world(say);
    const made = await openai.responses.create({ model: "script", input: "Hi" });
    expect(await openai.responses.retrieve(made.id)).toEqual(made);
    const { data } = await openai.responses.inputItems.list(made.id);
    expect(data).toEqual([
      {
        ...{ id: "msg_0_0", type: "message", role: "user", status: "completed" },
        content: [{ type: "input_text", text: "Hi" }],
      },
    ]);
    await openai.responses.delete(made.id);
    for (const gone of [
      () => openai.responses.retrieve(made.id),
      () => openai.responses.delete(made.id),
      () => openai.responses.inputItems.list(made.id),
    ])
      await expect(gone()).rejects.toMatchObject({ status: 404, code: "response_not_found" });
    const next = { model: "script", input: "Hi", previous_response_id: made.id };
    await expect(openai.responses.create(next)).rejects.toMatchObject({
      ...{ status: 400, code: "previous_response_not_found", param: "previous_response_id" },
    });
  });

  it("is listed a page at a time", async () => {
    const { openai } = world(say);
    const input = ["a", "b", "c"].map((content) => ({ role: "user" as const, content }));
    const { id } = await openai.responses.create({ model: "script", input });
    const ids: string[] = [];
    for await (const item of openai.responses.inputItems.list(id, { limit: 2, order: "asc" }))
      ids.push(item.id!);
    expect(ids).toEqual(["msg_0_0", "msg_0_1", "msg_0_2"]);
    const newest = await openai.responses.inputItems.list(id, { limit: 1 });
    expect([newest.data[0]!.id, newest.hasNextPage()]).toEqual(["msg_0_2", true]);
  });

  it("is nothing where the client does not want that", async () => {
    const { openai } = world(say);
    const { id } = await openai.responses.create({ model: "script", input: "Hi", store: false });
    await expect(openai.responses.retrieve(id)).rejects.toMatchObject({ status: 404 });
  });

  it("is another's for another key: it is as if there were none", async () => {
    const responses = new MemoryStore();
    const [mine, other] = ["a", "b"].map((apiKey) => world(say, { apiKey, faces: { responses } }).openai) as [
      OpenAI,
      OpenAI,
    ];
    const { id } = await mine.responses.create({ model: "script", input: "Hi" });
    expect((await mine.responses.retrieve(id)).id).toBe(id);
    const told = async (act: () => Promise<unknown>) =>
      act().then(
        () => null,
        ({ status, message }: { status: number; message: string }) => [status, message],
      );
    for (const act of [
      (name: string) => other.responses.retrieve(name),
      (name: string) => other.responses.delete(name),
      (name: string) => other.responses.cancel(name),
      (name: string) => other.responses.inputItems.list(name),
      (name: string) => other.responses.create({ model: "script", input: "Hi", previous_response_id: name }),
    ]) {
      const [there, missing] = [await told(() => act(id)), await told(() => act("resp_9"))];
      expect(JSON.stringify(there).replaceAll(id, "resp_9")).toBe(JSON.stringify(missing));
      expect(there).not.toBe(null);
    }
    expect((await mine.responses.retrieve(id)).id).toBe(id);
  });

  it("is ended before its time where it is cancelled", async () => {
    const { openai } = world("x".repeat(500));
    const stream = await openai.responses.create({ model: "script", input: "Hi", stream: true });
    let [id, last, asked] = ["", null as Event | null, false];
    for await (const event of stream) {
      last = event;
      if (event.type === "response.created") id = event.response.id;
      if (event.type !== "response.output_text.delta" || asked) continue;
      asked = true;
      expect(await openai.responses.retrieve(id)).toMatchObject({ status: "in_progress" });
      expect(await openai.responses.cancel(id)).toMatchObject({ id, status: "cancelled" });
    }
    expect(last).toMatchObject({ type: "response.incomplete", response: { status: "cancelled" } });
    expect(await openai.responses.retrieve(id)).toMatchObject({ status: "cancelled" });
    await expect(openai.responses.cancel(id)).rejects.toMatchObject({ status: 400 });
  });

  it("is bounded: the oldest make way", async () => {
    const responses = new MemoryStore({ responses: 2, units: 10_000 });
    const { openai } = world(say, { faces: { responses } });
    const make = async (input: string) => (await openai.responses.create({ model: "script", input })).id;
    const kept = async (id: string) => openai.responses.retrieve(id).then(Boolean, () => false);
    const [a, b, c] = [await make("a"), await make("b"), await make("c")];
    expect(await Promise.all([a, b, c].map(kept))).toEqual([false, true, true]);
    const large = await make("x".repeat(8000));
    expect(await Promise.all([b, c, large].map(kept))).toEqual([false, false, true]);
    expect(await kept(await make("x".repeat(12_000)))).toBe(false);
    expect(await kept(large)).toBe(true);
  });
});
