import { parsedJson } from "../../util/json.ts";
import { type BodyStep, type CallBody, type CallForm, done, none, type Opener, open } from "./calls.ts";
import type { FormatEvent, FormatTool } from "./format.ts";
import { ObjectScanner } from "./json-scan.ts";

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
      else if (this.list === "none" && !rest.includes("{")) return "wait";
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
  private readonly scanner = new ObjectScanner();
  /** of the arguments: text that was told already ends here */
  private sent = 0;

  constructor(syntax: JsonSyntax, tools: readonly FormatTool[]) {
    this.syntax = syntax;
    this.tools = tools;
  }

  get text(): string {
    return this.scanner.text;
  }

  push(text: string): FormatEvent[] {
    this.scanner.push(text);
    const { end, bad } = this.scanner;
    if (bad && !this.told) this.failed = true;
    if (this.failed || this.impossible()) {
      this.failed = true;
      return [];
    }
    const events = this.advance();
    if (end !== null || bad) {
      if (!this.told) this.failed = true;
      this.rest = end === null ? "" : this.text.slice(end);
    }
    return events;
  }

  end(cut: boolean): FormatEvent[] {
    const events: FormatEvent[] = [];
    const name = this.name();
    if (cut) return this.told || name === null || this.failed ? [] : [...this.tell(name), ...this.begun()];
    if (!this.told) {
      if (name === null) return [];
      events.push(...this.tell(name));
    }
    const given = this.given();
    if (given === null || given.to !== null) return [...events, ...this.whole()];
    const missing = this.scanner.missing();
    if (this.sent === 0) events.push(args(this.text.slice(given.from)));
    if (missing) events.push(args(missing));
    return events;
  }

  /** Of arguments that are not whole what came. */
  private begun(): FormatEvent[] {
    const given = this.given();
    if (!given || this.text[given.from] !== "{") return [];
    return [args(this.text.slice(given.from, given.to ?? this.text.length))];
  }

  private advance(): FormatEvent[] {
    const events: FormatEvent[] = [];
    const whole = this.scanner.end !== null;
    const name = this.name();
    const given = this.given();
    if (!this.told && name !== null && (whole || (given && !this.syntax.idLast)))
      events.push(...this.tell(name));
    if (!this.told) return events;
    if (given && this.text[given.from] === "{") {
      const from = Math.max(this.sent, given.from);
      const to = given.to ?? this.text.length;
      if (to > from) events.push(args(this.text.slice(from, to)));
      this.sent = to;
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
    if (this.sent > 0) return [];
    this.sent = this.text.length;
    return [args(argumentsText(this.value(...ARGUMENTS) ?? this.nested()?.arguments))];
  }

  private name(): string | null {
    const { name: key } = this.syntax;
    if (key === undefined) {
      const only = this.scanner.members[0];
      return only && this.text[only.from] === "{" ? only.key : null;
    }
    const name = this.value(key) ?? (this.scanner.end === null ? null : this.nested()?.name);
    return typeof name === "string" && name !== "" ? name : null;
  }

  /** The member with the arguments. */
  private given() {
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

  /** Of the first of these members that is whole. */
  private value(...keys: readonly string[]): unknown {
    const member = this.scanner.members.find(({ key }) => keys.includes(key));
    if (!member || member.to === null) return null;
    return parsedJson(this.text.slice(member.from, member.to)) ?? null;
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
