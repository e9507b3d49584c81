import { parsedJson } from "../../util/json.ts";
import type { FormatGrammarOptions, FormatTool, MadeCall } from "./format.ts";
import { type Parameter, parametersOf } from "./schema-types.ts";

/**
 * Grammars of answers, in llguidance's dialect of Lark: a thought, then text that is free until calls begin. The free
 * text and the marker that ends it are one lexeme of the shortest match, since a lexeme that is free would not end.
 */

/** Text as it is; or a regular expression in Lark's syntax, without its slashes, of an id or of the place of a call. */
export type Part = string | { readonly pattern: string; readonly of: "id" | "place" };

/** How calls are written. All of it is text that a model of the family writes by itself. */
export interface WrittenCalls {
  /** ends free text */
  readonly trigger: string;
  /** calls are not found within text, but only where the answer begins */
  readonly first?: boolean;
  /** the prompt ends with the trigger, and this follows it where text does */
  readonly begun?: string;
  /** what may be around text that keeps to a grammar */
  readonly around?: readonly [before: string, after: string];
  /**
   * Between the trigger and the first call. This and `between` reach into the call where `end` begins alike: a lexeme is
   * not taken back.
   */
  readonly begin?: string;
  readonly between: string;
  readonly end?: string;
  readonly call: CallWriting;
}

interface CallWriting {
  /** @returns an expression in Lark */
  grammar(tool: FormatTool, rules: LarkRules): string;
  /** The same with the trigger before it, in the lexemes of JSON: for where text may be JSON too. */
  beside?(tool: FormatTool, rules: LarkRules): string;
  text(call: MadeCall, place: number): string;
}

/** Rules that are made while others are written. */
export class LarkRules {
  private readonly rules: string[] = [];

  add(expression: string, attributes = ""): string {
    const name = `part_${this.rules.length}`;
    this.rules.push(`${name}${attributes}: ${expression}`);
    return name;
  }

  /** A regular expression with what is taken from it. */
  terminal(expression: string): string {
    const name = `TEXT_${this.rules.length}`;
    this.rules.push(`${name}: ${expression}`);
    return name;
  }

  json(schema: unknown): string {
    // Within Lark a schema is an object.
    const object = schema === true || schema === undefined ? {} : schema;
    return this.add(`%json ${JSON.stringify(object)}`);
  }

  /** Any text, and the marker that ends it. @param not what the text does not begin with, as a regular expression */
  until(marker: string, not = ""): string {
    return this.add(`/(?s:.*)${escaped(marker)}/${not}`, "[lazy]");
  }

  get lines(): readonly string[] {
    return this.rules;
  }
}

/** Calls as a model of the family would have written them. */
export function callsText(written: WrittenCalls, calls: readonly MadeCall[]): string {
  const { trigger, begin = "", between, end = "" } = written;
  return trigger + begin + calls.map((call, place) => written.call.text(call, place)).join(between) + end;
}

/** An expression of parts in order. */
function sequence(...parts: readonly Part[]): string {
  const written = parts.filter((part) => part !== "").map(partText);
  return written.length === 0 ? '""' : written.join(" ");
}

function partText(part: Part): string {
  return typeof part === "string" ? quoted(part) : `/${part.pattern}/`;
}

/** A string of Lark, whose escapes are those of JSON. */
export function quoted(text: string): string {
  return JSON.stringify(text);
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&").replaceAll("\n", "\\n");
}

export interface ThoughtMarks {
  readonly open: string;
  readonly close: string;
  /** what follows, before all else */
  readonly followedBy?: string;
}

/** A grammar for the whole of an answer. */
export function answerGrammar(
  thought: ThoughtMarks | null,
  written: WrittenCalls | null,
  options: FormatGrammarOptions,
): string {
  const rules = new LarkRules();
  const calls = written && options.tools.length > 0 ? callsOf(written, options, rules) : null;
  const open = thought && options.thinkingOpen;
  // Text that begins as a thought is one.
  const not = thought && !open ? ` & ~/\\s*${escaped(thought.open)}(?s:.*)/` : "";
  const body = bodyOf(written, calls, options, rules, not);
  const then = thought?.followedBy === undefined ? SPACE : quoted(thought.followedBy);
  const lines: string[] = [];
  if (thought && open) lines.push(`start: ${rules.until(thought.close)} ${then} body`);
  else if (thought) {
    const begin = quoted(thought.open);
    lines.push(`start: body | ${SPACE} ${begin} ${rules.until(thought.close)} ${then} body`);
  } else lines.push("start: body");
  return [
    ...lines,
    `body: ${body}`,
    ...rules.lines,
    ...(options.answer === null ? [] : [options.answer]),
  ].join("\n");
}

