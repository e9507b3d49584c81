import { parsedJson } from "../../util/json.ts";
import {
  type BodyStep,
  type CallBody,
  type CallForm,
  done,
  MOST_HEADER_UNITS,
  none,
  type Opener,
  open,
} from "./calls.ts";
import type { FormatEvent, FormatTool } from "./format.ts";
import { type Member, ObjectScanner } from "./json-scan.ts";

/** Calls that are JSON objects, one or several, between markers or bare. */

export interface JsonSyntax {
  readonly openers: readonly Opener[];
  /** empty: nothing closes them but their own brackets */
  readonly closers: readonly string[];
  /** of the member with the name; absent: the name is the key of the only member, whose value are the arguments */
  readonly name?: string;
  readonly id?: string;
  /** the id follows the arguments, so a call is certain only when it is whole */
  readonly idLast?: boolean;
  /** what looks like a call is one only if it begins as one, and calls a tool that there is */
  readonly strict?: boolean;
}

const ARGUMENTS = ["arguments", "parameters", "args"];
/** What an object that is a call may begin with. */
const FIRST_KEYS = ["name", "type", "function", "id", ...ARGUMENTS];

export function jsonCalls(syntax: JsonSyntax): CallForm {
  return { openers: syntax.openers, body: (tools) => new JsonCalls(syntax, tools) };
}

class JsonCalls implements CallBody {
  private readonly syntax: JsonSyntax;
  private readonly tools: readonly FormatTool[];
  /** all that came, until there is a call */
  private raw = "";
  private rest = "";
  private object: ObjectCall | null = null;
  private calls = 0;
  private list: "none" | "open" | "closed" = "none";

  constructor(syntax: JsonSyntax, tools: readonly FormatTool[]) {
    this.syntax = syntax;
    this.tools = tools;
  }

  push(text: string): BodyStep {
    const events: FormatEvent[] = [];
    if (this.calls === 0) this.raw += text;
    this.rest += text;
    for (;;) {
      if (this.object) {
        const { rest } = this;
        this.rest = "";
        events.push(...this.object.push(rest));
        if (this.object.failed) return this.failed(events, this.object.text);
        if (this.object.rest === null) return open(events);
        this.rest = this.object.rest;
        this.object = null;
        this.calls++;
      }
      const step = this.between();
      if (step === "object") this.object = new ObjectCall(this.syntax, this.tools);
      else if (step === "wait") return open(events);
      else return this.failed(events, this.rest);
    }
  }

  end(cut: boolean): BodyStep {
    if (this.object) {
      const events = this.object.end(cut);
      if (events.length > 0 || this.object.told) return done(events, "");
    }
    return cut || this.calls > 0 ? done([], "") : none(this.raw);
  }

  private failed(events: readonly FormatEvent[], rest: string): BodyStep {
    return this.calls > 0 ? done(events, rest) : none(this.raw);
  }

  /** What follows outside of objects; "end": `rest` is text. */
  private between(): "object" | "wait" | "end" {
    for (;;) {
      const rest = this.rest.trimStart();
      // White space is with `raw`, or behind a call, where it is nothing.
      this.rest = rest;
      if (rest === "") return "wait";
      if (this.calls > 0 && this.list !== "open") {
        const closer = this.syntax.closers.find((closer) => rest.startsWith(closer));
        if (closer !== undefined) {
          this.rest = rest.slice(closer.length);
          return "end";
        }
        if (this.syntax.closers.some((closer) => closer.startsWith(rest))) return "wait";
      }
      if (this.list === "closed") return "end";
      if (rest[0] === "{") return "object";
      if (rest[0] === "[" && this.calls === 0 && this.list === "none") this.list = "open";
      else if (rest[0] === "]" && this.list === "open" && this.calls > 0) this.list = "closed";
      else if (!/[,;]/.test(rest[0]!) || this.calls === 0) return "end";
      else if (this.list === "none" && !/^[,;]\s*(?:\{|$)/.test(rest)) return "end";
      else if (this.list === "none" && !rest.includes("{"))
        return rest.length > MOST_HEADER_UNITS ? "end" : "wait";
      this.rest = rest.slice(1);
      if (this.list === "closed" && this.syntax.closers.length === 0) return "end";
    }
  }
}

/** One object as it comes. */
class ObjectCall {
  /** the call was told */
  told = false;
  failed = false;
  /** what follows the object; null while it goes on */
  rest: string | null = null;
  private readonly syntax: JsonSyntax;
  private readonly tools: readonly FormatTool[];
  private readonly scanner: ObjectScanner;
  /** arguments were told, or their beginning */
  private sent = false;

