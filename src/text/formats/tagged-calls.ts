import { overlap } from "../stop-strings.ts";
import {
  type BodyStep,
  begins,
  type CallBody,
  type CallForm,
  done,
  MOST_HEADER_UNITS,
  none,
  type Opener,
  open,
} from "./calls.ts";
import type { FormatEvent, FormatTool } from "./format.ts";
import { isText, parametersOf, valueText } from "./schema-types.ts";

/** Calls with a tag for each parameter, whose values are bare text: the schema says what is a string. */

export interface TaggedSyntax {
  readonly openers: readonly Opener[];
  /** from the opener, or from the end of the call before: the group `name` */
  readonly call: RegExp;
  /** what `call` begins with, past white space; empty: any */
  readonly callStart: string;
  /** the same of a call that follows another; default: as `callStart` */
  readonly nextStart?: string;
  /** the group `key`, and `type` where it is written: a type of JSON Schema, or whether it is a string */
  readonly parameter: RegExp;
  readonly parameterStart: string;
  readonly valueEnd: string;
  /** values are lines of their own */
  readonly lines?: boolean;
  /** values may be within `<![CDATA[` and `]]>`: they are told when they are whole */
  readonly quotes?: boolean;
  readonly callEnd: string;
  /** closes what the opener opened, after one call or several; null: the end of a call does */
  readonly end: string | null;
}

export function taggedCalls(syntax: TaggedSyntax): CallForm {
  return {
    openers: syntax.openers,
    body: (tools, opener) => {
      const kept = syntax.openers.some(({ text, kept }) => kept && text === opener);
      return new TaggedCalls(syntax, tools, kept);
    },
  };
}

interface Value {
  readonly type: string | undefined;
  readonly schema: Readonly<Record<string, unknown>> | undefined;
  /** of a string: its beginning was told */
  streams: boolean;
}

class TaggedCalls implements CallBody {
  private readonly syntax: TaggedSyntax;
  private readonly tools: readonly FormatTool[];
  /** the opener says too little: a call is one of a tool that there is */
  private readonly strict: boolean;
  private state: "call" | "members" | "value" | "after" = "call";
  private rest = "";
  private calls = 0;
  private members = 0;
  private tool: FormatTool | undefined;
  private value: Value = { type: undefined, schema: undefined, streams: false };
  /** of the rest, in a value: no end of it is before */
  private searched = 0;
  /** nothing of the value was read */
  private fresh = false;

  constructor(syntax: TaggedSyntax, tools: readonly FormatTool[], strict: boolean) {
    this.syntax = syntax;
    this.tools = tools;
    this.strict = strict;
  }

  push(text: string): BodyStep {
    this.rest += text;
    const events: FormatEvent[] = [];
    for (;;) {
      const step = this.step(events);
      if (step) return step;
    }
  }

  end(cut: boolean): BodyStep {
    const events: FormatEvent[] = [];
    if (this.state === "call") return cut || this.calls > 0 ? done([], "") : none(this.rest);
    if (this.state === "after" || cut) return done([], "");
    if (this.state === "value") {
      const at = this.rest.lastIndexOf(this.syntax.valueEnd);
      this.finish(this.rest.slice(0, at < 0 ? this.rest.length : at), events);
    }
    events.push({ type: "arguments", text: this.members === 0 ? "{}" : "}" });
    return done(events, "");
  }

  /** @returns null to go on at once */
  private step(events: FormatEvent[]): BodyStep | null {
    switch (this.state) {
      case "call":
        return this.call(events);
      case "members":
        return this.member(events);
      case "value":
        return this.within(events);
      default:
        return this.after(events);
    }
  }

  private call(events: FormatEvent[]): BodyStep | null {
    const { call } = this.syntax;
    const callStart = this.startOf(this.calls > 0);
    const found = call.exec(this.rest);
    const name = found?.groups?.name?.trim();
    if (!found || !name) {
      const rest = this.rest.trimStart();
      const possible = rest.startsWith(callStart) || callStart.startsWith(rest);
      if (possible && rest.length <= MOST_HEADER_UNITS) return open(events);
      return this.calls > 0 ? done(events, this.rest) : none(this.rest);
    }
    this.tool = this.tools.find((tool) => tool.name === name);
    if (this.strict && this.calls === 0 && !this.tool) return none(this.rest);
    events.push({ type: "call", name, id: null });
    this.calls++;
    this.members = 0;
    this.rest = this.rest.slice(found[0].length);
    this.state = "members";
    return null;
  }

  private startOf(next: boolean): string {
    const { callStart, nextStart = callStart } = this.syntax;
    return next ? nextStart : callStart;
  }

