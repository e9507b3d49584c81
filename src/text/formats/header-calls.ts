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
import { ValueScanner } from "./json-scan.ts";

/** Calls whose name is in a header, which JSON with the arguments follows. */

export interface HeaderSyntax {
  readonly openers: readonly Opener[];
  /** all between opener and arguments, from its beginning, with the group `name`, and `id` where there is one */
  readonly header: RegExp;
  /** what may close a call: the longest counts */
  readonly closers: readonly string[];
  /** only tools that there are may be called; another header is text */
  readonly strict?: boolean;
}

export function headerCalls(syntax: HeaderSyntax): CallForm {
  return { openers: syntax.openers, body: (tools) => new HeaderCall(syntax, tools) };
}

class HeaderCall implements CallBody {
  private readonly syntax: HeaderSyntax;
  private readonly tools: readonly FormatTool[];
  private state: "header" | "value" | "closer" = "header";
  private rest = "";
  private readonly scanner = new ValueScanner();

  constructor(syntax: HeaderSyntax, tools: readonly FormatTool[]) {
    this.syntax = syntax;
    this.tools = tools;
  }

  push(text: string): BodyStep {
    this.rest += text;
    const events: FormatEvent[] = [];
    if (this.state === "header") {
      const step = this.header(events);
      if (step) return step;
    }
    if (this.state === "value") {
      const to = this.scanner.push(this.rest, 0);
      const given = to < 0 ? this.rest : this.rest.slice(0, to);
      if (given !== "") events.push({ type: "arguments", text: given });
      this.rest = to < 0 ? "" : this.rest.slice(to);
      if (to < 0) return open(events);
      this.state = "closer";
    }
    return this.closer(events);
  }

  end(cut: boolean): BodyStep {
    switch (this.state) {
      case "header": {
        const name = this.name();
        const rest = name === null ? "" : this.rest.slice(name.length).trim();
        if (name && rest === "") return done(cut ? name.events : [...name.events, EMPTY], "");
        if (name && cut && this.syntax.closers.some((closer) => closer.startsWith(rest)))
          return done(name.events, "");
        return cut ? done([], "") : none(this.rest);
      }
      case "value": {
        const missing = cut ? null : this.scanner.missing();
        return done(missing ? [{ type: "arguments", text: missing }] : [], "");
      }
      default: {
        const rest = this.rest.trimStart();
        return done([], this.syntax.closers.some((closer) => closer.startsWith(rest)) ? "" : this.rest);
      }
    }
  }

  private name(): { events: readonly FormatEvent[]; length: number } | null {
    const found = this.syntax.header.exec(this.rest);
    const name = found?.groups?.name?.trim();
    if (!found || !name) return null;
    if (this.syntax.strict && !this.tools.some((tool) => tool.name === name)) return null;
    const id = found.groups?.id?.trim();
    return { events: [{ type: "call", name, id: id ? id : null }], length: found[0].length };
  }

  /** @returns null where the value has begun */
  private header(events: FormatEvent[]): BodyStep | null {
    const name = this.name();
    if (!name) {
      const hopeless = this.rest.length > MOST_HEADER_UNITS || this.syntax.header.test(this.rest);
      return hopeless ? none(this.rest) : open();
    }
    const value = this.rest.slice(name.length).trimStart();
    if (value === "") return open();
    if (value.startsWith("{")) {
      events.push(...name.events);
      this.state = "value";
      this.rest = value;
      return null;
    }
    const closer = begins(value, this.syntax.closers);
    if (closer === "perhaps") return open();
    if (closer === "no") return none(this.rest);
    return done([...name.events, EMPTY], value.slice(closer.mark.length));
  }

  private closer(events: readonly FormatEvent[]): BodyStep {
    const { closers } = this.syntax;
    if (closers.length === 0) return done(events, this.rest);
    const rest = this.rest.trimStart();
    const closer = rest === "" ? "perhaps" : begins(rest, closers);
    if (closer === "perhaps") return open(events);
    return done(events, closer === "no" ? this.rest : rest.slice(closer.mark.length));
  }
}

const EMPTY: FormatEvent = { type: "arguments", text: "{}" };
