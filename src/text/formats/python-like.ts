import { type Family, familyFormat, THINK } from "./family.ts";
import { parametersCall } from "./grammar.ts";
import { looseCalls } from "./loose-calls.ts";

/** Calls as in Python, and Gemma's, which are nearly JSON. */

export const LFM2 = familyFormat({
  name: "lfm2",
  models: ["LFM2", "LFM2.5"],
  templates: [
    { has: ["<|tool_call_start|>"] },
    { has: ["<|tool_list_start|>"] },
    { has: ["List of tools: ["] },
  ],
  thought: THINK,
  calls: [
    looseCalls({
      openers: [{ text: "<|tool_call_start|>" }],
      call: /^(?<name>[\w.-]+)\(/,
      member: /^(?<key>\w+)\s*=\s*(?!=)/,
      callEnd: ")",
      closers: ["<|tool_call_end|>"],
    }),
  ],
  markers: ["<|tool_call_end|>"],
  written: {
    trigger: "<|tool_call_start|>",
    begin: "[",
    between: ", ",
    end: "]<|tool_call_end|>",
    call: parametersCall({
      before: ({ name }) => [`${name}(`],
      parameter: (key) => `${key}=`,
      valueEnd: "",
      between: ", ",
      string: { grammar: (rules) => rules.json({ type: "string" }), text: (value) => JSON.stringify(value) },
      after: ")",
    }),
  },
} satisfies Family);

/** Its strings are between tokens, so nothing in them is escaped. */
export const GEMMA_4 = familyFormat({
  name: "gemma-4",
  models: ["Gemma 4"],
  templates: [{ has: ["<|tool_call>call:"] }],
  thought: { open: "<|channel>thought", close: "<channel|>", anywhere: true },
  // At times it closes, or opens, channels without need.
  dropped: ["<channel|>", "<|channel>"],
  calls: [
    looseCalls({
      openers: [{ text: "<|tool_call>" }],
      call: /^call:(?<name>[^{\s]+)\s*\{/,
      member: /^(?:<\|"\|>)?(?<key>[^:,{}[\]<]+)(?:<\|"\|>)?:\s*/,
      callEnd: "}",
      closers: ["<tool_call|>"],
    }),
  ],
  markers: ["<tool_call|>", '<|"|>'],
  written: {
    trigger: "<|tool_call>",
    between: "<|tool_call>",
    call: parametersCall({
      before: ({ name }) => [`call:${name}{`],
      parameter: (key) => `${key}:`,
      valueEnd: "",
      between: ",",
      string: {
        grammar: (rules) => `"<|\\"|>" ${rules.until('<|"|>')}`,
        text: (value) => `<|"|>${value}<|"|>`,
      },
      after: "}<tool_call|>",
    }),
  },
} satisfies Family);