  private member(events: FormatEvent[]): BodyStep | null {
    const { parameter, parameterStart, callEnd } = this.syntax;
    const rest = this.rest.trimStart();
    const found = parameter.exec(rest);
    if (found) {
      this.begin(found, events);
      this.rest = rest.slice(found[0].length);
      return null;
    }
    const mark = rest === "" ? "perhaps" : begins(rest, [callEnd, parameterStart]);
    const more = mark === "perhaps" || (mark !== "no" && mark.mark === parameterStart);
    if (more && rest.length <= MOST_HEADER_UNITS) return open(events);
    // What is neither a parameter nor the end of the call ends it.
    events.push({ type: "arguments", text: this.members === 0 ? "{}" : "}" });
    if (mark === "no" || more) return done(events, rest);
    this.rest = rest.slice(callEnd.length);
    this.state = "after";
    return null;
  }

  private begin(found: RegExpExecArray, events: FormatEvent[]): void {
    const key = found.groups?.key?.trim() ?? "";
    const type = found.groups?.type;
    const schema = parametersOf(this.tool).find(({ name }) => name === key)?.schema;
    events.push({ type: "arguments", text: `${this.members === 0 ? "{" : ", "}${JSON.stringify(key)}: ` });
    this.members++;
    this.value = {
      type: type === "true" ? "string" : type === "false" ? "json" : type,
      schema,
      streams: false,
    };
    this.searched = 0;
    this.fresh = true;
    this.state = "value";
  }

  /** A value ends where its closing tag is, and what has to follow it. */
  private within(events: FormatEvent[]): BodyStep | null {
    const { valueEnd, callEnd, parameterStart, lines } = this.syntax;
    if (this.rest === "") return open(events);
    if (this.fresh && lines && this.rest[0] === "\n") this.rest = this.rest.slice(1);
    this.fresh = false;
    for (;;) {
      const at = this.rest.indexOf(valueEnd, this.searched);
      if (at < 0) break;
      const after = this.rest.slice(at + valueEnd.length).trimStart();
      const mark = after === "" ? "perhaps" : begins(after, [callEnd, parameterStart]);
      if (mark === "perhaps") return open(this.stream(at, events));
      if (mark !== "no") {
        this.finish(this.rest.slice(0, at), events);
        this.rest = after;
        this.state = "members";
        return null;
      }
      this.searched = at + valueEnd.length;
    }
    this.searched = Math.max(this.searched, this.rest.length - valueEnd.length + 1);
    return open(this.stream(this.rest.length - overlap(this.rest, valueEnd), events));
  }

  private textual(): boolean {
    const { type, schema } = this.value;
    return type === "string" || (type === undefined && schema !== undefined && isText(schema));
  }

  /** Tells of a string what is certain: all before `to`, but for what may be the line end that is not part of it. */
  private stream(to: number, events: FormatEvent[]): readonly FormatEvent[] {
    if (!this.textual() || this.syntax.quotes) return events;
    let certain = this.syntax.lines && this.rest[to - 1] === "\n" ? to - 1 : to;
    if (/[\uD800-\uDBFF]/.test(this.rest[certain - 1] ?? "")) certain--;
    if (certain > 0) this.tell(this.rest.slice(0, certain), events);
    this.rest = this.rest.slice(Math.max(0, certain));
    this.searched = Math.max(0, this.searched - certain);
    return events;
  }

  private tell(text: string, events: FormatEvent[]): void {
    const quoted = JSON.stringify(text).slice(1, -1);
    events.push({ type: "arguments", text: this.value.streams ? quoted : `"${quoted}` });
    this.value.streams = true;
  }

  /** @param text the value, or what was not told of it */
  private finish(text: string, events: FormatEvent[]): void {
    const quoted = this.syntax.quotes ? /^\s*<!\[CDATA\[([\s\S]*)\]\]>\s*$/.exec(text)?.[1] : undefined;
    const written = quoted ?? (this.syntax.lines && text.endsWith("\n") ? text.slice(0, -1) : text);
    if (this.textual()) {
      this.tell(written, events);
      events.push({ type: "arguments", text: '"' });
      return;
    }
    const { type, schema } = this.value;
    const known = type !== undefined && type !== "json" ? { type } : schema;
    events.push({ type: "arguments", text: valueText(written, type === "json" ? undefined : known) });
  }

  private after(events: readonly FormatEvent[]): BodyStep | null {
    const { end } = this.syntax;
    const callStart = this.startOf(true);
    if (end === null) return done(events, this.rest);
    const rest = this.rest.trimStart();
    const mark = rest === "" ? "perhaps" : begins(rest, callStart === "" ? [end] : [end, callStart]);
    if (mark === "perhaps") return open(events);
    if (mark === "no") return done(events, this.rest);
    if (mark.mark === end) return done(events, rest.slice(end.length));
    this.state = "call";
    return null;
  }
}
