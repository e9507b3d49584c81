import { type Family, familyFormat, THINK } from "./family.ts";
import { parametersCall } from "./grammar.ts";
import { taggedCalls } from "./tagged-calls.ts";

/** The function's name, and then pairs of key and value in tags of their own. */

function keysAndValues(space: {
  afterName: string;
  afterKey: string;
  afterValue: string;
  close: string;
  between: string;
}) {
  return {
    thought: { ...THINK, endsAtCall: true },
    calls: [
      taggedCalls({
        openers: [{ text: "<tool_call>" }],
        call: /^\s*(?<name>[^\s<{]+)\s*(?=<arg_key>|<\/tool_call>)/,
        callStart: "",
        parameter: /^<arg_key>(?<key>[^<]*)<\/arg_key>\s*<arg_value>/,
        parameterStart: "<arg_key>",
        valueEnd: "</arg_value>",
        callEnd: "</tool_call>",
        end: null,
      }),
    ],
    markers: ["</tool_call>", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"],
    written: {
      trigger: "<tool_call>",
      between: `${space.between}<tool_call>`,
      call: parametersCall({
        before: ({ name }) => [`${name}${space.afterName}`],
        parameter: (key) => `<arg_key>${key}</arg_key>${space.afterKey}<arg_value>`,
        valueEnd: `</arg_value>${space.afterValue}`,
        after: `${space.close}</tool_call>`,
      }),
    },
  } satisfies Partial<Family>;
}

export const GLM = familyFormat({
  ...keysAndValues({ afterName: "", afterKey: "", afterValue: "", close: "", between: "" }),
  name: "glm-4.7",
  models: ["GLM-4.7", "Laguna S", "Spark 2.5"],
  templates: [{ has: ["</arg_key><arg_value>"] }],
});

export const GLM_LINES = familyFormat({
  ...keysAndValues({ afterName: "\n", afterKey: "\n", afterValue: "\n", close: "", between: "\n" }),
  name: "glm-4.5",
  models: ["GLM-4.5", "GLM-4.6", "Laguna XS"],
  templates: [{ has: ["<arg_key>", "<arg_value>"] }],
});

export const LING = familyFormat({
  ...keysAndValues({ afterName: "\n", afterKey: "\n", afterValue: "", close: "\n", between: "\n" }),
  name: "ling-3",
  models: ["Ling 3.0 (Bailing)"],
  templates: [{ has: ["<role>ASSISTANT</role>", "<arg_key>"] }],
  // The end of the turn, which it may spell.
  dropped: ["<|role_end|>"],
});

/** The same with tokens of its own. */
const own = (tag: string) => `<${tag}:opensource>`;

export const HUNYUAN_3 = familyFormat({
  name: "hunyuan-3",
  models: ["Hunyuan 3"],
  templates: [{ has: ["'<arg_key{}>'", "'<tool_sep{}>'"] }],
  thought: { open: own("think"), close: own("/think"), endsAtCall: true },
  dropped: [own("tool_calls"), own("/tool_calls")],
  calls: [
    taggedCalls({
      openers: [{ text: own("tool_call") }],
      call: /^\s*(?<name>[^\s<{]+)<tool_sep:opensource>/,
      callStart: "",
      parameter: /^<arg_key:opensource>(?<key>[^<]*)<\/arg_key:opensource>\s*<arg_value:opensource>/,
      parameterStart: own("arg_key"),
      valueEnd: own("/arg_value"),
      callEnd: own("/tool_call"),
      end: null,
    }),
  ],
  markers: [...["tool_sep", "arg_key", "/arg_key", "arg_value", "/arg_value", "/tool_call"].map(own)],
  written: {
    trigger: own("tool_calls"),
    begin: `\n${own("tool_call")}`,
    between: `\n${own("tool_call")}`,
    end: `\n${own("/tool_calls")}`,
    call: parametersCall({
      before: ({ name }) => [`${name}${own("tool_sep")}\n`],
      parameter: (key) => `${own("arg_key")}${key}${own("/arg_key")}\n${own("arg_value")}`,
      valueEnd: `${own("/arg_value")}\n`,
      after: own("/tool_call"),
    }),
  },
} satisfies Family);
