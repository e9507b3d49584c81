import {
  type BodyStep,
  begins,
  type CallBody,
  type CallForm,
  done,
  MOST_DEPTH,
  MOST_HEADER_UNITS,
  none,
  type Opener,
  open,
} from "./calls.ts";
import type { FormatEvent, FormatTool } from "./format.ts";
import { isText, parametersOf, valueText } from "./schema-types.ts";

/** Calls whose arguments are tags within tags, each behind a token: an object is its members, a list its items. */

export interface NestedSyntax {
  readonly openers: readonly Opener[];
  /** the token before each tag */
  readonly token: string;
  /** from the opener, or from the end of the call before: the group `name` */
  readonly call: RegExp;
  readonly callEnd: string;
  readonly end: string;
}

type Schema = Readonly<Record<string, unknown>> | undefined;

export function nestedCalls(syntax: NestedSyntax): CallForm {
  return { openers: syntax.openers, body: (tools) => new NestedCalls(syntax, tools) };
}

class NestedCalls implements CallBody {
  private readonly syntax: NestedSyntax;
  private readonly tools: readonly FormatTool[];
  private state: "call" | "members" = "call";
  private rest = "";
  private calls = 0;
  private tool: FormatTool | undefined;

  constructor(syntax: NestedSyntax, tools: readonly FormatTool[]) {
    this.syntax = syntax;
    this.tools = tools;
  }

  push(text: string): BodyStep {
    this.rest += text;
    const events: FormatEvent[] = [];
    for (;;) {
      const step = this.state === "call" ? this.call(events) : this.members(events);
      if (step) return step;
    }
  }

  end(cut: boolean): BodyStep {
    if (this.state === "members" && !cut) return done([this.given(this.rest)], "");
    return cut || this.calls > 0 ? done([], "") : none(this.rest);
  }

  private call(events: FormatEvent[]): BodyStep | null {
    const rest = this.rest.trimStart();
    const end = this.calls === 0 || rest === "" ? "no" : begins(rest, [this.syntax.end]);
    if (typeof end === "object") return done(events, rest.slice(end.mark.length));
    const found = this.syntax.call.exec(rest);
    const name = found?.groups?.name;
    if (!found || !name) {
      if (
        this.rest.length <= MOST_HEADER_UNITS &&
        (rest === "" || begins(rest, [this.syntax.token]) !== "no")
      )
        return open(events);
      return this.calls > 0 ? done(events, this.rest) : none(this.rest);
    }
    events.push({ type: "call", name, id: null });
    this.calls++;
    this.tool = this.tools.find((tool) => tool.name === name);
    this.rest = rest.slice(found[0].length);
    this.state = "members";
    return null;
  }

  private members(events: FormatEvent[]): BodyStep | null {
    const at = this.rest.indexOf(this.syntax.callEnd);
    if (at < 0) return open(events);
    events.push(this.given(this.rest.slice(0, at)));
    this.rest = this.rest.slice(at + this.syntax.callEnd.length);
    this.state = "call";
    return null;
  }

  private given(text: string): FormatEvent {
    const members = this.children(text).map(({ key, within }) => {
      const schema = parametersOf(this.tool).find(({ name }) => name === key)?.schema;
      return `${JSON.stringify(key)}: ${this.value(within, schema)}`;
    });
    return { type: "arguments", text: `{${members.join(", ")}}` };
  }

  private value(text: string, schema: Schema, depth = 0): string {
    const isBare = depth === MOST_DEPTH || (schema !== undefined && isText(schema));
    const children = isBare ? [] : this.children(text);
    if (children.length === 0) return valueText(text, schema);
    if (children.every(({ key }) => key === "item")) {
      const items = schema?.items as Schema;
      return `[${children.map(({ within }) => this.value(within, items, depth + 1)).join(", ")}]`;
    }
    const parameters = parametersOf({ name: "", parameters: schema });
    const members = children.map(({ key, within }) => {
      const member = parameters.find(({ name }) => name === key)?.schema;
      return `${JSON.stringify(key)}: ${this.value(within, member, depth + 1)}`;
    });
    return `{${members.join(", ")}}`;
  }

  /** The tags that a text consists of; none where it is a value. */
  private children(text: string): readonly { readonly key: string; readonly within: string }[] {
    const { token } = this.syntax;
    const all: { key: string; within: string }[] = [];
    for (let rest = text.trim(); rest.startsWith(`${token}<`); rest = rest.trimStart()) {
      const key = /^[^<>/\s]+(?=>)/.exec(rest.slice(token.length + 1))?.[0];
      if (key === undefined) break;
      const [opener, closer] = [`${token}<${key}>`, `${token}</${key}>`];
      const to = closing(rest, opener, closer);
      all.push({ key, within: rest.slice(opener.length, to) });
      rest = rest.slice(Math.min(rest.length, to + closer.length));
    }
    return all;
  }
}

/** Where what closes the first of two that may be within each other is; the end of the text where nothing does. */
function closing(text: string, opener: string, closer: string): number {
  let depth = 1;
  let begin = text.indexOf(opener, opener.length);
  let end = text.indexOf(closer, opener.length);
  for (;;) {
    if (end < 0) return text.length;
    if (begin >= 0 && begin < end) {
      depth++;
      begin = text.indexOf(opener, begin + opener.length);
    } else {
      if (--depth === 0) return end;
      end = text.indexOf(closer, end + closer.length);
    }
  }
}
