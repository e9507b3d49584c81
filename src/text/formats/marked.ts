import { overlap } from "../stop-strings.ts";
import type { CallBody, CallForm } from "./calls.ts";
import type { FormatEvent, FormatReader, FormatTool, ReaderOptions } from "./format.ts";

/** Text, thoughts and calls that markers tell apart: what most families write. */

export interface ThoughtSyntax {
  readonly open: string;
  readonly close: string;
  /** see `ThoughtMarks` */
  readonly followedBy?: string;
  /** a thought may follow text too; default: only thoughts and calls come before it */
  readonly anywhere?: boolean;
  /** a call ends a thought that was not closed */
  readonly endsAtCall?: boolean;
}

export interface MarkedSyntax {
  readonly thought: ThoughtSyntax | null;
  readonly calls: readonly CallForm[];
  /** markers that are no text, wherever they are */
  readonly dropped?: readonly string[];
  /** what may be around all of the text: its end is one only after its beginning */
  readonly wrap?: { readonly open: string; readonly close: string };
  /** what the prompt ends with, and the first marker of the answer begins with: it is no text by itself */
  readonly begins?: string;
}

type Marker =
  | {
      readonly kind: "thought" | "closed" | "dropped" | "wrap";
      readonly text: string;
      readonly first: boolean;
    }
  | {
      readonly kind: "call";
      readonly text: string;
      readonly first: boolean;
      readonly kept: boolean;
      readonly line: boolean;
      readonly form: CallForm;
    };

/**
 * A body is given no more at once, so that what it turns down was read but for so much. What was turned down is read
 * again, for a call may begin in it: where that is several times all of the answer, nothing is a call any more.
 */
const MOST_PUSHED_UNITS = 512;
const MOST_READ_AGAIN = { times: 4, units: 256 * 1024 } as const;

/** A marker that was cut off is one if so much of it is there: a single unit may well be text, but behind a marker. */
const LEAST_PARTIAL_UNITS = 2;

export class MarkedReader implements FormatReader {
  private readonly syntax: MarkedSyntax;
  private readonly tools: readonly FormatTool[];
  private inText: Markers;
  private inThought: Markers;
  private state: "text" | "thought";
  private call: { readonly body: CallBody; readonly opener: string } | null = null;
  private buffer = "";
  /** of the buffer: all before was told, or is with the call */
  private at = 0;
  /** units of the answer, and units that were read again */
  private units = 0;
  private again = 0;
  /** white space that is dropped if a marker follows */
  private space = "";
  /** white space that follows a marker is dropped */
  private skips: boolean;
  /** there was text since the last thought or call */
  private told = false;
  /** units at the beginning of the buffer that the prompt ended with */
  private lead: number;

  constructor(syntax: MarkedSyntax, { thinkingOpen, tools }: ReaderOptions) {
    this.syntax = syntax;
    this.tools = tools;
    this.state = thinkingOpen && syntax.thought ? "thought" : "text";
    this.skips = this.state === "thought";
    const { thought } = syntax;
    const calls = tools.length === 0 ? [] : syntax.calls.flatMap(callMarkers);
    const dropped = (syntax.dropped ?? []).map((text): Marker => ({ kind: "dropped", text, first: false }));
    this.buffer = this.state === "thought" ? "" : (syntax.begins ?? "");
    this.lead = this.buffer.length;
    this.inText = new Markers([
      ...calls,
      ...dropped,
      ...(syntax.wrap ? [{ kind: "wrap", text: syntax.wrap.open, first: true } as const] : []),
      ...(thought
        ? ([
            { kind: "thought", text: thought.open, first: !thought.anywhere },
            { kind: "dropped", text: thought.close, first: true },
          ] as const)
        : []),
    ]);
    this.inThought = new Markers([
      ...(thought ? [{ kind: "closed", text: thought.close, first: false } as const] : []),
      ...(thought?.endsAtCall ? [...calls, ...dropped] : []),
    ]);
  }

