import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { llamaCppPart, realVocabularies } from "./vocabularies.ts";

/** Answers of models with which llama.cpp tests its own parser: read from its test's source, and never committed. */

export interface ChatSample {
  /** name of a template */
  readonly template: string;
  readonly text: string;
  readonly tools: readonly SampleTool[];
  readonly thinking: boolean;
  readonly parallel: boolean;
  /** the answer was cut off */
  readonly cut: boolean;
}

export interface SampleTool {
  readonly type: "function";
  readonly function: { readonly name: string; readonly description: string; readonly parameters: unknown };
}

const SPACE = /(?:\s|\/\*.*?\*\/|\/\/[^\n]*\n|,)*/y;
const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r" };

/** Literals in C++ that follow each other, and constants that are added to them, as one text. */
function literals(
  source: string,
  from: number,
  constants: ReadonlyMap<string, string> = new Map(),
): { text: string; end: number } | null {
  let at = from;
  let text: string | null = null;
  for (;;) {
    SPACE.lastIndex = at;
    const next = at + (SPACE.exec(source)?.[0].length ?? 0);
    const raw = /^R"([^(]*)\(/.exec(source.slice(next, next + 20));
    if (raw) {
      const closer = `)${raw[1]}"`;
      const end = source.indexOf(closer, next + raw[0].length);
      text = (text ?? "") + source.slice(next + raw[0].length, end);
      at = end + closer.length;
    } else if (source[next] === '"') {
      const quoted = /"(?:\\[\s\S]|[^"\\])*"/y;
      quoted.lastIndex = next;
      const [found] = quoted.exec(source)!;
      text = (text ?? "") + found.slice(1, -1).replace(/\\(.)/g, (_, unit) => ESCAPES[unit] ?? unit);
      at = next + found.length;
    } else {
      const name: RegExpExecArray | null = /^\+?\s*(\w+)/.exec(source.slice(next, next + 100));
      const constant: string | undefined = constants.get(name?.[1] ?? "");
      if (name && constant !== undefined) {
        text = (text ?? "") + constant;
        at = next + name[0].length;
      } else if (text !== null && source[next] === "+") at = next + 1;
      else return text === null ? null : { text, end: at };
    }
    // Between the fields of a tool is a comma, and its literals are one each.
    if (/^\s*,/.test(source.slice(at))) return { text, end: at };
  }
}

function toolsIn(source: string): Map<string, SampleTool> {
  const tools = new Map<string, SampleTool>();
  for (const { 1: variable, index, 0: all } of source.matchAll(/common_chat_tool\s+(\w+)\s*\{/g)) {
    const fields: string[] = [];
    for (let at = index + all.length; fields.length < 3; ) {
      const field = literals(source, at);
      if (!field) break;
      fields.push(field.text);
      at = field.end;
    }
    const [name = "", description = "", parameters = ""] = fields;
    const schema: unknown = parameters.trim() === "" ? {} : JSON.parse(parameters);
    tools.set(variable!, { type: "function", function: { name, description, parameters: schema } });
  }
  return tools;
}

function constantsIn(source: string): Map<string, string> {
  const constants = new Map<string, string>();
  for (const { 1: name, index, 0: all } of source.matchAll(/const std::string (\w+) =/g)) {
    const value = literals(source, index + all.length);
    if (value && source[value.end] === ";") constants.set(name!, value.text);
  }
  return constants;
}

/** What else a sample may ask for, and is of no concern to a reader. */
const OTHER = /\.(?:messages|continue_final_message|json_schema|add_generation_prompt)\(/;

/** All samples of an answer after an ordinary prompt, in their order. */
export async function chatSamples(): Promise<ChatSample[]> {
  const folder = await llamaCppPart("chat-samples-3.22.1", "tests/test-chat.cpp");
  const source = await readFile(join(folder, "test-chat.cpp"), "utf8");
  const tools = toolsIn(source);
  const parts = source.split(/peg_tester\("models\/templates\/([^"]+)\.jinja"/);
  const samples: ChatSample[] = [];
  for (let part = 1; part + 1 < parts.length; part += 2) {
    const body = parts[part + 1]!;
    const constants = constantsIn(body);
    for (const { index, 0: begin } of body.matchAll(/\btst2?\.test\(/g)) {
      const literal = literals(body, index + begin.length, constants);
      if (!literal) continue;
      const rest = body.slice(literal.end, body.indexOf(".run()", literal.end));
      const named = /\.tools\(\{([\s\S]*?)\}\)/.exec(rest)?.[1] ?? "";
      const names = named
        .split(",")
        .map((name) => name.trim())
        .filter(Boolean);
      if (!/^\s*\)/.test(rest) || OTHER.test(rest) || names.some((name) => !tools.has(name))) continue;
      samples.push({
        template: parts[part]!,
        text: literal.text,
        tools: names.map((name) => tools.get(name)!),
        thinking: !rest.includes("enable_thinking(false)"),
        parallel: rest.includes("parallel_tool_calls(true)"),
        cut: rest.includes("is_partial(true)"),
      });
    }
  }
  return samples;
}

/** Jinja source of a template that llama.cpp tests with. */
export async function sampleTemplate(name: string): Promise<string> {
  const [first] = await realVocabularies();
  return readFile(join(dirname(first!.path), "templates", `${name}.jinja`), "utf8");
}
