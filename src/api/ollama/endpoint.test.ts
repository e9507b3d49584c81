import { beforeAll, describe, expect, it } from "vitest";
import { byteGrammars } from "../../../test/support/byte-grammars.ts";
import { type Script, scriptedFetch } from "../../../test/support/scripted.ts";
import type { LlguidanceGrammars } from "../../grammar/llguidance/grammars.ts";

/** Ollama's API by requests, against a model that writes as Qwen 3 does and says what a script has it say. */

const SHOWS = `{%- for message in messages -%}
{{- message.role }}: {{ message.content }}{% if message.reasoning_content %} THOUGHT {{ message.reasoning_content }}{% endif %}
{%- for call in message.tool_calls or [] %} CALL {{ call.id }} {{ call.function.name }} {{ call.function.arguments.a }}{% endfor %}
{%- if message.tool_call_id %} OF {{ message.tool_call_id }}{% endif %}
{% endfor -%}
{%- if tools %}TOOLS {{ tools[0].function.name }}{% endif -%}
{% if reasoning_effort %} EFFORT {{ reasoning_effort }}{% endif %}{% if not enable_thinking %} QUIET{% endif %}`;
const THINKS = `{# <tool_call> </think> #}${SHOWS}`;
const SPECIALS = [
  "<tool_call>",
  "</tool_call>",
  "<think>",
  "</think>",
  "<s>",
  "<before>",
  "<after>",
  "<middle>",
];

let grammars: LlguidanceGrammars;
beforeAll(async () => {
  grammars = await byteGrammars();
});

interface Got {
  readonly status: number;
  readonly body: Record<string, unknown> & { readonly message?: Record<string, unknown> };
  readonly prompts: readonly string[];
}

async function send(
  path: string,
  body: unknown,
  { script = () => "Hello.", template = THINKS, method = "POST" }: Partial<Asked> = {},
): Promise<Got> {
  const prompts: string[] = [];
  const fetch = scriptedFetch({
    ...{ template, specials: SPECIALS, grammars },
    script: (prompt) => {
      prompts.push(prompt);
      return script(prompt);
    },
  });
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  const response = await fetch(`http://localhost${path}`, { method, ...sent });
  const text = await response.text();
  return { status: response.status, body: text.startsWith("{") ? JSON.parse(text) : { text }, prompts };
}
interface Asked {
  readonly script: Script;
  readonly template: string;
  readonly method: string;
}

const USER = { role: "user", content: "Hi!" };
const chat = (more: object = {}, asked: Partial<Asked> = {}) =>
  send("/api/chat", { model: "script", messages: [USER], stream: false, ...more }, asked);
const generate = (more: object = {}, asked: Partial<Asked> = {}) =>
  send("/api/generate", { model: "script", prompt: "Hi!", stream: false, ...more }, asked);
const ADD = {
  type: "function",
  function: { name: "add", description: "adds", parameters: { type: "object", properties: {} } },
};

describe("what clients look for first", () => {
  it.each(["GET", "HEAD"])("is there by %s", async (method) => {
    for (const path of ["/", "/api/version", "/api/tags", "/api/ps"]) {
      expect((await send(path, undefined, { method })).status).toBe(200);
    }
  });

  it("has their words, and says who answers", async () => {
    const { body } = await send("/", undefined, { method: "GET" });
    expect(body.text).toContain("Ollama is running");
    expect(body.text).toContain("PicoSpec");
  });
});

describe("models", () => {
  const details = {
    ...{ parent_model: "", format: "", family: "", families: [], parameter_size: "" },
    ...{ quantization_level: "", context_length: 100_000 },
  };
  const named = { name: "script:latest", model: "script:latest", size: 0, digest: "", details };

  it("are listed, with what they can do", async () => {
    expect((await send("/api/tags", undefined, { method: "GET" })).body).toEqual({
      models: [
        {
          ...named,
          modified_at: "1970-01-01T00:00:00.000Z",
          capabilities: ["completion", "tools", "thinking", "insert"],
        },
      ],
    });
  });

  it("are running for ever", async () => {
    expect((await send("/api/ps", undefined, { method: "GET" })).body).toEqual({
      models: [{ ...named, expires_at: "2318-01-01T00:00:00Z", size_vram: 0, context_length: 100_000 }],
    });
  });

  it.each([
    "script",
    "script:latest",
    "SCRIPT",
    "Script:LATEST",
  ])("are shown by the name %s", async (model) => {
    const { status, body } = await send("/api/show", { model });
    expect(status).toBe(200);
    expect(body).toMatchObject({
      ...{ template: THINKS, details, capabilities: ["completion", "tools", "thinking", "insert"] },
      model_info: { "general.architecture": "picospec", "picospec.context_length": 100_000 },
    });
    expect(body.parameters).toMatch(/^temperature +1\ntop_k +0\n/);
  });

  it("without thoughts and tools of their own do not promise thoughts", async () => {
    const { body } = await send("/api/show", { name: "script" }, { template: SHOWS });
    expect(body.capabilities).not.toContain("thinking");
  });

  it.each(["/api/chat", "/api/generate", "/api/show"])("that are not there are a 404 of %s", async (path) => {
    const { status, body } = await send(path, { model: "other:7b", messages: [USER], prompt: "Hi!" });
    expect([status, body]).toEqual([404, { error: "model 'other:7b' not found" }]);
  });
});

