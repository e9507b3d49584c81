import { type Family, familyFormat, THINK } from "./family.ts";
import { jsonCall, parametersCall } from "./grammar.ts";
import { headerCalls } from "./header-calls.ts";
import { taggedCalls } from "./tagged-calls.ts";

const SECTION = { begin: "<｜tool▁calls▁begin｜>", end: "<｜tool▁calls▁end｜>" } as const;
const CALL = { begin: "<｜tool▁call▁begin｜>", sep: "<｜tool▁sep｜>", end: "<｜tool▁call▁end｜>" } as const;

export const DEEPSEEK_R1 = familyFormat({
  name: "deepseek-r1",
  models: ["DeepSeek V3 and R1", "DeepSeek R1 Distill"],
  templates: [{ has: [CALL.begin, "```json"] }],
  thought: THINK,
  dropped: [SECTION.begin, SECTION.end],
  calls: [
    headerCalls({
      openers: [{ text: CALL.begin }],
      header: /^function<｜tool▁sep｜>(?<name>[^\n<]+)\n```json\n/,
      closers: [`\`\`\`${CALL.end}`, `\`\`\`\n${CALL.end}`, "```", CALL.end],
    }),
  ],
  markers: [CALL.sep, CALL.end],
  written: {
    trigger: SECTION.begin,
    begin: CALL.begin,
    between: `\n${CALL.begin}`,
    end: SECTION.end,
    call: jsonCall(({ name }) => [`function${CALL.sep}${name}\n\`\`\`json\n`], [`\n\`\`\`${CALL.end}`]),
  },
} satisfies Family);

export const DEEPSEEK_V3_1 = familyFormat({
  name: "deepseek-v3.1",
  models: ["DeepSeek V3.1"],
  templates: [{ has: [CALL.begin] }],
  thought: THINK,
  dropped: [SECTION.begin, SECTION.end],
  calls: [
    headerCalls({
      openers: [{ text: CALL.begin }],
      header: /^(?<name>[^\n<]+)<｜tool▁sep｜>/,
      closers: [CALL.end],
    }),
  ],
  markers: [CALL.sep, CALL.end],
  written: {
    trigger: SECTION.begin,
    begin: CALL.begin,
    between: CALL.begin,
    end: SECTION.end,
    call: jsonCall(({ name }) => [`${name}${CALL.sep}`], [CALL.end]),
  },
} satisfies Family);

/** DeepSeek's own markup: its tags begin with a token. */
function marked(name: string, models: readonly string[], section: string) {
  const tag = (text: string) => `<｜DSML｜${text}>`;
  const close = (text: string) => `</｜DSML｜${text}>`;
  return familyFormat({
    ...{ name, models },
    templates: [{ has: ["dsml_token", "DSML", section] }],
    thought: { ...THINK, endsAtCall: true },
    calls: [
      taggedCalls({
        openers: [{ text: tag(section) }],
        call: /^\s*<｜DSML｜invoke name="(?<name>[^"]+)">/,
        callStart: "<｜DSML｜invoke",
        parameter: /^<｜DSML｜parameter name="(?<key>[^"]+)"(?: string="(?<type>true|false)")?>/,
        parameterStart: "<｜DSML｜parameter",
        valueEnd: close("parameter"),
        callEnd: close("invoke"),
        end: close(section),
      }),
    ],
    markers: ["｜DSML｜"],
    written: {
      trigger: tag(section),
      begin: '\n<｜DSML｜invoke name="',
      between: '\n<｜DSML｜invoke name="',
      end: `\n${close(section)}`,
      call: parametersCall({
        before: ({ name }) => [`${name}">\n`],
        parameter: (key, text) => `<｜DSML｜parameter name="${key}" string="${text}">`,
        valueEnd: `${close("parameter")}\n`,
        after: close("invoke"),
      }),
    },
  } satisfies Family);
}

export const DEEPSEEK_V3_2 = marked("deepseek-v3.2", ["DeepSeek V3.2"], "function_calls");
export const DEEPSEEK_V4 = marked("deepseek-v4", ["DeepSeek V4"], "tool_calls");
