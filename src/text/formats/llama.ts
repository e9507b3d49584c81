import { type BodyStep, type CallBody, type CallForm, done, none, open } from "./calls.ts";
import { familyFormat } from "./family.ts";
import type { FormatEvent, FormatTool } from "./format.ts";
import { jsonCall, type LarkRules, quoted } from "./grammar.ts";
import { jsonCalls } from "./json-calls.ts";
import { looseCalls } from "./loose-calls.ts";

/** Meta's: an object that is all of the answer, a list of calls as in Python, and code behind a token. */

const BARE = jsonCalls({
  // Text may come before it, and then it has to begin as a call.
  openers: [
    { text: "{", kept: true, first: true },
    { text: '{"name"', kept: true, line: true },
  ],
  ...{ closers: [], name: "name", strict: true },
});

const PYTHONIC = {
  member: /^(?<key>\w+)\s*=\s*(?!=)/,
  callEnd: ")" as const,
  closers: [],
  strict: true,
};

const LIST = looseCalls({
  ...PYTHONIC,
  openers: [{ text: "[", kept: true, first: true }],
  call: /^(?<name>[\w.-]+)\(/,
});

/** What a tool is called that takes code as it is. */
const INTERPRETERS = ["python", "ipython", "code_interpreter"];

/** Behind the token: a built-in tool's call, an object, or code. */
export function pythonTag(token: string): CallForm {
  const builtIn = looseCalls({ ...PYTHONIC, openers: [], call: /^(?<name>[\w.-]+?)(?:\.call)?\(/ });
  const object = jsonCalls({ openers: [], closers: [], name: "name", strict: true });
  return {
    openers: [{ text: token }],
    body: (tools) => new Choice([object.body(tools, token), builtIn.body(tools, token), new Code(tools)]),
  };
}

/** The first of several bodies that finds a call. */
class Choice implements CallBody {
  private readonly bodies: CallBody[];
  private raw = "";

  constructor(bodies: readonly CallBody[]) {
    this.bodies = [...bodies];
  }

  push(text: string): BodyStep {
    this.raw += text;
    return this.first((body, first) => body.push(first ? text : this.raw));
  }

  end(cut: boolean): BodyStep {
    return this.first((body, first) => {
      const step = first ? null : body.push(this.raw);
      if (step && step.state !== "open") return step;
      const last = body.end(cut);
      return { ...last, events: [...(step?.events ?? []), ...last.events] };
    });
  }

  private first(ask: (body: CallBody, first: boolean) => BodyStep): BodyStep {
    for (let first = true; ; first = false) {
      const [body] = this.bodies;
      if (!body) return none(this.raw);
      const step = ask(body, first);
      if (step.state !== "none") return step;
      this.bodies.shift();
    }
  }
}

/** All that follows is code, where a tool takes it. */
class Code implements CallBody {
  private readonly tool: FormatTool | undefined;
  private begun = false;

  constructor(tools: readonly FormatTool[]) {
    this.tool = tools.find(({ name }) => INTERPRETERS.includes(name));
  }

  push(text: string): BodyStep {
    if (!this.tool) return none(text);
    if (text === "") return open();
    const quoted = JSON.stringify(text).slice(1, -1);
    if (this.begun) return open([{ type: "arguments", text: quoted }]);
    this.begun = true;
    const call: FormatEvent = { type: "call", name: this.tool.name, id: null };
    return open([call, { type: "arguments", text: `{"code": "${quoted}` }]);
  }

  end(): BodyStep {
    return done(this.begun ? [{ type: "arguments", text: '"}' }] : [], "");
  }
}

const WRITTEN = {
  trigger: '{"name": ',
  first: true,
  between: '; {"name": ',
  call: {
    ...jsonCall(({ name }) => [`${JSON.stringify(name)}, "parameters": `], ["}"]),
    beside: ({ name, parameters }: FormatTool, rules: LarkRules) => {
      const lexemes = ["{", '"name"', ": ", JSON.stringify(name), ", ", '"parameters"', ": "].map(quoted);
      return `${lexemes.join(" ")} ${rules.json(parameters ?? { type: "object" })} "}"`;
    },
  },
};

export const LLAMA_3 = familyFormat({
  name: "llama-3",
  models: ["Llama 3.1", "Llama 3.2", "Llama 3.3"],
  templates: [{ has: ["<|start_header_id|>", "Environment: ipython"] }],
  thought: null,
  calls: [BARE, LIST, pythonTag("<|python_tag|>")],
  written: WRITTEN,
});

export const LLAMA_4 = familyFormat({
  name: "llama-4",
  models: ["Llama 4"],
  templates: [{ has: ["<|header_start|>"] }],
  thought: null,
  dropped: ["<|python_end|>"],
  calls: [BARE, LIST, pythonTag("<|python_start|>")],
  written: WRITTEN,
});
