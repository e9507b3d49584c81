import { type Family, familyFormat, THINK } from "./family.ts";
import { jsonCall, parametersCall } from "./grammar.ts";
import { jsonCalls } from "./json-calls.ts";
import { nestedCalls } from "./nested-calls.ts";
import { taggedCalls } from "./tagged-calls.ts";

export const MINIMAX_M2 = familyFormat({
  name: "minimax-m2",
  models: ["MiniMax M2"],
  templates: [{ has: ["minimax:tool_call", "<invoke name="] }],
  thought: THINK,
  calls: [
    taggedCalls({
      openers: [{ text: "<minimax:tool_call>" }],
      call: /^\s*<invoke name="?(?<name>[^">]+)"?>/,
      callStart: "<invoke",
      parameter: /^<parameter name="?(?<key>[^">]+)"?>/,
      parameterStart: "<parameter",
      valueEnd: "</parameter>",
      callEnd: "</invoke>",
      end: "</minimax:tool_call>",
    }),
  ],
  markers: ["</minimax:tool_call>"],
  written: {
    trigger: "<minimax:tool_call>",
    begin: '\n<invoke name="',
    between: '\n<invoke name="',
    end: "\n</minimax:tool_call>",
    call: parametersCall({
      before: ({ name }) => [`${name}">\n`],
      parameter: (key) => `<parameter name="${key}">`,
      valueEnd: "</parameter>\n",
      after: "</invoke>",
    }),
  },
} satisfies Family);

export const MINIMAX_M1 = familyFormat({
  name: "minimax-m1",
  models: ["MiniMax M1"],
  templates: [{ has: ["<tool_calls>", "<beginning_of_sentence>"] }],
  thought: THINK,
  calls: [jsonCalls({ openers: [{ text: "<tool_calls>" }], closers: ["</tool_calls>"], name: "name" })],
  markers: ["</tool_calls>"],
  written: {
    trigger: "<tool_calls>",
    begin: "\n",
    between: "\n",
    end: "\n</tool_calls>",
    call: jsonCall(({ name }) => [`{"name": ${JSON.stringify(name)}, "arguments": `], ["}"]),
  },
});

/** A token of its own before each tag. */
const TOKEN = "]<]minimax[>[";

export const MINIMAX_M3 = familyFormat({
  name: "minimax-m3",
  models: ["MiniMax M3"],
  templates: [{ has: [TOKEN, "<invoke name="] }],
  thought: { open: "<mm:think>", close: "</mm:think>" },
  calls: [
    nestedCalls({
      openers: [{ text: `${TOKEN}<tool_call>` }],
      token: TOKEN,
      call: /^\]<\]minimax\[>\[<invoke name="(?<name>[^">]+)">/,
      callEnd: `${TOKEN}</invoke>`,
      end: `${TOKEN}</tool_call>`,
    }),
  ],
  markers: [TOKEN],
  written: {
    trigger: `${TOKEN}<tool_call>`,
    begin: `\n${TOKEN}<invoke name="`,
    between: `\n${TOKEN}<invoke name="`,
    end: `\n${TOKEN}</tool_call>`,
    call: parametersCall({
      before: ({ name }) => [`${name}">`],
      parameter: (key) => `${TOKEN}<${key}>`,
      valueEnd: (key) => `${TOKEN}</${key}>`,
      after: `${TOKEN}</invoke>`,
    }),
  },
} satisfies Family);
