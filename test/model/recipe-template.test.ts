import { describe, expect, it } from "vitest";
import { conversation } from "../../lab/tasks/conversation.ts";
import { chatTemplate, piecesOf } from "../../models/recipe/corpus.mjs";
import { chatPrompt } from "../../src/text/chat-template.ts";
import type { ChatMessage } from "../../src/text/conversation.ts";
import type { Tokenizer } from "../../src/text/tokenizer.ts";

/** The chat template of the models' recipe: what models are trained on is what they are asked later. */

/** A token a UTF-16 unit. */
const tokenizer: Tokenizer = {
  fingerprint: "units",
  vocabularySize: 65_536,
  beginText: "",
  endText: "",
  addsBegin: false,
  encode: (text) => Int32Array.from({ length: text.length }, (_, i) => text.charCodeAt(i)),
  piece: () => new Uint8Array(0),
};

describe("the recipe's chat template", () => {
  it("renders a prompt of OpenAI's API as the corpus has it: system, tools, calls, and what tools return", () => {
    let calls = 0;
    for (let number = 0; number < 300; number++) {
      const talk = conversation(9, number);
      const { system, tools, turns } = talk;
      const asked = turns.slice(0, -1).map(({ role, content }): ChatMessage => {
        const call = /^<tool_call>\n(.*)\n<\/tool_call>$/.exec(content)?.[1];
        if (!call) return { role, content };
        calls++;
        const { name, arguments: args } = JSON.parse(call);
        const spaced = call.slice(call.indexOf('"arguments": ') + 13, -1);
        expect(JSON.parse(spaced)).toEqual(args);
        return {
          role: "assistant",
          content: "",
          tool_calls: [{ id: "a", type: "function", function: { name, arguments: spaced } }],
        };
      });
      const messages: ChatMessage[] =
        system === null ? asked : [{ role: "system", content: system }, ...asked];
      const shown = tools.map((tool) => ({ type: "function" as const, function: tool }));
      const text = piecesOf(talk).slice(0, -1).join("");
      const tokens = chatPrompt(chatTemplate, messages, tokenizer, shown);
      expect([...tokens]).toEqual([...tokenizer.encode(text, true)]);
    }
    expect(calls).toBeGreaterThan(10);
  });

  it("refuses a role that it does not know", () => {
    const messages = [{ role: "robot", content: "Hi" }] as unknown as ChatMessage[];
    expect(() => chatPrompt(chatTemplate, messages, tokenizer)).toThrow(/not robot/);
  });
});