  push(text: string): FormatEvent[] {
    this.units += text.length;
    this.buffer = this.buffer.slice(this.at) + text;
    this.at = 0;
    const events: FormatEvent[] = [];
    while (this.step(events));
    return merged(events);
  }

  end(cut: boolean): FormatEvent[] {
    const events: FormatEvent[] = [];
    while (this.call) {
      const { body, opener } = this.call;
      const { events: more, state, rest } = body.end(cut);
      events.push(...more);
      this.finish(opener, rest, events, state === "none");
      while (this.step(events));
    }
    const rest = this.buffer.slice(this.at);
    const partial = Math.max(0, ...this.markers.all.map(({ text }) => overlap(rest, text)));
    const dropped = cut && partial >= (this.skips ? 1 : LEAST_PARTIAL_UNITS) ? partial : 0;
    this.tell(rest.slice(0, rest.length - dropped), events);
    this.buffer = "";
    this.at = 0;
    if (this.state === "text" && this.space !== "") events.push({ type: "text", text: this.space });
    this.space = "";
    return merged(events);
  }

  private get markers(): Markers {
    return this.state === "text" ? this.inText : this.inThought;
  }

  /** @returns false where more text is needed */
  private step(events: FormatEvent[]): boolean {
    if (this.call) return this.within(this.call, events);
    const found = this.next();
    if (!found) {
      const certain = this.buffer.length - this.held();
      this.tell(this.buffer.slice(this.at, certain), events);
      this.at = certain;
      return false;
    }
    const { marker, at } = found;
    this.tell(this.buffer.slice(this.at, at), events);
    this.at = at + marker.text.length;
    // Where it is no call after all, its opener is told.
    if (marker.kind !== "call") this.lead = 0;
    switch (marker.kind) {
      case "call":
        this.state = "text";
        this.call = {
          body: marker.form.body(this.tools, marker.text),
          opener: marker.kept ? "" : marker.text,
        };
        if (marker.kept) this.at = at;
        break;
      case "thought":
        this.change("thought");
        break;
      case "closed":
        this.change("text");
        break;
      case "dropped":
        if (!this.told) this.change("text");
        break;
      case "wrap":
        this.inText = new Markers([
          ...this.inText.all,
          { kind: "dropped", text: this.syntax.wrap!.close, first: false },
        ]);
        this.change("text");
        break;
      default:
        marker satisfies never;
    }
    return true;
  }

  private change(state: "text" | "thought"): void {
    this.state = state;
    this.space = "";
    this.skips = true;
    this.told = false;
  }

  private within(call: NonNullable<typeof this.call>, events: FormatEvent[]): boolean {
    const text = this.buffer.slice(this.at, this.at + MOST_PUSHED_UNITS);
    this.at += text.length;
    const step = call.body.push(text);
    if (step.events.length > 0) this.space = "";
    events.push(...step.events);
    if (step.state !== "open") this.finish(call.opener, step.rest, events, step.state === "none");
    return this.at < this.buffer.length;
  }

  /** After a call, or what turned out to be none: `opener` is text then. */
  private finish(opener: string, rest: string, events: FormatEvent[], none: boolean): void {
    this.call = null;
    // The rest is an end of what the body was given.
    if (rest.length > this.at) {
      this.buffer = rest + this.buffer.slice(this.at);
      this.at = 0;
    } else this.at -= rest.length;
    if (none) {
      // A kept opener is the beginning of the rest.
      const units = opener === "" ? 1 : 0;
      this.tell(opener + rest.slice(0, units), events);
      this.told = true;
      this.at += units;
      this.again += rest.length;
      if (this.again > MOST_READ_AGAIN.times * this.units + MOST_READ_AGAIN.units) this.forgetCalls();
    } else {
      this.lead = 0;
      this.change("text");
    }
  }

  private forgetCalls(): void {
    this.inText = this.inText.withoutCalls();
    this.inThought = this.inThought.withoutCalls();
  }

