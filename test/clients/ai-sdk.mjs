import assert from "node:assert/strict";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

export const client = {
  name: "AI SDK",
  package: "ai",
  how: '`createOpenAI` or `createOpenAICompatible({ name: "pico", baseURL: "http://127.0.0.1:8080/v1", apiKey: "any" })`, `createAnthropic` likewise',
  needs: { "openai:": "/v1/responses", "anthropic:": "/v1/messages" },
};

const POINT = '{"x": 3, "name": "north"}';
const point = z.object({ x: z.number(), name: z.string() });
const add = tool({
  description: "adds",
  inputSchema: z.object({ a: z.number(), b: z.number() }),
  execute: ({ a, b }) => a + b,
});

export function flows({ url, key, scriptedUrl }) {
  const provider = { name: "pico", apiKey: key };
  const of = (make) => (base) => make({ ...provider, baseURL: `${base}/v1` })("any");
  return {
    ...named("compatible", url, scriptedUrl, of(createOpenAICompatible)),
    ...named("openai", url, scriptedUrl, of(createOpenAI)),
    ...named("anthropic", url, scriptedUrl, of(createAnthropic)),
  };
}

function named(name, url, scriptedUrl, model) {
  const pair = model(url);
  const scripted = model(scriptedUrl);
  const once = { maxRetries: 0 };
  return {
    [`${name}: generateText`]: async () => {
      const { text } = await generateText({ ...once, model: pair, prompt: "Hello!", maxOutputTokens: 16 });
      assert.ok(text.length > 0);
    },
    [`${name}: streamText`]: async () => {
      let text = "";
      const { textStream } = streamText({ ...once, model: scripted, prompt: "@say a streamed text" });
      for await (const part of textStream) text += part;
      assert.equal(text, "a streamed text");
    },
    [`${name}: generateObject`]: async () => {
      // Anthropic's provider has models that it does not know call a tool of its own.
      const prompt = name === "anthropic" ? `@call json ${POINT}` : `@say ${POINT}`;
      const asked = { ...once, model: scripted, schema: point, prompt };
      assert.deepEqual((await generateObject(asked)).object, JSON.parse(POINT));
    },
    [`${name}: tools`]: async () => {
      const prompt = '@call add {"a": 2, "b": 3}';
      const asked = { ...once, model: scripted, prompt, tools: { add }, stopWhen: stepCountIs(3) };
      const { text, steps } = await generateText(asked);
      assert.equal(text, "the tool said 5");
      assert.equal(steps.length, 2);
    },
  };
}
