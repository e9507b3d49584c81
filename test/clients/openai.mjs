import assert from "node:assert/strict";
import OpenAI from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

export const client = {
  name: "OpenAI SDK",
  package: "openai",
  how: '`new OpenAI({ baseURL: "http://127.0.0.1:8080/v1", apiKey: "any" })`',
  needs: { responses: "/v1/responses" },
};

const point = z.object({ x: z.number(), name: z.string() });
const POINT = '{"x": 3, "name": "north"}';
const SAY_POINT = [{ role: "user", content: `@say ${POINT}` }];
const ADD = '@call add {"a": 2, "b": 3}';
const parameters = {
  type: "object",
  properties: { a: { type: "number" }, b: { type: "number" } },
  required: ["a", "b"],
  additionalProperties: false,
};
const add = ({ a, b }) => `${a + b}`;
const HELLO = [{ role: "user", content: "Hello!" }];

export function flows({ url, key, scriptedUrl }) {
  const make = (baseURL) => new OpenAI({ baseURL: `${baseURL}/v1`, apiKey: key, maxRetries: 0 });
  const pair = make(url);
  const scripted = make(scriptedUrl);
  const model = "any";
  return { ...chats({ pair, scripted, model }), ...responses({ pair, scripted, model }) };
}

function chats({ pair, scripted, model }) {
  return {
    models: async () => {
      const { data } = await pair.models.list();
      assert.equal(data.length > 0, true);
    },
    chat: async () => {
      const { choices, usage } = await pair.chat.completions.create({
        model,
        messages: HELLO,
        max_tokens: 12,
      });
      assert.ok(choices[0].message.content.length > 0);
      assert.ok(usage.completion_tokens > 0);
    },
    stream: async () => {
      const asked = { model, messages: HELLO, max_tokens: 12, temperature: 0 };
      const whole = await pair.chat.completions.create(asked);
      let text = "";
      const stream = await pair.chat.completions.create({ ...asked, stream: true });
      for await (const { choices } of stream) text += choices[0]?.delta.content ?? "";
      assert.equal(text, whole.choices[0].message.content);
    },
    parse: async () => {
      const response_format = zodResponseFormat(point, "point");
      const asked = { model, messages: SAY_POINT, response_format };
      const { choices } = await scripted.chat.completions.parse(asked);
      assert.deepEqual(choices[0].message.parsed, JSON.parse(POINT));
    },
    runTools: async () => {
      const tool = { name: "add", description: "adds", parameters, parse: JSON.parse, function: add };
      const messages = [{ role: "user", content: ADD }];
      const tools = [{ type: "function", function: tool }];
      const runner = scripted.chat.completions.runTools({ model, messages, tools });
      assert.equal(await runner.finalContent(), "the tool said 5");
      const streamed = scripted.chat.completions.runTools({ model, messages, tools, stream: true });
      assert.equal(await streamed.finalContent(), "the tool said 5");
    },
    thinking: async () => {
      const messages = [{ role: "user", content: "@think hm\n@say yes" }];
      const { choices } = await scripted.chat.completions.create({ model, messages });
      assert.equal(choices[0].message.content, "yes");
      assert.equal(choices[0].message.reasoning_content.trim(), "hm");
    },
    completions: async () => {
      const { choices } = await pair.completions.create({ model, prompt: "Once upon", max_tokens: 8 });
      assert.ok(choices[0].text.length > 0);
    },
    "a wrong key": async () => {
      const other = new OpenAI({ baseURL: scripted.baseURL, apiKey: "wrong", maxRetries: 0 });
      await assert.rejects(other.models.list(), OpenAI.AuthenticationError);
    },
  };
}

function responses({ pair, scripted, model }) {
  const tools = [{ type: "function", name: "add", description: "adds", parameters, strict: true }];
  return {
    "responses.create": async () => {
      const response = await pair.responses.create({ model, input: "Hello!", max_output_tokens: 16 });
      assert.ok(response.output_text.length > 0);
      assert.ok(response.usage.output_tokens > 0);
    },
    "responses.stream": async () => {
      let text = "";
      const stream = scripted.responses.stream({ model, input: "@say a streamed text" });
      for await (const event of stream) if (event.type === "response.output_text.delta") text += event.delta;
      assert.equal(text, "a streamed text");
      assert.equal((await stream.finalResponse()).output_text, text);
    },
    "responses.parse": async () => {
      const text = { format: zodTextFormat(point, "point") };
      const { output_parsed } = await scripted.responses.parse({ model, input: SAY_POINT, text });
      assert.deepEqual(output_parsed, JSON.parse(POINT));
    },
    "responses with tools and previous_response_id": async () => {
      const first = await scripted.responses.create({ model, input: ADD, tools });
      const call = first.output.find(({ type }) => type === "function_call");
      assert.deepEqual([call.name, JSON.parse(call.arguments)], ["add", { a: 2, b: 3 }]);
      const output = add(JSON.parse(call.arguments));
      const input = [{ type: "function_call_output", call_id: call.call_id, output }];
      const second = await scripted.responses.create({
        ...{ model, input, tools, previous_response_id: first.id },
      });
      assert.equal(second.output_text, "the tool said 5");
    },
  };
}
