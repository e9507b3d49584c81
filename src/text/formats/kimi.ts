import { type Family, familyFormat, THINK } from "./family.ts";
import { jsonCall, parametersCall } from "./grammar.ts";
import { headerCalls } from "./header-calls.ts";
import { taggedCalls } from "./tagged-calls.ts";

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
      ({ name }) => [`${CALL.begin}functions.${name}:`, { pattern: "[0-9]+", of: "place" }, CALL.args],
      [CALL.end],
    ),
  },
} satisfies Family);

const begin = (tag: string) => `<|open|>${tag}<|sep|>`;
const end = (tag: string) => `<|close|>${tag}<|sep|>`;

/** Tags of three tokens, around a name and attributes as text. */
export const KIMI_K3 = familyFormat({
  name: "kimi-k3",
  models: ["Kimi K3"],
  templates: [{ has: ["<|open|>", "<|close|>", "<|end_of_msg|>"] }],
  thought: { open: begin("think"), close: end("think"), endsAtCall: true },
  dropped: [begin("response"), end("response"), end("message"), "<|end_of_msg|>"],
  calls: [
    taggedCalls({
      openers: [{ text: begin("tools") }],
      call: /^\s*<\|open\|>call tool="(?<name>[^"]+)"[^<]*<\|sep\|>/,
      callStart: "<|open|>call",
      parameter: /^<\|open\|>argument key="(?<key>[^"]+)"(?: type="(?<type>\w+)")?[^<]*<\|sep\|>/,
      parameterStart: "<|open|>argument",
      valueEnd: end("argument"),
      callEnd: end("call"),
      end: end("tools"),
    }),
  ],
  markers: ["<|open|>", "<|close|>", "<|sep|>"],
  written: {
    trigger: begin("tools"),
    between: "",
    end: end("tools"),
    around: [begin("response"), end("response")],
    call: parametersCall({
      before: ({ name }) => [
        `<|open|>call tool="${name}" index="`,
        { pattern: "[0-9]+", of: "place" },
        '"<|sep|>',
      ],
      parameter: (key, text) => `<|open|>argument key="${key}" type="${text ? "string" : "number"}"<|sep|>`,
      valueEnd: end("argument"),
      after: end("call"),
    }),
  },
} satisfies Family);
