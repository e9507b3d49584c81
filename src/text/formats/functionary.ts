import { type Family, familyFormat } from "./family.ts";
import { jsonCall } from "./grammar.ts";
import { headerCalls } from "./header-calls.ts";
import { pythonTag } from "./llama.ts";

export const FUNCTIONARY_3_1 = familyFormat({
  name: "functionary-3.1",
  models: ["Functionary 3.1"],
  templates: [{ has: ["<function=example_function_name>", "<|start_header_id|>"] }],
  thought: null,
  calls: [
    headerCalls({
      openers: [{ text: "<function=" }],
      header: /^(?<name>[^>\s]+)>/,
      closers: ["</function>"],
    }),
    pythonTag("<|python_tag|>"),
  ],
  written: {
    trigger: "<function=",
    between: "<function=",
    call: jsonCall(({ name }) => [`${name}>`], ["</function>"]),
  },
} satisfies Family);

/** A recipient and a line for each part, `all` for text. The prompt ends with the mark of the first. */
export const FUNCTIONARY_3_2 = familyFormat({
  name: "functionary-3.2",
  models: ["Functionary 3.2"],
  templates: [{ has: [">>>all"] }],
  thought: null,
  begins: ">>>",
  dropped: [">>>all\n"],
  calls: [
    headerCalls({ openers: [{ text: ">>>" }], header: /^(?<name>[^\n]+)\n/, closers: [], strict: true }),
  ],
  written: {
    trigger: ">>>",
    between: ">>>",
    begun: "all\n",
    call: jsonCall(({ name }) => [`${name}\n`]),
  },
} satisfies Family);
