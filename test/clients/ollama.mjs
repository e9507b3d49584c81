import assert from "node:assert/strict";

/**
 * Flows of the `ollama` client from npm, unmodified. Each is a function that throws on a wrong outcome. The target is
 * scripted: TARGET says what it answers, by a model that writes as Qwen 3 does.
 */

const LONG = Array.from({ length: 2000 }, (_, i) => `word${i}`).join(" ");

export const TARGET = {
  template: `{# <tool_call> </think> #}{%- for message in messages -%}
{{- message.role }}: {{ message.content }}
{% endfor -%}
{%- if tools %}TOOLS{% endif %}`,
  /** texts of special tokens */
  specials: ["<tool_call>", "</tool_call>", "<think>", "</think>"],
  /** what it says to a prompt */
  script(prompt) {
    if (prompt.includes("RESULT")) return "It is 21 degrees.";
    if (prompt.includes("TOOLS"))
      return '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris", "days": 2}}\n</tool_call>';
    if (prompt.includes("person")) return '{"name": "Ada", "age": 36}';
    if (prompt.includes("Think")) return "<think>\nLet me see.\n</think>\n\nDone.";
    if (prompt.includes("long")) return LONG;
    return "Hello there.";
  },
};

const WEATHER = {
  type: "function",
  function: {
    name: "get_weather",
    description: "the weather of a city",
    parameters: {
      type: "object",
      properties: { city: { type: "string" }, days: { type: "integer" } },
      required: ["city"],
    },
  },
};
const PERSON = {
  type: "object",
  properties: { name: { type: "string" }, age: { type: "integer" } },
  required: ["name", "age"],
  additionalProperties: false,
};
const said = (content) => [{ role: "user", content }];

/**
 * @param {string} url of the endpoint, without a path
 * @param {string | null} key its API key; null: none
 * @param {{ fetch?: typeof fetch, load?: (name: string) => Promise<any> }} how to ask, and to import the client
 */
export async function flows(url, key, { fetch, load = (name) => import(name) } = {}) {
  const { Ollama } = await load("ollama");
  const headers = key === null ? {} : { Authorization: `Bearer ${key}` };
  const client = new Ollama({ host: url, headers, ...(fetch ? { fetch } : {}) });
  const [{ name: model }] = (await client.list()).models;
  return { ...models(client, model), ...answers(client, model), ...ends(client, model) };
}

function models(client, model) {
  return {
    async list() {
      const { models: all } = await client.list();
      assert.ok(all.length > 0 && all.every(({ name }) => /:[^/]+$/.test(name)));
    },
    async show() {
      const shown = await client.show({ model });
      assert.ok(shown.capabilities.includes("completion"));
      assert.ok(shown.capabilities.includes("tools"));
      const context = shown.model_info[`${shown.model_info["general.architecture"]}.context_length`];
      assert.ok(context > 0);
    },
    async ps() {
      assert.equal((await client.ps()).models[0].model, model);
    },
    async version() {
      assert.match((await client.version()).version, /^\d+\.\d+\.\d+$/);
    },
  };
}

function answers(client, model) {
  return {
    async chat() {
      const answer = await client.chat({ model, messages: said("Hi!") });
      assert.equal(answer.message.content, "Hello there.");
      assert.equal(answer.message.role, "assistant");
      assert.equal(answer.done_reason, "stop");
      assert.ok(answer.prompt_eval_count > 0 && answer.eval_count > 0);
    },
    async "chat, streamed"() {
      let text = "";
      let last = null;
      for await (const part of await client.chat({ model, messages: said("Hi!"), stream: true })) {
        text += part.message.content;
        last = part;
      }
      assert.equal(text, "Hello there.");
      assert.equal(last.done, true);
      assert.ok(last.total_duration >= 0 && last.eval_count > 0);
    },
    async "chat with tools, until there is an answer"() {
      for (const stream of [false, true]) {
        const messages = said("What is the weather?");
        const first = await whole(client, { model, messages, tools: [WEATHER], stream });
        assert.deepEqual(first.tool_calls[0].function.arguments, { city: "Paris", days: 2 });
        const { name } = first.tool_calls[0].function;
        messages.push(first, { role: "tool", content: "RESULT 21", tool_name: name });
        const second = await whole(client, { model, messages, tools: [WEATHER], stream });
        assert.equal(second.content, "It is 21 degrees.");
      }
    },
    async "chat with a format"() {
      const answer = await client.chat({ model, messages: said("A person."), format: PERSON });
      assert.deepEqual(JSON.parse(answer.message.content), { name: "Ada", age: 36 });
    },
    async "chat with thoughts"() {
      for (const stream of [false, true]) {
        const answer = await whole(client, { model, messages: said("Think."), think: true, stream });
        assert.equal(answer.thinking.trim(), "Let me see.");
        assert.equal(answer.content.trim(), "Done.");
      }
    },
    async generate() {
      const answer = await client.generate({ model, prompt: "Hi!", system: "Be kind." });
      assert.equal(answer.response, "Hello there.");
      assert.equal(answer.done, true);
    },
    async "generate, streamed"() {
      let text = "";
      for await (const part of await client.generate({ model, prompt: "Hi!", raw: true, stream: true })) {
        text += part.response;
      }
      assert.equal(text, "Hello there.");
    },
  };
}

function ends(client, model) {
  return {
    async abort() {
      const stream = await client.generate({ model, prompt: "Something long.", stream: true });
      let text = "";
      await assert.rejects(async () => {
        for await (const part of stream) {
          text += part.response;
          stream.abort();
        }
      });
      assert.ok(text.length > 0 && text.length < LONG.length);
    },
    async "a limit of tokens"() {
      const answer = await client.generate({
        model,
        prompt: "Hi!",
        options: { num_predict: 2, temperature: 0 },
      });
      assert.equal(answer.done_reason, "length");
      assert.equal(answer.eval_count, 2);
    },
    async errors() {
      await assert.rejects(client.chat({ model: "no-such-model", messages: said("Hi!") }), {
        status_code: 404,
        error: "model 'no-such-model' not found",
      });
      await assert.rejects(client.generate({ model, prompt: "Hi!", options: { mirostat: 2 } }), {
        status_code: 400,
        error: /mirostat/,
      });
      await assert.rejects(client.embed({ model, input: "Hi!" }), { status_code: 501 });
      await assert.rejects(client.pull({ model }), { status_code: 501 });
      await assert.rejects(client.delete({ model }), { status_code: 501 });
    },
  };
}

/** A message, also where it comes in parts. */
async function whole(client, request) {
  const answer = await client.chat(request);
  if (!request.stream) return answer.message;
  const message = { role: "assistant", content: "", thinking: "", tool_calls: [] };
  for await (const part of answer) {
    message.content += part.message.content;
    message.thinking += part.message.thinking ?? "";
    message.tool_calls.push(...(part.message.tool_calls ?? []));
  }
  return message;
}
