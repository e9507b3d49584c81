import assert from "node:assert/strict";
import { HumanMessage, ToolMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI } from "@langchain/openai";
import { z } from "zod";

export const client = {
  name: "LangChain (JavaScript)",
  package: "@langchain/openai",
  how: '`new ChatOpenAI({ apiKey: "any", configuration: { baseURL: "http://127.0.0.1:8080/v1" } })`',
};

const add = tool(({ a, b }) => `${a + b}`, {
  name: "add",
  description: "adds",
  schema: z.object({ a: z.number(), b: z.number() }),
});

export function flows({ url, key, scriptedUrl }) {
  const chat = (base, more) =>
    new ChatOpenAI({
      ...{ model: "any", apiKey: key, maxRetries: 0, ...more },
      configuration: { baseURL: `${base}/v1` },
    });
  return {
    invoke: async () => {
      const { content, usage_metadata } = await chat(url, { maxTokens: 12 }).invoke("Hello!");
      assert.ok(content.length > 0 && usage_metadata.output_tokens > 0);
    },
    stream: async () => {
      let text = "";
      for await (const { content } of await chat(scriptedUrl).stream("@say a streamed text")) text += content;
      assert.equal(text, "a streamed text");
    },
    tools: async () => {
      const model = chat(scriptedUrl).bindTools([add]);
      const asked = new HumanMessage('@call add {"a": 2, "b": 3}');
      const answer = await model.invoke([asked]);
      const [call] = answer.tool_calls;
      assert.deepEqual(call.args, { a: 2, b: 3 });
      const told = new ToolMessage({ content: await add.invoke(call.args), tool_call_id: call.id });
      assert.equal((await model.invoke([asked, answer, told])).content, "the tool said 5");
    },
    "structured output": async () => {
      const schema = z.object({ x: z.number(), name: z.string() });
      const model = chat(scriptedUrl).withStructuredOutput(schema, { method: "jsonSchema", name: "point" });
      assert.deepEqual(await model.invoke('@say {"x": 3, "name": "north"}'), { x: 3, name: "north" });
    },
  };
}