  /** The first marker; of those that begin together the longest. */
  private next(): { marker: Marker; at: number } | null {
    const solid = this.told ? -1 : this.solid();
    for (let at = this.at; ; at++) {
      at = this.markers.find(this.buffer, at);
      if (at < 0) return null;
      const marker = this.markers.at(this.buffer, at).find((marker) => this.isIn(marker, at, at <= solid));
      if (!marker) continue;
      // A longer one may begin there.
      const rest = this.buffer.slice(at);
      const perhaps = this.markers.all.some(({ text }) => text.length > rest.length && text.startsWith(rest));
      return perhaps ? null : { marker, at };
    }
  }

  /** Whether a marker is one in its place. @param blank there was no text before */
  private isIn(marker: Marker, at: number, blank: boolean): boolean {
    if (marker.first) return blank;
    if (marker.kind !== "call" || !marker.line || blank) return true;
    for (let i = at - 1; i >= this.at; i--) {
      if (this.buffer[i] === "\n") return true;
      if (/\S/.test(this.buffer[i]!)) return false;
    }
    return this.space.includes("\n");
  }

  /** Where the first unit is that is no white space. */
  private solid(): number {
    const pattern = /\S/g;
    pattern.lastIndex = this.at + this.lead;
    return pattern.exec(this.buffer)?.index ?? this.buffer.length;
  }

  /** Units at the end of the buffer that may begin a marker. */
  private held(): number {
    const rest = this.buffer.slice(this.at);
    const solid = this.told ? -1 : this.solid();
    const units = this.markers.all.map(({ text, first }) => {
      const length = overlap(rest, text);
      return first && this.buffer.length - length > solid ? 0 : length;
    });
    return Math.max(0, ...units);
  }

  private tell(given: string, events: FormatEvent[]): void {
    const text = given.slice(this.lead);
    this.lead = Math.max(0, this.lead - given.length);
    let rest = this.skips ? text.trimStart() : text;
    if (rest === "") return;
    this.skips = false;
    const holds = this.state === "thought" || this.inText.all.length > 0;
    const certain = holds ? rest.trimEnd().length : rest.length;
    if (certain === 0) {
      this.space += rest;
      return;
    }
    const after = rest.slice(certain);
    rest = this.space + rest.slice(0, certain);
    this.space = after;
    if (this.state === "text") this.told = true;
    events.push({ type: this.state === "text" ? "text" : "reasoning", text: rest });
  }
}

/** What is looked for at once. */
class Markers {
  /** the longest first */
  readonly all: readonly Marker[];
  private readonly pattern: RegExp | null;

  constructor(markers: readonly Marker[]) {
    this.all = [...markers].sort((a, b) => b.text.length - a.text.length);
    const texts = this.all.map(({ text }) => text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"));
    this.pattern = texts.length === 0 ? null : new RegExp(texts.join("|"), "g");
  }

  /** Where the next one begins; -1: there is none. */
  find(text: string, from: number): number {
    if (this.pattern === null) return -1;
    this.pattern.lastIndex = from;
    return this.pattern.exec(text)?.index ?? -1;
  }

  at(text: string, at: number): readonly Marker[] {
    return this.all.filter((marker) => text.startsWith(marker.text, at));
  }

  withoutCalls(): Markers {
    return new Markers(this.all.filter(({ kind }) => kind !== "call"));
  }
}

function callMarkers(form: CallForm): Marker[] {
  return form.openers.map(({ text, kept = false, first = false, line = false }) => ({
    ...{ kind: "call" as const, text, kept, first, line, form },
  }));
}

/** Neighbours of one kind as one. */
function merged(events: readonly FormatEvent[]): FormatEvent[] {
  const all: FormatEvent[] = [];
  for (const event of events) {
    const last = all.at(-1);
    if (event.type !== "call" && last?.type === event.type)
      all[all.length - 1] = { ...event, text: last.text + event.text };
    else if (event.type === "call" || event.text !== "") all.push(event);
  }
  return all;
}
