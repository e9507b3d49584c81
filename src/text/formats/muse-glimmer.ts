import { type Family, familyFormat } from "./family.ts";
import { parametersCall } from "./grammar.ts";
import { taggedCalls } from "./tagged-calls.ts";

/**
 * Messages whose header names the recipient: the model itself for a thought, the user for text, or a tool. Tags of a call
 * are one only in a message to a tool, and the prompt ends within the first header.
 */

const BEGIN = "<|start|>assistant";
const header = (recipient: string) => `${BEGIN} to=${recipient}<|message|>`;

export const MUSE_GLIMMER = familyFormat({
  name: "muse-glimmer",
  models: ["Muse Glimmer"],
  templates: [{ has: ["<atem:function_calls>", "<|eom|>"] }],
  begins: BEGIN,
  thought: {
    ...{ open: header("self"), close: "<|eom|>", followedBy: BEGIN },
    ...{ anywhere: true, endsAtCall: true },
  },
  dropped: [header("user"), `${BEGIN}<|message|>`, "<|eom|>", "<|eot|>"],
  calls: [
    taggedCalls({
      openers: [{ text: `${BEGIN} to=` }],
      call: /^(?:[^\s<]+<\|message\|>\s*<atem:function_calls>)?\s*<atem:invoke name="(?<name>[^"<>]+)">/,
      callStart: "",
      nextStart: "<atem:invoke",
      parameter: /^<atem:parameter name="(?<key>[^"<>]+)">/,
      parameterStart: "<atem:parameter",
      valueEnd: "</atem:parameter>",
      callEnd: "</atem:invoke>",
      end: "</atem:function_calls>",
    }),
  ],
  markers: ["<|start|>", "<|message|>"],
  written: {
    trigger: `<|eom|>${BEGIN}`,
    begun: " to=user<|message|>",
    between: `<|eom|>${BEGIN}`,
    call: parametersCall({
      before: ({ name }) => [` to=${name}<|message|><atem:function_calls>\n<atem:invoke name="${name}">\n`],
      parameter: (key) => `<atem:parameter name="${key}">`,
      valueEnd: "</atem:parameter>\n",
      after: "</atem:invoke>\n</atem:function_calls>",
    }),
  },
} satisfies Family);