const SPACE = "/\\s*/";

/** Calls behind their trigger. */
function callsOf(written: WrittenCalls, options: FormatGrammarOptions, rules: LarkRules): string {
  const { begin = "", between, end = "" } = written;
  const call = rules.add(options.tools.map((tool) => written.call.grammar(tool, rules)).join(" | "));
  const more = options.parallel ? ` (${between === "" ? "" : `${quoted(between)} `}${call})*` : "";
  return [begin === "" ? "" : quoted(begin), `${call}${more}`, end === "" ? "" : quoted(end)]
    .filter(Boolean)
    .join(" ");
}

/**
 * Calls that begin as an answer may: the marks of both have to be the same lexemes, since one that is begun is not taken
 * back. Null: they do not begin alike.
 */
function callsBeside({ call }: WrittenCalls, options: FormatGrammarOptions, rules: LarkRules): string | null {
  if (!call.beside) return null;
  const one = rules.add(options.tools.map((tool) => call.beside!(tool, rules)).join(" | "));
  return options.parallel ? `${one} ("; " ${one})*` : one;
}

function bodyOf(
  written: WrittenCalls | null,
  calls: string | null,
  options: FormatGrammarOptions,
  rules: LarkRules,
  not: string,
): string {
  const bare = written?.first && calls !== null ? ` & ~/\\s*${escaped(written.trigger)}(?s:.*)/` : "";
  const free = options.answer === null ? rules.terminal(`/(?s:.*)/${not}${bare}`) : answerOf(written);
  const { begun } = written ?? {};
  const text = begun === undefined ? free : `${quoted(begun)} ${free}`;
  if (!written || calls === null) return text;
  const called = begun === undefined ? `${quoted(written.trigger)} ${calls}` : calls;
  if (options.calls === "must") return called;
  if (options.answer !== null) return `${text} | ${callsBeside(written, options, rules) ?? called}`;
  if (written.first) return `${text} | ${called}`;
  const before = `${rules.until(written.trigger, not)} ${calls}`;
  return `${text} | ${begun === undefined ? before : `${quoted(begun)} ${before} | ${called}`}`;
}

function answerOf(written: WrittenCalls | null): string {
  const { around } = written ?? {};
  return around ? `(answer | ${quoted(around[0])} answer ${quoted(around[1])})` : "answer";
}

/** A call that has its arguments as JSON. */
export function jsonCall(
  before: (tool: { readonly name: string }) => readonly Part[],
  after: readonly Part[] = [],
): CallWriting {
  return {
    grammar: (tool, rules) => {
      const behind = after.length === 0 ? "" : ` ${sequence(...after)}`;
      return `${sequence(...before(tool))} ${rules.json(tool.parameters ?? { type: "object" })}${behind}`;
    },
    text: (call, place) => {
      const written = (part: Part) => partOf(part, call, place);
      return [...before(call).map(written), call.arguments, ...after.map(written)].join("");
    },
  };
}

function partOf(part: Part, { id }: MadeCall, place: number): string {
  if (typeof part === "string") return part;
  return part.of === "id" ? id : String(place);
}

export interface WrittenParameters {
  before(tool: { readonly name: string }): readonly Part[];
  readonly after: string;
  /** @param text whether the value is a string */
  parameter(key: string, text: boolean): string;
  readonly valueEnd: string | ((key: string) => string);
  /** between two parameters */
  readonly between?: string;
  /** how a string is written; default: bare, up to `valueEnd` */
  readonly string?: { grammar(rules: LarkRules): string; text(value: string): string };
}