describe("a chat", () => {
  it("is a stream of lines unless it says otherwise", async () => {
    const fetch = scriptedFetch({ script: () => "Hello.", template: THINKS, specials: SPECIALS, grammars });
    const body = JSON.stringify({ model: "script:latest", messages: [USER] });
    const response = await fetch("http://localhost/api/chat", { method: "POST", body });
    expect(response.headers.get("content-type")).toBe("application/x-ndjson");
    expect(response.headers.get("x-picospec-answered-by")).toBe("edge");
    const lines = (await response.text())
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.map(({ message }) => message.content).join("")).toBe("Hello.");
    expect(lines.map(({ done }) => done)).toEqual([...lines.slice(1).map(() => false), true]);
    expect(lines.at(-1)).toMatchObject({ model: "script:latest", done_reason: "stop", eval_count: 6 });
  });

  it("goes through the chat template, with calls, results by their names, and thoughts", async () => {
    const call = (a: number, more: object = {}) => ({ ...more, function: { name: "add", arguments: { a } } });
    const messages = [
      { role: "SYSTEM", content: "Be kind." },
      USER,
      { role: "assistant", content: "", thinking: "hm", tool_calls: [call(3), call(4, { id: "x" })] },
      { role: "tool", content: "7", tool_name: "add" },
      { role: "tool", content: "8", tool_call_id: "x" },
      { role: "assistant", tool_calls: [{ function: { name: "add" } }] },
      { role: "tool", content: "9" },
    ];
    const { status, prompts } = await chat({ messages, tools: [ADD] });
    expect(status).toBe(200);
    expect(prompts[0]!.split("\n")).toEqual([
      "system: Be kind.",
      "user: Hi!",
      "assistant:  THOUGHT hm CALL call00000 add 3 CALL x add 4",
      "tool: 7 OF call00000",
      "tool: 8 OF x",
      "assistant:  CALL call00001 add ",
      "tool: 9 OF call00001",
      "TOOLS add",
    ]);
  });

  it("goes on with a last message of the assistant", async () => {
    const { prompts } = await chat({ messages: [USER, { role: "assistant", content: "Once upon" }] });
    expect(prompts[0]).toMatch(/Once upon$/);
  });

  it.each([
    [undefined, ""],
    [true, ""],
    [false, " QUIET"],
    ["low", " EFFORT low"],
    ["max", " EFFORT high"],
  ])("with think %s tells the template", async (think, told) => {
    const { prompts } = await chat({ think });
    expect(prompts[0]).toBe(`user: Hi!\n${told}`);
  });

  it("has thoughts and calls apart from what it says", async () => {
    const said =
      '<think>\nhm\n</think>\n\nSure.<tool_call>\n{"name": "add", "arguments": {"a": 3}}\n</tool_call>';
    const { body } = await chat({ tools: [ADD], think: true }, { script: () => said });
    expect(body.message).toMatchObject({
      thinking: expect.stringContaining("hm"),
      content: expect.stringContaining("Sure."),
      tool_calls: [{ function: { index: 0, name: "add", arguments: { a: 3 } } }],
    });
  });

  it.each([
    ["json", '{"a": 1}'],
    [{ type: "object", properties: { n: { type: "integer" } }, required: ["n"] }, '{"n": 3}'],
  ])("keeps to the format %j", async (format, said) => {
    expect((await chat({ format }, { script: () => said })).body.message!.content).toBe(said);
    const { status, body } = await chat({ format }, { script: () => "no" });
    expect([status, body.error]).toEqual([503, expect.stringContaining("grammar")]);
  });

  it("without messages tells that the model is there", async () => {
    for (const more of [{ messages: [] }, { messages: undefined, keep_alive: 0, stream: true }]) {
      expect((await chat(more)).body).toEqual({
        ...{ model: "script", created_at: "1970-01-01T00:00:00.000Z" },
        ...{ message: { role: "assistant", content: "" }, done: true, done_reason: "load" },
      });
    }
  });
});

