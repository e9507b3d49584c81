import { type Family, familyFormat, THINK } from "./family.ts";
import { jsonCall, type WrittenCalls } from "./grammar.ts";
import { jsonCalls } from "./json-calls.ts";

/** A JSON list of calls behind a marker. */

function written(trigger: string, close: string): WrittenCalls {
  return {
    ...{ trigger, begin: "[", between: ", ", end: `]${close}` },
    call: jsonCall(({ name }) => [`{"name": ${JSON.stringify(name)}, "arguments": `], ["}"]),
  };
}

const list = (open: string, close: string) =>
  jsonCalls({ openers: [{ text: open }], closers: close === "" ? [] : [close], name: "name", id: "id" });

export const GRANITE_3 = familyFormat({
  name: "granite-3.3",
  models: ["Granite 3.3"],
  templates: [{ has: ["<|tool_call|>", "<|start_of_role|>"] }],
  thought: THINK,
  wrap: { open: "<response>", close: "</response>" },
  calls: [list("<|tool_call|>", "")],
  written: written("<|tool_call|>", ""),
} satisfies Family);

export const NEMOTRON_2 = familyFormat({
  name: "nemotron-2",
  models: ["Nemotron Nano 2"],
  templates: [{ has: ["<TOOLCALL>"] }],
  thought: THINK,
  calls: [list("<TOOLCALL>", "</TOOLCALL>")],
  markers: ["</TOOLCALL>"],
  written: written("<TOOLCALL>", "</TOOLCALL>"),
} satisfies Family);

export const APRIEL = familyFormat({
  name: "apriel",
  models: ["Apriel 1.5", "Apriel 1.6"],
  templates: [{ has: ["<tool_calls>", "[BEGIN FINAL RESPONSE]"] }],
  thought: { open: "Here are my reasoning steps:", close: "[BEGIN FINAL RESPONSE]" },
  dropped: ["[END FINAL RESPONSE]"],
  calls: [list("<tool_calls>", "</tool_calls>")],
  markers: ["</tool_calls>"],
  written: written("<tool_calls>", "</tool_calls>"),
} satisfies Family);

export const HUNYUAN = familyFormat({
  name: "hunyuan",
  models: ["Hunyuan"],
  templates: [{ has: ["<tool_calls>", "<answer>"] }, { has: ["<tool_calls>"] }],
  thought: THINK,
  wrap: { open: "<answer>", close: "</answer>" },
  calls: [list("<tool_calls>", "</tool_calls>")],
  markers: ["</tool_calls>"],
  written: written("<tool_calls>", "</tool_calls>"),
} satisfies Family);

export const FIREFUNCTION = familyFormat({
  name: "firefunction-2",
  models: ["FireFunction v2"],
  templates: [{ has: ["functools["] }],
  thought: null,
  calls: [list("functools", "")],
  written: written("functools", ""),
} satisfies Family);

export const PHI_4_MINI = familyFormat({
  name: "phi-4-mini",
  models: ["Phi-4-mini"],
  templates: [{ has: ["<|tool|>"] }],
  thought: null,
  calls: [list("<|tool_call|>", "<|/tool_call|>"), list("functools", "")],
  markers: ["<|/tool_call|>"],
  written: written("<|tool_call|>", "<|/tool_call|>"),
} satisfies Family);

/** An object a call, whose only key is the name. */
export const APERTUS = familyFormat({
  name: "apertus",
  models: ["Apertus"],
  templates: [{ has: ["<|tools_prefix|>"] }],
  thought: { open: "<|inner_prefix|>", close: "<|inner_suffix|>", anywhere: true },
  calls: [jsonCalls({ openers: [{ text: "<|tools_prefix|>" }], closers: ["<|tools_suffix|>"] })],
  markers: ["<|tools_suffix|>"],
  written: {
    ...written("<|tools_prefix|>", "<|tools_suffix|>"),
    call: jsonCall(({ name }) => [`{${JSON.stringify(name)}: `], ["}"]),
  },
} satisfies Family);

export const GIGACHAT = familyFormat({
  name: "gigachat-3",
  models: ["GigaChat 3"],
  templates: [{ has: ["<|role_sep|>", "<|message_sep|>"] }],
  thought: null,
  dropped: ["<|message_sep|>"],
  calls: [list("<|function_call|>", ""), list("function call<|role_sep|>", "")],
  written: {
    trigger: "<|function_call|>",
    between: "<|message_sep|>\n\n<|function_call|>",
    call: jsonCall(({ name }) => [`{"name": ${JSON.stringify(name)}, "arguments": `], ["}"]),
  },
} satisfies Family);
