import assert from "node:assert/strict";
import { Agent, OpenAIProvider, Runner, tool } from "@openai/agents";
import { z } from "zod";

export const client = {
  name: "OpenAI Agents",
  package: "@openai/agents",
  how: '`new Runner({ modelProvider: new OpenAIProvider({ baseURL: "http://127.0.0.1:8080/v1", apiKey: "any" }) })`',
  needs: { "default mode": "/v1/responses" },
};

const add = tool({
  ...{ name: "add", description: "adds", parameters: z.object({ a: z.number(), b: z.number() }) },
  execute: async ({ a, b }) => `${a + b}`,
});

export function flows({ key, scriptedUrl }) {
  const loop = (name, more) => ({
    [`${name}: a loop of tools`]: async () => {
      const modelProvider = new OpenAIProvider({ baseURL: `${scriptedUrl}/v1`, apiKey: key, ...more });
      const runner = new Runner({ modelProvider, tracingDisabled: true });
      const agent = new Agent({ name: "adder", instructions: "Add.", model: "any", tools: [add] });
      const { finalOutput } = await runner.run(agent, '@call add {"a": 2, "b": 3}');
      assert.equal(finalOutput, "the tool said 5");
    },
  });
  return { ...loop("default mode", {}), ...loop("chat completions", { useResponses: false }) };
}
