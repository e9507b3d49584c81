import type { FormatEvent, FormatTool } from "../../src/text/formats/format.ts";

/** Answers as models of each family write them, by our own hand, and what they say. */

export const TOOLS: readonly FormatTool[] = [
  {
    name: "add",
    parameters: {
      type: "object",
      properties: {
        a: { type: "integer" },
        s: { type: "string" },
        list: { type: "array", items: { type: "number" } },
        deep: {
          type: "object",
          properties: { on: { type: "boolean" }, note: { type: "string" } },
          required: ["on", "note"],
          additionalProperties: false,
        },
      },
      required: ["a", "s"],
      additionalProperties: false,
    },
  },
  { name: "now", parameters: { type: "object", properties: {}, additionalProperties: false } },
  {
    name: "read.file",
    parameters: { type: "object", properties: { path: { type: "string" } }, required: ["path"] },
  },
];

export interface SampleCall {
  readonly name: string;
  readonly args: Readonly<Record<string, unknown>>;
}

/** How a family writes. */
interface Writer {
  /** @param ids one a call, where the family writes them */
  calls(calls: readonly SampleCall[]): string;
  /** ids that `calls` writes */
  ids?(calls: readonly SampleCall[]): readonly string[];
  /** null: it does not think */
  readonly thought: ((text: string) => string) | null;
  /** the beginning of a thought, which a prompt may end with */
  readonly opens?: string;
  readonly text?: (text: string) => string;
  /** before calls that follow a thought, or nothing */
  readonly lead?: string;
}

