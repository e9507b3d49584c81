import { type Family, familyFormat, THINK } from "./family.ts";
import { parametersCall } from "./grammar.ts";
import { taggedCalls } from "./tagged-calls.ts";

/** A tag for the function and one for each parameter. */

const FUNCTION = {
  call: /^\s*<function=(?<name>[^>\s]+)>/,
  callStart: "<function=",
  parameter: /^<parameter=(?<key>[^>]+)>/,
  parameterStart: "<parameter=",
  valueEnd: "</parameter>",
  lines: true,
  callEnd: "</function>",
};

export const QWEN3_CODER = familyFormat({
  name: "qwen3-coder",
  models: ["Qwen3-Coder", "Qwen3.5", "Nemotron 3", "Step 3.5"],
  templates: [{ has: ["<tool_call>", "<function=", "<parameter="] }],
  // Qwen3.5 may call a function before the thought is closed.
  thought: { ...THINK, endsAtCall: true },
  calls: [
    // The outer tag is at times forgotten.
    taggedCalls({
      ...FUNCTION,
      openers: [{ text: "<tool_call>" }, { text: "<function=", kept: true }],
      end: "</tool_call>",
    }),
  ],
  markers: ["</tool_call>"],
  written: {
    trigger: "<tool_call>",
    between: "\n<tool_call>",
    call: parametersCall({
      before: ({ name }) => [`\n<function=${name}>\n`],
      parameter: (key) => `<parameter=${key}>\n`,
      valueEnd: "\n</parameter>\n",
      after: "</function>\n</tool_call>",
    }),
  },
} satisfies Family);

export const SEED_OSS = familyFormat({
  name: "seed-oss",
  models: ["Seed-OSS"],
  templates: [{ has: ["<seed:tool_call>"] }],
  thought: { open: "<seed:think>", close: "</seed:think>" },
  calls: [
    taggedCalls({
      ...FUNCTION,
      openers: [{ text: "<seed:tool_call>" }],
      end: "</seed:tool_call>",
      lines: false,
    }),
  ],
  markers: ["</seed:tool_call>"],
  written: {
    trigger: "<seed:tool_call>",
    between: "\n<seed:tool_call>",
    call: parametersCall({
      before: ({ name }) => [`\n<function=${name}>\n`],
      parameter: (key) => `<parameter=${key}>`,
      valueEnd: "</parameter>\n",
      after: "</function>\n</seed:tool_call>",
    }),
  },
} satisfies Family);

/** The same with attributes, and values that may be quoted as XML quotes them. */
export const MINICPM_5 = familyFormat({
  name: "minicpm-5",
  models: ["MiniCPM5"],
  templates: [{ has: ['<function name="', '<param name="'] }],
  thought: THINK,
  calls: [
    taggedCalls({
      openers: [{ text: '<function name="' }],
      call: /^(?<name>[^"<>]+)">/,
      callStart: "",
      parameter: /^<param name="(?<key>[^"]+)">/,
      parameterStart: "<param",
      valueEnd: "</param>",
      quotes: true,
      callEnd: "</function>",
      end: null,
    }),
  ],
  written: {
    trigger: '<function name="',
    between: '\n<function name="',
    call: parametersCall({
      before: ({ name }) => [`${name}">`],
      parameter: (key) => `<param name="${key}">`,
      valueEnd: "</param>",
      after: "</function>",
    }),
  },
} satisfies Family);
