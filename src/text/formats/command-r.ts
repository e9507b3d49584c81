import { type Family, familyFormat } from "./family.ts";
import { jsonCall } from "./grammar.ts";
import { jsonCalls } from "./json-calls.ts";

/** Cohere's: a list of actions. The markers are control tokens, and content is between two of them. */

export const COMMAND_R7B = familyFormat({
  name: "command-r7b",
  models: ["Command R7B", "Command A", "North Code"],
  templates: [{ has: ["<|START_ACTION|>"] }],
  thought: { open: "<|START_THINKING|>", close: "<|END_THINKING|>", anywhere: true, endsAtCall: true },
  dropped: ["<|START_RESPONSE|>", "<|END_RESPONSE|>", "<|START_TEXT|>", "<|END_TEXT|>"],
  calls: [
    jsonCalls({
      openers: [{ text: "<|START_ACTION|>" }],
      closers: ["<|END_ACTION|>"],
      ...{ name: "tool_name", id: "tool_call_id" },
    }),
  ],
  markers: ["<|END_ACTION|>"],
  written: {
    trigger: "<|START_ACTION|>",
    begin: "[\n    ",
    between: ",\n    ",
    around: ["<|START_RESPONSE|>", "<|END_RESPONSE|>"],
    end: "\n]<|END_ACTION|>",
    call: jsonCall(
      ({ name }) => [
        '{"tool_call_id": "',
        { pattern: "[0-9]+", of: "place" },
        `", "tool_name": ${JSON.stringify(name)}, "parameters": `,
      ],
      ["}"],
    ),
  },
} satisfies Family);

export const COMMAND_R = familyFormat({
  name: "command-r",
  models: ["Command R", "Command R+"],
  templates: [{ has: ["<|CHATBOT_TOKEN|>", "Action:"] }],
  thought: null,
  dropped: ["<|CHATBOT_TOKEN|>", "<|END_OF_TURN_TOKEN|>"],
  calls: [
    jsonCalls({
      openers: [{ text: "Action:\n```json" }, { text: "Action: ```json" }, { text: "Action:```json" }],
      closers: ["```"],
      name: "tool_name",
    }),
  ],
  written: {
    trigger: "Action:\n```json",
    begin: "\n[\n    ",
    between: ",\n    ",
    end: "\n]\n```",
    call: jsonCall(({ name }) => [`{"tool_name": ${JSON.stringify(name)}, "parameters": `], ["}"]),
  },
} satisfies Family);
