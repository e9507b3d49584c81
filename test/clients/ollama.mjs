import assert from "node:assert/strict";
import { Ollama } from "ollama";

export const client = {
  name: "Ollama's client",
  package: "ollama",
  how: "`OLLAMA_HOST=http://127.0.0.1:8080`, or `picospec edge --port 11434`",
};

const ADD = {
  type: "function",
  function: {
    name: "add",
    description: "adds",
    parameters: {
      type: "object",
      properties: { a: { type: "integer" }, b: { type: "integer" } },
      required: ["a", "b"],
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

export function flows({ url, key, scriptedUrl }) {
  const make = (host) => new Ollama({ host, headers: { Authorization: `Bearer ${key}` } });
  const [pair, scripted] = [make(url), make(scriptedUrl)];
  const named = async (client) => ({ client, model: (await client.list()).models[0].name });
  return {
    ...models(() => named(pair)),
    ...answers(() => named(pair)),
    ...scripts(() => named(scripted)),
  };
}

function models(named) {
  return {
    list: async () => {
      const { model } = await named();
      assert.match(model, /:[^/]+$/);
    },
    show: async () => {
      const { client, model } = await named();
      const shown = await client.show({ model });
      assert.ok(shown.capabilities.includes("completion"));
      const context = shown.model_info[`${shown.model_info["general.architecture"]}.context_length`];
      assert.ok(context > 0);
    },
    ps: async () => {
      const { client, model } = await named();
      assert.equal((await client.ps()).models[0].model, model);
    },
  };
}

function answers(named) {
  const options = { num_predict: 12, temperature: 0 };
  return {
    chat: async () => {
      const { client, model } = await named();
      const answer = await client.chat({ model, messages: said("Hello!"), options });
      assert.ok(answer.message.content.length > 0 && answer.done);
      assert.ok(answer.prompt_eval_count > 0 && answer.eval_count > 0 && answer.total_duration > 0);
      let text = "";
      for await (const part of await client.chat({ model, messages: said("Hello!"), options, stream: true }))
        text += part.message.content;
      assert.equal(text, answer.message.content);
    },
    generate: async () => {
      const { client, model } = await named();
      const answer = await client.generate({ model, prompt: "Hello!", options });
      assert.ok(answer.response.length > 0);
      let text = "";
      for await (const part of await client.generate({ model, prompt: "Hello!", options, stream: true }))
        text += part.response;
      assert.equal(text, answer.response);
    },
    abort: async () => {
      const { client, model } = await named();
      const stream = await client.generate({ model, prompt: "A long story.", stream: true });
      await assert.rejects(async () => {
        for await (const _ of stream) stream.abort();
      });
    },
    errors: async () => {
      const { client, model } = await named();
      await assert.rejects(client.chat({ model: "no-such-model", messages: said("Hi!") }), {
        status_code: 404,
      });
      await assert.rejects(client.generate({ model, prompt: "Hi!", options: { mirostat: 2 } }), {
        status_code: 400,
      });
      await assert.rejects(client.embed({ model, input: "Hi!" }), { status_code: 501 });
    },
  };
}

function scripts(named) {
  return {
    tools: async () => {
      const { client, model } = await named();
      for (const stream of [false, true]) {
        const messages = said('@call add {"a": 2, "b": 3}');
        const first = await whole(client, { model, messages, tools: [ADD], stream });
        assert.deepEqual(first.tool_calls[0].function.arguments, { a: 2, b: 3 });
        messages.push(first, { role: "tool", content: "5", tool_name: "add" });
        const second = await whole(client, { model, messages, tools: [ADD], stream });
        assert.equal(second.content, "the tool said 5");
      }
    },
    format: async () => {
      const { client, model } = await named();
      const messages = said('@say {"name": "Ada", "age": 36}');
      const answer = await client.chat({ model, messages, format: PERSON });
      assert.deepEqual(JSON.parse(answer.message.content), { name: "Ada", age: 36 });
    },
    think: async () => {
      const { client, model } = await named();
      for (const stream of [false, true]) {
        const messages = said("@think Let me see.\n@say Done.");
        const answer = await whole(client, { model, messages, think: true, stream });
        assert.equal(answer.thinking.trim(), "Let me see.");
        assert.equal(answer.content.trim(), "Done.");
      }
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
