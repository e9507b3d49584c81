import { type Family, familyFormat } from "./family.ts";
import { jsonCall } from "./grammar.ts";
import { headerCalls } from "./header-calls.ts";

/** Messages of an assistant, each with a marker of what it is. */
export const SOLAR = familyFormat({
  name: "solar",
  models: ["Solar Open"],
  templates: [{ has: ["<|tool_call:begin|>"] }],
  thought: { open: "<|think|>", close: "<|end|>", followedBy: "<|begin|>assistant", anywhere: true },
  dropped: ["<|begin|>assistant", "<|content|>", "<|end|>", "<|flush|>", "<|tool_calls|>", "<|calls|>"],
  calls: [
    headerCalls({
      openers: [{ text: "<|tool_call:begin|>" }],
      header: /^(?<id>[^<]*)<\|tool_call:name\|>(?<name>[^<]+)<\|tool_call:args\|>/,
      closers: ["<|tool_call:end|>"],
    }),
  ],
  markers: ["<|begin|>", "<|tool_call:name|>", "<|tool_call:args|>", "<|tool_call:end|>"],
  written: {
    trigger: "<|tool_calls|>",
    between: "",
    around: ["<|content|>", "<|end|>"],
    end: "<|calls|>",
    call: jsonCall(
      ({ name }) => [
        "<|tool_call:begin|>",
        { pattern: "[a-zA-Z0-9_-]+", of: "id" },
        `<|tool_call:name|>${name}<|tool_call:args|>`,
      ],
      ["<|tool_call:end|>"],
    ),
  },
} satisfies Family);
