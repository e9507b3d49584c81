import { type Family, familyFormat, THINK } from "./family.ts";
import { jsonCall } from "./grammar.ts";
import { jsonCalls } from "./json-calls.ts";

/** A JSON object between tags: what most templates of today ask for, and what we ask for where a template does not. */

const JSON_IN_TAGS = {
  thought: THINK,
  calls: [
    jsonCalls({ openers: [{ text: "<tool_call>" }], closers: ["</tool_call>"], name: "name", id: "id" }),
  ],
  markers: ["</tool_call>"],
  written: {
    trigger: "<tool_call>",
    between: "\n<tool_call>",
    call: jsonCall(({ name }) => [`\n{"name": ${JSON.stringify(name)}, "arguments": `], ["}\n</tool_call>"]),
  },
} satisfies Partial<Family>;

export const HERMES = familyFormat({
  ...JSON_IN_TAGS,
  name: "hermes",
  models: [
    ...["Hermes 2 and 3", "Qwen2.5", "Qwen3", "QwQ", "Granite 4", "EXAONE 4", "MiMo", "SmolLM3", "Bielik 3"],
    "Reka Edge",
  ],
  templates: [{ has: ["<tool_call>"] }],
});

export const GENERIC = familyFormat({
  ...JSON_IN_TAGS,
  name: "generic",
  models: ["Gemma 2 and 3", "any other model"],
  templates: [{ has: [] }],
  instruction: (tools) =>
    [
      "You can call functions to help with the request. These are the functions, as JSON:",
      ...tools.map((tool) => JSON.stringify(tool)),
      "",
      "To call a function, write a JSON object with its name and its arguments between <tool_call> and </tool_call>:",
      '<tool_call>\n{"name": "the name of the function", "arguments": {"the name of an argument": "its value"}}\n</tool_call>',
      "Write nothing after a call: what the function returns is in the next message.",
    ].join("\n"),
});
