import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";

export const client = {
  name: "Anthropic SDK",
  package: "@anthropic-ai/sdk",
  how: '`new Anthropic({ baseURL: "http://127.0.0.1:8080", apiKey: "any" })`',
};

const ADD = {
  name: "add",
  description: "adds",
  input_schema: {
    type: "object",
    properties: { a: { type: "number" }, b: { type: "number" } },
    required: ["a", "b"],
  },
};
const said = (content) => [{ role: "user", content }];

export function flows({ url, key, scriptedUrl }) {
  const make = (baseURL) => new Anthropic({ baseURL, apiKey: key, maxRetries: 0 });
  const [pair, scripted] = [make(url), make(scriptedUrl)];
  const asked = { model: "any", max_tokens: 200 };
  return {
    create: async () => {
      const { content, usage, stop_reason } = await pair.messages.create({
        ...asked,
        max_tokens: 12,
        system: "Be brief.",
        messages: said("Hello!"),
      });
      assert.ok(content[0].text.length > 0 && usage.input_tokens > 0 && usage.output_tokens > 0);
      assert.ok(["max_tokens", "end_turn"].includes(stop_reason));
    },
    stream: async () => {
      const request = { ...asked, max_tokens: 12, temperature: 0, messages: said("Hello!") };
      const whole = await pair.messages.create(request);
      let text = "";
      const stream = pair.messages.stream(request).on("text", (delta) => {
        text += delta;
      });
      assert.deepEqual((await stream.finalMessage()).content, whole.content);
      assert.equal(text, whole.content[0].text);
    },
    "tool loop": async () => {
      const messages = said('@call add {"a": 2, "b": 3}');
      const first = await scripted.messages.create({ ...asked, tools: [ADD], messages });
      assert.equal(first.stop_reason, "tool_use");
      const use = first.content.find(({ type }) => type === "tool_use");
      assert.deepEqual(use.input, { a: 2, b: 3 });
      messages.push({ role: "assistant", content: first.content });
      messages.push({ role: "user", content: [{ type: "tool_result", tool_use_id: use.id, content: "5" }] });
      const { content } = await scripted.messages.create({ ...asked, tools: [ADD], messages });
      assert.equal(content[0].text, "the tool said 5");
    },
    thinking: async () => {
      const request = {
        ...asked,
        max_tokens: 2000,
        thinking: { type: "enabled", budget_tokens: 1024 },
        messages: said("@think Let me see.\n@say Done."),
      };
      for (const message of [
        await scripted.messages.create(request),
        await scripted.messages.stream(request).finalMessage(),
      ]) {
        const [thought, text] = message.content;
        assert.equal(thought.thinking.trim(), "Let me see.");
        assert.ok(thought.signature.length > 0);
        assert.equal(text.text.trim(), "Done.");
      }
    },
    count_tokens: async () => {
      const { input_tokens } = await pair.messages.countTokens({ model: "any", messages: said("Hello!") });
      assert.ok(input_tokens > 0);
    },
    models: async () => {
      const { data } = await pair.models.list();
      assert.equal(data[0].type, "model");
    },
    "wrong key": async () => {
      const stranger = new Anthropic({ baseURL: url, apiKey: "wrong", maxRetries: 0 });
      await assert.rejects(stranger.messages.create({ ...asked, messages: said("Hello!") }), {
        status: 401,
      });
    },
  };
}