  constructor(syntax: JsonSyntax, tools: readonly FormatTool[]) {
    this.syntax = syntax;
    this.tools = tools;
    const keys = [...ARGUMENTS, "function", syntax.name, syntax.id];
    this.scanner = new ObjectScanner((key) => keys.includes(key));
  }

  get text(): string {
    return this.scanner.text;
  }

  push(text: string): FormatEvent[] {
    this.scanner.push(text);
    const { rest, bad } = this.scanner;
    if (bad && !this.told) this.failed = true;
    if (this.failed || this.impossible()) {
      this.failed = true;
      return [];
    }
    const events = this.advance();
    if (rest !== null || bad) {
      if (!this.told) this.failed = true;
      this.rest = rest ?? "";
    }
    return events;
  }

  end(cut: boolean): FormatEvent[] {
    const events: FormatEvent[] = [];
    if (cut && this.told) return [];
    if (!this.told) {
      const name = this.name();
      if (name === null) return [];
      events.push(...this.tell(name));
    }
    const given = this.given();
    if (cut) return given?.begins === "{" ? [...events, args(given.take())] : events;
    if (!given || given.whole) return [...events, ...this.whole()];
    const missing = this.scanner.missing();
    if (!this.sent) events.push(args(given.take()));
    if (missing) events.push(args(missing));
    return events;
  }

  private advance(): FormatEvent[] {
    const events: FormatEvent[] = [];
    const whole = this.scanner.rest !== null;
    const given = this.given();
    if (!this.told && (whole || (given && !this.syntax.idLast))) {
      const name = this.name();
      if (name !== null) events.push(...this.tell(name));
    }
    if (!this.told) return events;
    if (given?.begins === "{") {
      const more = given.take();
      if (more !== "") events.push(args(more));
      this.sent = true;
    } else if (whole) events.push(...this.whole());
    return events;
  }

  private tell(name: string): FormatEvent[] {
    this.told = true;
    const id = this.syntax.id === undefined ? null : this.value(this.syntax.id);
    return [{ type: "call", name, id: typeof id === "string" && id !== "" ? id : null }];
  }

  /** The arguments of an object that has none, or has them as text, if they were not told. */
  private whole(): FormatEvent[] {
    if (this.sent) return [];
    this.sent = true;
    return [args(argumentsText(this.value(...ARGUMENTS) ?? this.nested()?.arguments))];
  }

  private name(): string | null {
    const { name: key } = this.syntax;
    if (key === undefined) {
      const only = this.scanner.members[0];
      return only?.begins === "{" ? only.key : null;
    }
    const name = this.value(key) ?? (this.scanner.rest === null ? null : this.nested()?.name);
    return typeof name === "string" && name !== "" ? name : null;
  }

  /** The member with the arguments. */
  private given(): Member | null {
    const { members } = this.scanner;
    if (this.syntax.name === undefined) return members[0] ?? null;
    return members.find(({ key }) => ARGUMENTS.includes(key)) ?? null;
  }

  /** What `{"type": "function", "function": {…}}` has within. */
  private nested(): { name?: unknown; arguments?: unknown } | null {
    const within = this.value("function");
    if (typeof within !== "object" || within === null) return null;
    const { name, arguments: given, parameters } = within as Record<string, unknown>;
    return { name, arguments: given ?? parameters };
  }

  /** Of the first of these members, if it is whole. */
  private value(...keys: readonly string[]): unknown {
    return this.scanner.members.find(({ key }) => keys.includes(key))?.value() ?? null;
  }

  private impossible(): boolean {
    if (!this.syntax.strict || this.told) return false;
    const [first] = this.scanner.members;
    const name = this.name();
    const foreign = name !== null && !this.tools.some((tool) => tool.name === name);
    return (
      foreign || (first !== undefined && !FIRST_KEYS.includes(first.key) && first.key !== this.syntax.name)
    );
  }
}

const args = (text: string): FormatEvent => ({ type: "arguments", text });

/** Arguments of a value that is no object, or is one as text. */
function argumentsText(value: unknown): string {
  const object = typeof value === "string" ? parsedJson(value) : value;
  if (typeof object !== "object" || object === null || Array.isArray(object)) return "{}";
  return typeof value === "string" ? value.trim() : JSON.stringify(object);
}