/** With a space behind commas and colons, as Python writes it. */
const json = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(json).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, item]) => `${JSON.stringify(key)}: ${json(item)}`)
    .join(", ")}}`;
};
const think = (text: string) => `<think>\n${text}\n</think>\n\n`;
const python = (value: unknown): string => {
  if (typeof value === "string") return json(value);
  if (typeof value === "boolean") return value ? "True" : "False";
  if (Array.isArray(value)) return `[${value.map(python).join(", ")}]`;
  if (typeof value === "object" && value !== null)
    return `{${Object.entries(value)
      .map(([key, item]) => `${python(key)}: ${python(item)}`)
      .join(", ")}}`;
  return String(value);
};
const gemma = (value: unknown): string => {
  if (typeof value === "string") return `<|"|>${value}<|"|>`;
  if (Array.isArray(value)) return `[${value.map(gemma).join(",")}]`;
  if (typeof value === "object" && value !== null)
    return `{${Object.entries(value)
      .map(([key, item]) => `${key}:${gemma(item)}`)
      .join(",")}}`;
  return String(value);
};
const bare = (value: unknown) => (typeof value === "string" ? value : json(value));
const M3 = "]<]minimax[>[";
const nested = (value: unknown): string => {
  if (Array.isArray(value)) return value.map((item) => `${M3}<item>${nested(item)}${M3}</item>`).join("");
  if (typeof value !== "object" || value === null) return bare(value);
  return Object.entries(value)
    .map(([key, item]) => `${M3}<${key}>${nested(item)}${M3}</${key}>`)
    .join("");
};
const kind = (value: unknown) =>
  typeof value === "string" || typeof value === "number" ? typeof value : "object";
const cdata = (text: string) => (/[<&\n]/.test(text) ? `<![CDATA[${text}]]>` : text);
const object = ({ name, args }: SampleCall) => `{"name": ${json(name)}, "arguments": ${json(args)}}`;
const ids = (calls: readonly SampleCall[]) => calls.map((_, index) => `Ab12345${index}9`);
const list = (open: string, close: string) => ({
  calls: (calls: readonly SampleCall[]) => `${open}[${calls.map(object).join(", ")}]${close}`,
});
const tagged =
  (
    before: (name: string) => string,
    pair: (key: string, value: unknown) => string,
    after: string,
    between: string,
  ) =>
  (calls: readonly SampleCall[]) =>
    calls
      .map(
        ({ name, args }) =>
          before(name) +
          Object.entries(args)
            .map(([k, v]) => pair(k, v))
            .join("") +
          after,
      )
      .join(between);

const HERMES: Writer = {
  calls: (calls) => calls.map((call) => `<tool_call>\n${object(call)}\n</tool_call>`).join("\n"),
  thought: think,
  opens: "<think>\n",
};
const LLAMA: Writer = {
  calls: (calls) =>
    calls.map(({ name, args }) => `{"name": ${json(name)}, "parameters": ${json(args)}}`).join("; "),
  thought: null,
};
const dsml = (section: string): Writer => ({
  calls: (calls) =>
    `<｜DSML｜${section}>\n${tagged(
      (name) => `<｜DSML｜invoke name="${name}">\n`,
      (key, value) =>
        `<｜DSML｜parameter name="${key}" string="${typeof value === "string"}">${bare(value)}</｜DSML｜parameter>\n`,
      "</｜DSML｜invoke>",
      "\n",
    )(calls)}\n</｜DSML｜${section}>`,
  thought: (text) => `<think>${text}</think>`,
  opens: "<think>",
});

/** By the name of the format. */
export const WRITERS: Readonly<Record<string, Writer>> = {
  hermes: HERMES,
  generic: HERMES,
  "qwen3-coder": {
    calls: tagged(
      (name) => `<tool_call>\n<function=${name}>\n`,
      (key, value) => `<parameter=${key}>\n${bare(value)}\n</parameter>\n`,
      "</function>\n</tool_call>",
      "\n",
    ),
    thought: think,
    opens: "<think>\n",
  },
  "seed-oss": {
    calls: tagged(
      (name) => `<seed:tool_call>\n<function=${name}>\n`,
      (key, value) => `<parameter=${key}>${bare(value)}</parameter>\n`,
      "</function>\n</seed:tool_call>",
      "\n",
    ),
    thought: (text) => `<seed:think>${text}</seed:think>`,
  },
  "glm-4.5": {
    calls: tagged(
      (name) => `<tool_call>${name}\n`,
      (key, value) => `<arg_key>${key}</arg_key>\n<arg_value>${bare(value)}</arg_value>\n`,
      "</tool_call>",
      "\n",
    ),
    thought: think,
  },
  "glm-4.7": {
    calls: tagged(
      (name) => `<tool_call>${name}`,
      (key, value) => `<arg_key>${key}</arg_key><arg_value>${bare(value)}</arg_value>`,
      "</tool_call>",
      "",
    ),
    thought: (text) => `<think>${text}</think>`,
    opens: "<think>",
  },
  "ling-3": {
    calls: tagged(
      (name) => `<tool_call>${name}\n`,
      (key, value) => `<arg_key>${key}</arg_key>\n<arg_value>${bare(value)}</arg_value>`,
      "\n</tool_call>",
      "\n",
    ),
    thought: (text) => `<think>${text}</think>`,
    opens: "<think>",
  },
  "kimi-k3": {
    calls: (calls) =>
      `<|open|>tools<|sep|>${calls
        .map(
          ({ name, args }, index) =>
            `<|open|>call tool="${name}" index="${index + 1}"<|sep|>${Object.entries(args)
              .map(
                ([key, value]) =>
                  `<|open|>argument key="${key}" type="${kind(value)}"<|sep|>${bare(value)}<|close|>argument<|sep|>`,
              )
              .join("")}<|close|>call<|sep|>`,
        )
        .join("")}<|close|>tools<|sep|>`,
    thought: (text) => `<|open|>think<|sep|>${text}<|close|>think<|sep|>`,
    opens: "<|open|>think<|sep|>",
    text: (text) => `<|open|>response<|sep|>${text}<|close|>response<|sep|>`,
  },
  "minicpm-5": {
    calls: tagged(
      (name) => `<function name="${name}">`,
      (key, value) => `<param name="${key}">${cdata(bare(value))}</param>`,
      "</function>",
      "\n",
    ),
    thought: think,
    opens: "<think>\n",
  },
  "hunyuan-3": {
    calls: (calls) =>
      `<tool_calls:opensource>\n${tagged(
        (name) => `<tool_call:opensource>${name}<tool_sep:opensource>\n`,
        (key, value) =>
          `<arg_key:opensource>${key}</arg_key:opensource>\n<arg_value:opensource>${bare(value)}</arg_value:opensource>\n`,
        "</tool_call:opensource>",
        "\n",
      )(calls)}\n</tool_calls:opensource>`,
    thought: (text) => `<think:opensource>${text}</think:opensource>`,
    opens: "<think:opensource>",
  },
  "minimax-m2": {
    calls: (calls) =>
      `<minimax:tool_call>\n${tagged(
        (name) => `<invoke name="${name}">\n`,
        (key, value) => `<parameter name="${key}">${bare(value)}</parameter>\n`,
        "</invoke>",
        "\n",
      )(calls)}\n</minimax:tool_call>`,
    thought: think,
    opens: "<think>\n",
  },
  "minimax-m3": {
    calls: (calls) =>
      `${M3}<tool_call>\n${calls
        .map(({ name, args }) => `${M3}<invoke name="${name}">${nested(args)}${M3}</invoke>\n`)
        .join("")}${M3}</tool_call>`,
    thought: (text) => `<mm:think>${text}</mm:think>`,
  },
  "minimax-m1": {
    calls: (calls) => `<tool_calls>\n${calls.map(object).join("\n")}\n</tool_calls>`,
    thought: think,
  },
  "deepseek-r1": {
    calls: (calls) =>
      `<｜tool▁calls▁begin｜>${calls
        .map(
          ({ name, args }) =>
            `<｜tool▁call▁begin｜>function<｜tool▁sep｜>${name}\n\`\`\`json\n${json(args)}\n\`\`\`<｜tool▁call▁end｜>`,
        )
        .join("\n")}<｜tool▁calls▁end｜>`,
    thought: think,
    opens: "<think>\n",
  },
  "deepseek-v3.1": {
    calls: (calls) =>
      `<｜tool▁calls▁begin｜>${calls
        .map(({ name, args }) => `<｜tool▁call▁begin｜>${name}<｜tool▁sep｜>${json(args)}<｜tool▁call▁end｜>`)
        .join("")}<｜tool▁calls▁end｜>`,
    thought: (text) => `<think>${text}</think>`,
    opens: "<think>",
  },
  "deepseek-v3.2": dsml("function_calls"),
  "deepseek-v4": dsml("tool_calls"),
  "kimi-k2": {
    calls: (calls) =>
      `<|tool_calls_section_begin|>${calls
        .map(
          ({ name, args }, index) =>
            `<|tool_call_begin|>functions.${name}:${index}<|tool_call_argument_begin|>${json(args)}<|tool_call_end|>`,
        )
        .join("")}<|tool_calls_section_end|>`,
    ids: (calls) => calls.map(({ name }, index) => `functions.${name}:${index}`),
    thought: (text) => `<think>${text}</think>`,
    opens: "<think>",
  },
  "mistral-nemo": {
    calls: (calls) =>
      `[TOOL_CALLS][${calls.map((call, index) => `${object(call).slice(0, -1)}, "id": "${ids(calls)[index]}"}`).join(", ")}]`,
    ids,
    thought: null,
  },
  "mistral-small-3.2": {
    calls: (calls) =>
      calls
        .map(({ name, args }, index) => `[TOOL_CALLS]${name}[CALL_ID]${ids(calls)[index]}[ARGS]${json(args)}`)
        .join(""),
    ids,
    thought: (text) => `[THINK]${text}[/THINK]`,
  },
  magistral: {
    calls: (calls) => calls.map(({ name, args }) => `[TOOL_CALLS]${name}[ARGS]${json(args)}`).join(""),
    thought: (text) => `[THINK]${text}[/THINK]`,
    opens: "[THINK]",
  },
  "command-r7b": {
    calls: (calls) =>
      `<|START_ACTION|>[\n    ${calls
        .map(
          ({ name, args }, index) =>
            `{"tool_call_id": "${index}", "tool_name": ${json(name)}, "parameters": ${json(args)}}`,
        )
        .join(",\n    ")}\n]<|END_ACTION|>`,
    ids: (calls) => calls.map((_, index) => String(index)),
    thought: (text) => `<|START_THINKING|>${text}<|END_THINKING|>`,
    text: (text) => `<|START_RESPONSE|>${text}<|END_RESPONSE|>`,
    opens: "<|START_THINKING|>",
  },
  "command-r": {
    calls: (calls) =>
      `Action:\n\`\`\`json\n[\n    ${calls
        .map(({ name, args }) => `{"tool_name": ${json(name)}, "parameters": ${json(args)}}`)
        .join(",\n    ")}\n]\n\`\`\``,
    thought: null,
  },
  "llama-3": LLAMA,
  "llama-4": LLAMA,
  "functionary-3.1": {
    calls: (calls) => calls.map(({ name, args }) => `<function=${name}>${json(args)}</function>`).join(""),
    thought: null,
  },
  "functionary-3.2": {
    calls: (calls) =>
      calls.map(({ name, args }, i) => `${i === 0 ? "" : ">>>"}${name}\n${json(args)}`).join(""),
    thought: null,
    text: (text) => `all\n${text}`,
    lead: ">>>",
  },
  "granite-3.3": { ...list("<|tool_call|>", ""), thought: think, text: (text) => text },
  "nemotron-2": { ...list("<TOOLCALL>", "</TOOLCALL>"), thought: think, opens: "<think>\n" },
  apriel: {
    ...list("<tool_calls>", "</tool_calls>"),
    thought: (text) => `Here are my reasoning steps:\n${text}\n[BEGIN FINAL RESPONSE]\n`,
    opens: "Here are my reasoning steps:\n",
  },
  hunyuan: { ...list("<tool_calls>", "</tool_calls>"), thought: think },
  "firefunction-2": { ...list("functools", ""), thought: null },
  "phi-4-mini": { ...list("<|tool_call|>", "<|/tool_call|>"), thought: null },
  apertus: {
    calls: (calls) =>
      `<|tools_prefix|>[${calls.map(({ name, args }) => `{${json(name)}: ${json(args)}}`).join(", ")}]<|tools_suffix|>`,
    thought: (text) => `<|inner_prefix|>${text}<|inner_suffix|>`,
  },
  "gigachat-3": {
    calls: (calls) => calls.map((call) => `<|function_call|>${object(call)}`).join("<|message_sep|>\n\n"),
    thought: null,
  },
  lfm2: {
    calls: (calls) =>
      `<|tool_call_start|>[${calls
        .map(
          ({ name, args }) =>
            `${name}(${Object.entries(args)
              .map(([key, value]) => `${key}=${python(value)}`)
              .join(", ")})`,
        )
        .join(", ")}]<|tool_call_end|>`,
    thought: think,
  },
  "gemma-4": {
    calls: (calls) =>
      calls.map(({ name, args }) => `<|tool_call>call:${name}${gemma(args)}<tool_call|>`).join(""),
    thought: (text) => `<|channel>thought\n${text}\n<channel|>`,
    opens: "<|channel>thought\n",
  },
  solar: {
    calls: (calls) =>
      `<|tool_calls|>${calls
        .map(
          ({ name, args }, index) =>
            `<|tool_call:begin|>${ids(calls)[index]}<|tool_call:name|>${name}<|tool_call:args|>${json(args)}<|tool_call:end|>`,
        )
        .join("")}<|calls|>`,
    ids,
    thought: (text) => `<|think|>${text}<|end|><|begin|>assistant`,
    text: (text) => `<|content|>${text}<|end|>`,
  },
  "muse-glimmer": {
    calls: (calls) =>
      calls
        .map(
          ({ name, args }) =>
            ` to=${name}<|message|><atem:function_calls>\n<atem:invoke name="${name}">\n${Object.entries(args)
              .map(([key, value]) => `<atem:parameter name="${key}">${bare(value)}</atem:parameter>\n`)
              .join("")}</atem:invoke>\n</atem:function_calls>`,
        )
        .join("<|eom|><|start|>assistant"),
    thought: (text) => ` to=self<|message|>${text}<|eom|><|start|>assistant`,
    opens: " to=self<|message|>",
    text: (text) => ` to=user<|message|>${text}`,
  },
  "gpt-oss": {
    calls: (calls) =>
      calls
        .map(
          ({ name, args }) =>
            `<|channel|>commentary to=functions.${name} <|constrain|>json<|message|>${json(args)}<|call|>`,
        )
        .join("<|start|>assistant"),
    thought: (text) => `<|channel|>analysis<|message|>${text}<|end|><|start|>assistant`,
    text: (text) => `<|channel|>final<|message|>${text}<|return|>`,
    lead: "",
  },
};

export interface Split {
  readonly text: string;
  readonly reasoning: string;
  readonly calls: readonly { readonly name: string; readonly id: string | null; readonly args: string }[];
}

/** What a reader has told, concatenated. */
export function splitOf(events: readonly FormatEvent[]): Split {
  const calls: { name: string; id: string | null; args: string }[] = [];
  let text = "";
  let reasoning = "";
  for (const event of events) {
    if (event.type === "text") text += event.text;
    else if (event.type === "reasoning") reasoning += event.text;
    else if (event.type === "call") calls.push({ name: event.name, id: event.id, args: "" });
    else calls.at(-1)!.args += event.text;
  }
  return { text, reasoning, calls };
}