/** A call with its parameters one by one, in the order of the schema, strings bare. */
export function parametersCall(written: WrittenParameters): CallWriting {
  const { before, after, between = "" } = written;
  return {
    grammar: (tool, rules) => {
      const all = tool.parameters === undefined ? anyParameters(written, rules) : named(written, tool, rules);
      return [sequence(...before(tool)), all, after === "" ? "" : quoted(after)]
        .filter((part) => part !== "" && part !== '""')
        .join(" ");
    },
    text: (call, place) => {
      const begin = before(call).map((part) => partOf(part, call, place));
      const given = Object.entries((parsedJson(call.arguments) ?? {}) as Record<string, unknown>);
      return begin.join("") + given.map((pair) => parameterText(written, ...pair)).join(between) + after;
    },
  };
}

function named(written: WrittenParameters, tool: FormatTool, rules: LarkRules): string {
  const parts = parametersOf(tool).map((parameter) => ({
    ...{ parameter, rule: parameterRule(written, parameter, rules) },
  }));
  return ordered(parts, written.between ?? "", rules);
}

/** In the place of a name. */
const PLACE = "\0";

/** Of a tool that names none: any, with any values. */
function anyParameters(written: WrittenParameters, rules: LarkRules): string {
  const member = (text: boolean, value: string) => {
    const [before = "", behind = ""] = written.parameter(PLACE, text).split(PLACE);
    return `${sequence(before, { pattern: "[\\w.-]+", of: "id" }, behind)} ${value}`;
  };
  const { string } = written;
  const [valueEnd = "", behind] = endOf(written, PLACE).split(PLACE);
  const close = behind === undefined ? "" : ` /[\\w.-]+/ ${quoted(behind)}`;
  const texts = [member(true, string?.grammar(rules) ?? `${rules.until(valueEnd)}${close}`)];
  const typed = string !== undefined || written.parameter(PLACE, true) !== written.parameter(PLACE, false);
  const end = valueEnd === "" ? "" : ` ${quoted(valueEnd)}`;
  const others = typed ? [member(false, `${rules.json({})}${end}`)] : [];
  const one = rules.add([...texts, ...others].join(" | "));
  const { between = "" } = written;
  return between === "" ? `${one}*` : `(${one} (${quoted(between)} ${one})*)?`;
}

function endOf({ valueEnd }: WrittenParameters, key: string): string {
  return typeof valueEnd === "string" ? valueEnd : valueEnd(key);
}

function parameterText(written: WrittenParameters, key: string, value: unknown): string {
  const text = typeof value === "string";
  const bare = text ? (written.string?.text(value) ?? value) : JSON.stringify(value);
  return written.parameter(key, text) + bare + endOf(written, key);
}

function parameterRule(written: WrittenParameters, { name, schema }: Parameter, rules: LarkRules): string {
  const options = textOptions(schema);
  const begin = quoted(written.parameter(name, options !== "none"));
  const valueEnd = endOf(written, name);
  const end = valueEnd === "" ? "" : ` ${quoted(valueEnd)}`;
  if (options === "none") return rules.add(`${begin} ${rules.json(schema)}${end}`);
  if (options === "any") {
    const { string } = written;
    return rules.add(`${begin} ${string ? `${string.grammar(rules)}${end}` : rules.until(valueEnd)}`);
  }
  const texts = options.map((option) => quoted(written.string?.text(option) ?? option));
  return rules.add(`${begin} (${texts.join(" | ")})${end}`);
}

/** What a string may be; "none": it is no string. */
function textOptions(schema: Readonly<Record<string, unknown>>): "none" | "any" | readonly string[] {
  const { type, enum: options } = schema;
  if (Array.isArray(options) && options.length > 0 && options.every((option) => typeof option === "string"))
    return options as string[];
  return type === "string" ? "any" : "none";
}

/** All in order, those that are not required perhaps. */
function ordered(
  parts: readonly { readonly parameter: Parameter; readonly rule: string }[],
  between: string,
  rules: LarkRules,
): string {
  if (between === "")
    return parts.map(({ parameter, rule }) => (parameter.required ? rule : `${rule}?`)).join(" ");
  // Between two that are there: what follows depends on whether there was one.
  let first = "";
  let later = "";
  for (const { parameter, rule } of [...parts].reverse()) {
    const next = `${quoted(between)} ${rule}${later === "" ? "" : ` ${later}`}`;
    const begin = `${rule}${later === "" ? "" : ` ${later}`}`;
    const without = first;
    first = parameter.required ? begin : rules.add([begin, without === "" ? '""' : without].join(" | "));
    later = parameter.required ? next : rules.add([next, later === "" ? '""' : later].join(" | "));
  }
  return first;
}
