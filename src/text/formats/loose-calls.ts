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
import { LooseScanner, looseJson } from "./loose-values.ts";
import { parametersOf } from "./schema-types.ts";

/** Calls as in Python, and those that look alike: `[add(a=1)]`, `call:add{a:1}`. */

export interface LooseSyntax {
  readonly openers: readonly Opener[];
  /** with its opening bracket; the group `name` */
  readonly call: RegExp;
  /** with what is between name and value; the group `key` */
  readonly member: RegExp;
  /** the bracket that closes the members */
  readonly callEnd: ")" | "}";
  /** what closes all calls; empty: a bracket of a list does, or the end of the call */
  readonly closers: readonly string[];
  /** a call is one of a tool that there is */
  readonly strict?: boolean;
}

export function looseCalls(syntax: LooseSyntax): CallForm {
  return { openers: syntax.openers, body: (tools) => new LooseCalls(syntax, tools) };
}

class LooseCalls implements CallBody {
  private readonly syntax: LooseSyntax;
  private readonly tools: readonly FormatTool[];
  private state: "call" | "members" | "after" = "call";
  private rest = "";
  private raw = "";
  private calls = 0;
  private members = 0;
  private list = false;
  private tool: FormatTool | undefined;
  /** of the member that has begun */
  private value: LooseScanner | null = null;

  constructor(syntax: LooseSyntax, tools: readonly FormatTool[]) {
    this.syntax = syntax;
    this.tools = tools;
  }

  push(text: string): BodyStep {
    this.rest += text;
    if (this.calls === 0) this.raw += text;
    const events: FormatEvent[] = [];
    for (;;) {
      const step =
        this.state === "call"
          ? this.call(events)
          : this.state === "members"
            ? this.member(events)
            : this.after(events);
      if (step) return step;
    }
  }

  end(cut: boolean): BodyStep {
    if (this.state !== "members" || cut) return cut || this.calls > 0 ? done([], "") : none(this.raw);
    const events: FormatEvent[] = [];
    const value = this.rest.trim();
    if (value !== "" && this.syntax.member.test(value)) this.tell(value, events);
    events.push({ type: "arguments", text: this.members === 0 ? "{}" : "}" });
    return done(events, "");
  }

  private call(events: FormatEvent[]): BodyStep | null {
    const rest = this.rest.trimStart();
    if (!this.list && this.calls === 0 && rest[0] === "[") {
      this.list = true;
      this.rest = rest.slice(1);
      return null;
    }
    const found = this.syntax.call.exec(rest);
    const name = found?.groups?.name?.trim();
    if (!found || !name) {
      if (this.rest.length <= MOST_HEADER_UNITS && /^[\w.:\- ]*$/.test(rest)) return open(events);
      return this.calls > 0 ? done(events, this.rest) : none(this.raw);
    }
    this.tool = this.tools.find((tool) => tool.name === name);
    if (this.syntax.strict && !this.tool && this.calls === 0) return none(this.raw);
    events.push({ type: "call", name, id: null });
    this.calls++;
    this.members = 0;
    this.rest = rest.slice(found[0].length);
    this.state = "members";
    return null;
  }

  private member(events: FormatEvent[]): BodyStep | null {
    const rest = this.rest.replace(/^[\s,]+/, "");
    this.rest = rest;
    if (rest === "") return open(events);
    if (rest[0] === this.syntax.callEnd) {
      events.push({ type: "arguments", text: this.members === 0 ? "{}" : "}" });
      this.rest = rest.slice(1);
      this.state = "after";
      return null;
    }
    this.value ??= this.begun(rest);
    const end = this.value?.end(rest) ?? -1;
    if (end < 0) return open(events);
    this.value = null;
    if (end === 0) {
      events.push({ type: "arguments", text: this.members === 0 ? "{}" : "}" });
      return done(events, rest);
    }
    this.tell(rest.slice(0, end), events);
    this.rest = rest.slice(end);
    return null;
  }

  /** null where a name may go on */
  private begun(rest: string): LooseScanner | null {
    const found = this.syntax.member.exec(rest);
    if (found) return new LooseScanner(found[0].length);
    return /^[\w\s.-]*$/.test(rest) ? null : new LooseScanner(0);
  }

  private tell(text: string, events: FormatEvent[]): void {
    const found = this.syntax.member.exec(text);
    // A value without a name is that of the parameter in its place.
    const key =
      found?.groups?.key?.trim() ?? parametersOf(this.tool)[this.members]?.name ?? `arg${this.members}`;
    const value = looseJson(text.slice(found?.[0].length ?? 0));
    events.push({
      type: "arguments",
      text: `${this.members === 0 ? "{" : ", "}${JSON.stringify(key)}: ${value}`,
    });
    this.members++;
  }

  private after(events: readonly FormatEvent[]): BodyStep | null {
    const rest = this.rest.trimStart();
    const marks = [...this.syntax.closers, ...(this.list ? [",", "]"] : [])];
    if (marks.length === 0) return done(events, this.rest);
    const mark = rest === "" ? "perhaps" : begins(rest, marks);
    if (mark === "perhaps") return open(events);
    if (mark === "no") return done(events, this.rest);
    this.rest = rest.slice(mark.mark.length);
    if (mark.mark === ",") {
      this.state = "call";
      return null;
    }
    if (mark.mark !== "]") return done(events, this.rest);
    this.list = false;
    return null;
  }
}