describe("a question", () => {
  it("is the user's message, behind the system's", async () => {
    const { body, prompts } = await generate({ system: "Be kind.", context: [], template: "", images: [] });
    expect(prompts[0]).toBe("system: Be kind.\nuser: Hi!\n");
    expect(body).toMatchObject({ model: "script", response: "Hello.", done: true, done_reason: "stop" });
    expect(body).not.toHaveProperty("context");
  });

  it("is raw as it is, special tokens by their names, and so is the answer", async () => {
    const { body, prompts } = await generate({ prompt: "<s>x", raw: true }, { script: () => "<think>y" });
    expect(prompts[0]).toBe("<s>x");
    expect(body.response).toBe("y");
  });

  it("with a suffix is filled in", async () => {
    const { prompts } = await generate({ prompt: "a(", suffix: ")" });
    expect(prompts[0]).toBe("<before>a(<after>)<middle>");
  });

  it("that is empty tells that the model is there", async () => {
    const { body, prompts } = await generate({ prompt: "", keep_alive: "5m" });
    expect(prompts).toEqual([]);
    expect(body).toEqual({
      ...{ model: "script", created_at: "1970-01-01T00:00:00.000Z", response: "" },
      ...{ done: true, done_reason: "load" },
    });
  });
});

/** What is asked, and what is said to it: 200, or a status with words of its error. None is a fault of the endpoint. */
const UNUSUAL: readonly [
  why: string,
  path: "chat" | "generate",
  body: object,
  status: number,
  words?: RegExp,
][] = [
  ["no model", "chat", { model: undefined }, 400, /model: must be a string, and is missing/],
  ["a model that is null", "generate", { model: null }, 400, /model: must be a string, not null/],
  ["messages that are no list", "chat", { messages: "Hi!" }, 400, /messages: must be a list/],
  [
    "a role that there is not",
    "chat",
    { messages: [{ role: "bot", content: "" }] },
    400,
    /messages\.0\.role/,
  ],
  ["content in parts", "chat", { messages: [{ ...USER, content: [] }] }, 400, /messages\.0\.content/],
  ["no content", "chat", { messages: [{ role: "user" }] }, 200],
  ["an image", "chat", { messages: [{ ...USER, images: ["AAAA"] }] }, 400, /images: are not taken/],
  ["an image of a question", "generate", { images: ["AAAA"] }, 400, /images: are not taken/],
  ["no images", "chat", { messages: [{ ...USER, images: null }] }, 200],
  [
    "arguments as text",
    "chat",
    { messages: [{ role: "assistant", tool_calls: [{ function: { name: "f", arguments: "{}" } }] }] },
    ...([400, /arguments: must be an object/] as const),
  ],
  ["a result of no call", "chat", { messages: [{ role: "tool", content: "7", tool_name: "f" }] }, 200],
  ["tools that are null", "chat", { tools: null, format: null, options: null, think: null }, 200],
  [
    "a tool without a name",
    "chat",
    { tools: [{ type: "function", function: {} }] },
    400,
    /tools\.0\.function\.name/,
  ],
  ["a tool without parameters", "chat", { tools: [{ function: { name: "f" } }] }, 200],
  ["a format that there is not", "chat", { format: "xml" }, 400, /format: must be "json", or a JSON Schema/],
  ["an empty format", "generate", { format: "" }, 200],
  ["a schema that cannot be kept", "chat", { format: { $ref: "https://a.example/b" } }, 400, /format/],
  ["a level that there is not", "chat", { think: "extreme" }, 400, /think: must be true, false, low/],
  ["stream as text", "chat", { stream: "yes" }, 400, /stream: must be true or false/],
  [
    "more of the likeliest than there may be",
    "chat",
    { logprobs: true, top_logprobs: 21 },
    400,
    /top_logprobs/,
  ],
  ["logprobs of the small model", "chat", { logprobs: true }, 200],
  ["a template", "generate", { template: "{{ .Prompt }}" }, 400, /template: is not supported/],
  ["a context", "generate", { context: [1, 2, 3] }, 400, /context: is not supported: send the messages/],
  ["raw with system", "generate", { raw: true, system: "x" }, 400, /system: goes without raw/],
  ["raw with suffix", "generate", { raw: true, suffix: "x" }, 400, /suffix: goes without raw/],
  ["raw with thoughts", "generate", { raw: true, think: true }, 400, /think: goes without raw/],
  ["a suffix with system", "generate", { suffix: "x", system: "y" }, 400, /system: goes without suffix/],
  ["only the prompt of it", "chat", { _debug_render_only: true }, 400, /apply-template/],
  [
    "unknown fields",
    "chat",
    { nonsense: 1, width: 512, options: { num_ctx: 8192, num_gpu: 99, zap: 1 } },
    200,
  ],
  ["every option at what does nothing", "chat", { options: { mirostat: 0, tfs_z: 1, typical_p: 1 } }, 200],
  ["mirostat", "chat", { options: { mirostat: 2 } }, 400, /options\.mirostat: must be 0/],
  ["tfs_z", "chat", { options: { tfs_z: 0.5 } }, 400, /options\.tfs_z: must be 1/],
  ["typical_p", "chat", { options: { typical_p: 0.7 } }, 400, /options\.typical_p: must be 1/],
  [
    "newlines free of a penalty",
    "chat",
    { options: { penalize_newline: false, repeat_penalty: 1.1 } },
    400,
    /newline/,
  ],
  ["newlines where there is no penalty", "chat", { options: { penalize_newline: false } }, 200],
  ["no limit", "chat", { options: { num_predict: -1 } }, 200],
  ["all of the context", "generate", { options: { num_predict: -2 } }, 200],
  ["no tokens", "chat", { options: { num_predict: 0 } }, 400, /options\.num_predict: must be .* or -1 or -2/],
  ["part of a token", "chat", { options: { num_predict: 1.5 } }, 400, /options\.num_predict/],
  ["a temperature below 0", "chat", { options: { temperature: -1 } }, 400, /options\.temperature: must be/],
  ["a temperature above OpenAI's", "chat", { options: { temperature: 3 } }, 200],
  ["a temperature as text", "chat", { options: { temperature: "hot" } }, 400, /options\.temperature/],
  ["top_k off", "chat", { options: { top_k: -1, repeat_last_n: -1, seed: -1 } }, 200],
  ["one stop string", "chat", { options: { stop: "\n" } }, 200],
  ["an empty stop string", "chat", { options: { stop: [""] } }, 400, /options\.stop/],
  ["options that are a list", "chat", { options: [] }, 400, /options: must be an object/],
  ["keep_alive without end", "chat", { keep_alive: -1, truncate: true, shift: false }, 200],
  ["keep_alive as an object", "chat", { keep_alive: {} }, 400, /keep_alive: must be a number of seconds/],
];

