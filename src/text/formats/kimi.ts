import { type Family, familyFormat, THINK } from "./family.ts";
import { jsonCall } from "./grammar.ts";
import { headerCalls } from "./header-calls.ts";

const SECTION = { begin: "<|tool_calls_section_begin|>", end: "<|tool_calls_section_end|>" } as const;
const CALL = {
  begin: "<|tool_call_begin|>",
  args: "<|tool_call_argument_begin|>",
  end: "<|tool_call_end|>",
} as const;

export const KIMI_K2 = familyFormat({
  name: "kimi-k2",
  models: ["Kimi K2"],
  templates: [{ has: [SECTION.begin, CALL.begin] }],
  // It may call a function before the thought is closed.
  thought: { ...THINK, endsAtCall: true },
  dropped: [SECTION.begin, SECTION.end],
  calls: [
    headerCalls({
      openers: [{ text: CALL.begin }],
      // The id has the name in it, and counts the calls of a conversation.
      header: /^\s*(?<id>(?:functions\.)?(?<name>[^\s:<]+)(?::\d+)?)\s*<\|tool_call_argument_begin\|>/,
      closers: [CALL.end],
    }),
  ],
  markers: [CALL.args, CALL.end],
  written: {
    trigger: SECTION.begin,
    between: "",
    end: SECTION.end,
    call: jsonCall(
      ({ name }) => [`${CALL.begin}functions.${name}:`, { pattern: "[0-9]+" }, CALL.args],
      [CALL.end],
    ),
  },
} satisfies Family);
