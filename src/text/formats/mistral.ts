import { type Family, familyFormat } from "./family.ts";
import { jsonCall, type Part } from "./grammar.ts";
import { headerCalls } from "./header-calls.ts";
import { jsonCalls } from "./json-calls.ts";

const CALLS = "[TOOL_CALLS]";
const ID: Part = { pattern: "[a-zA-Z0-9]{9}", of: "id" };
const THOUGHT = { open: "[THINK]", close: "[/THINK]" } as const;

export const MISTRAL_NEMO = familyFormat({
  name: "mistral-nemo",
  models: ["Mistral Nemo", "Mistral 7B v0.3"],
  templates: [{ has: [CALLS], lacks: ["[ARGS]"] }],
  thought: null,
  calls: [jsonCalls({ openers: [{ text: CALLS }], closers: [], name: "name", id: "id", idLast: true })],
  written: {
    trigger: CALLS,
    begin: "[",
    between: ", ",
    end: "]",
    call: jsonCall(
      ({ name }) => [`{"name": ${JSON.stringify(name)}, "arguments": `],
      [`, "id": "`, ID, `"}`],
    ),
  },
} satisfies Family);

export const MISTRAL_SMALL = familyFormat({
  name: "mistral-small-3.2",
  models: ["Mistral Small 3.2"],
  templates: [{ has: [CALLS, "[CALL_ID]", "[ARGS]"] }],
  thought: THOUGHT,
  calls: [
    headerCalls({
      openers: [{ text: CALLS }],
      header: /^(?<name>[^[\s{]+)(?:\[CALL_ID\](?<id>[^[\s]+))?\[ARGS\]/,
      closers: [],
    }),
  ],
  markers: ["[CALL_ID]", "[ARGS]"],
  written: {
    trigger: CALLS,
    between: CALLS,
    call: jsonCall(({ name }) => [`${name}[CALL_ID]`, ID, "[ARGS]"]),
  },
} satisfies Family);

export const MAGISTRAL = familyFormat({
  name: "magistral",
  models: ["Magistral", "Ministral 3", "Mistral Large 3", "Devstral"],
  templates: [{ has: [CALLS, "[ARGS]"] }],
  thought: THOUGHT,
  calls: [headerCalls({ openers: [{ text: CALLS }], header: /^(?<name>[^[\s{]+)\[ARGS\]/, closers: [] })],
  markers: ["[ARGS]"],
  written: { trigger: CALLS, between: CALLS, call: jsonCall(({ name }) => [`${name}[ARGS]`]) },
} satisfies Family);