describe("unusual requests", () => {
  it.each(UNUSUAL)("%s", async (_, path, body, status, words = /^$/) => {
    const got = await (path === "chat" ? chat(body) : generate(body));
    expect([got.status, got.body.error ?? ""]).toEqual([status, expect.stringMatching(words)]);
    if (status !== 200) expect(Object.keys(got.body)).toEqual(["error"]);
  });

  it("of a model that does not think for its thoughts", async () => {
    const { status, body } = await chat({ think: true }, { template: SHOWS });
    expect([status, body.error]).toEqual([
      400,
      expect.stringContaining('"script" does not support thinking'),
    ]);
    expect((await chat({ think: false }, { template: SHOWS })).status).toBe(200);
  });

  it.each([
    ["POST", "pull"],
    ["POST", "push"],
    ["POST", "create"],
    ["POST", "copy"],
    ["POST", "blobs/sha256:00"],
    ["DELETE", "delete"],
    ["POST", "embed"],
    ["POST", "embeddings"],
  ])("%s /api/%s is a 501 with its reason", async (method, name) => {
    const { status, body } = await send(`/api/${name}`, { model: "script" }, { method });
    expect([status, body.error]).toEqual([501, expect.stringMatching(/is not supported: .{20}/)]);
  });

  it("have errors in Ollama's form also where there is nothing, and by another method", async () => {
    expect(await send("/api/nothing", {})).toMatchObject({
      status: 404,
      body: { error: expect.any(String) },
    });
    expect(await send("/api/tags", {})).toMatchObject({ status: 405, body: { error: expect.any(String) } });
  });
});
