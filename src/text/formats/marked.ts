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
      kept: boolean;
      line: boolean;
      form: CallForm;
    };

/** A marker that was cut off is one if so much of it is there: a single unit may well be text, but behind a marker. */
const LEAST_PARTIAL_UNITS = 2;

export class MarkedReader implements FormatReader {
  private readonly syntax: MarkedSyntax;
  private readonly tools: readonly FormatTool[];
  private inText: readonly Marker[];
  private readonly inThought: readonly Marker[];
  private state: "text" | "thought";
  private call: { readonly body: CallBody; readonly opener: string; begun: boolean } | null = null;
  private buffer = "";
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
    this.inText = [
      ...calls,
      ...dropped,
      ...(syntax.wrap ? [{ kind: "wrap", text: syntax.wrap.open, first: true } as const] : []),
      ...(thought
        ? ([
            { kind: "thought", text: thought.open, first: !thought.anywhere },
            { kind: "dropped", text: thought.close, first: true },
          ] as const)
        : []),
    ];
    this.inThought = [
      ...(thought ? [{ kind: "closed", text: thought.close, first: false } as const] : []),
      ...(thought?.endsAtCall ? [...calls, ...dropped] : []),
    ];
  }

  push(text: string): FormatEvent[] {
    this.buffer += text;
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
    const partial = Math.max(0, ...this.markers.map(({ text }) => overlap(this.buffer, text)));
    if (cut && partial >= (this.skips ? 1 : LEAST_PARTIAL_UNITS))
      this.buffer = this.buffer.slice(0, this.buffer.length - partial);
    this.tell(this.buffer, events);
    this.buffer = "";
    if (this.state === "text" && this.space !== "") events.push({ type: "text", text: this.space });
    this.space = "";
    return merged(events);
  }

  private get markers(): readonly Marker[] {
    return this.state === "text" ? this.inText : this.inThought;
  }

  /** @returns false where more text is needed */
  private step(events: FormatEvent[]): boolean {
    if (this.call) return this.within(this.call, events);
    const found = this.next();
    if (!found) {
      const certain = this.buffer.length - this.held();
      this.tell(this.buffer.slice(0, certain), events);
      this.buffer = this.buffer.slice(certain);
      return false;
    }
    const { marker, at } = found;
    this.tell(this.buffer.slice(0, at), events);
    this.buffer = this.buffer.slice(at + marker.text.length);
    // Where it is no call after all, its opener is told.
    if (marker.kind !== "call") this.lead = 0;
    switch (marker.kind) {
      case "call":
        this.state = "text";
        this.call = { body: marker.form.body(this.tools, marker.text), opener: marker.text, begun: false };
        if (!marker.kept) break;
        this.buffer = marker.text + this.buffer;
        this.call = { ...this.call, opener: "" };
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
        this.inText = [...this.inText, { kind: "dropped", text: this.syntax.wrap!.close, first: false }];
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
    const text = this.buffer;
    this.buffer = "";
    const step = call.body.push(text);
    if (step.events.length > 0) this.space = "";
    events.push(...step.events);
    if (step.state === "open") return false;
    this.finish(call.opener, step.rest, events, step.state === "none");
    return this.buffer !== "";
  }

  /** After a call, or what turned out to be none: `opener` is text then. */
  private finish(opener: string, rest: string, events: FormatEvent[], none: boolean): void {
    this.call = null;
    this.buffer = rest;
    if (none) {
      // A kept opener is the beginning of the rest.
      const units = opener === "" ? 1 : 0;
      this.tell(opener + rest.slice(0, units), events);
      this.told = true;
      this.buffer = rest.slice(units);
    } else {
      this.lead = 0;
      this.change("text");
    }
  }

  /** The first marker; of those that begin together the longest. */
  private next(): { marker: Marker; at: number } | null {
    let best: { marker: Marker; at: number } | null = null;
    for (const marker of this.markers) {
      const at = this.find(marker);
      if (at < 0) continue;
      if (best && (at > best.at || (at === best.at && marker.text.length <= best.marker.text.length)))
        continue;
      best = { marker, at };
    }
    if (best === null) return null;
    // A longer one may begin there.
    const rest = this.buffer.slice(best.at);
    const perhaps = this.markers.some(({ text }) => text.length > rest.length && text.startsWith(rest));
    return perhaps ? null : best;
  }

  /** Where a marker is, in a place where it is one. */
  private find(marker: Marker): number {
    for (let at = this.buffer.indexOf(marker.text); at >= 0; at = this.buffer.indexOf(marker.text, at + 1)) {
      if (marker.first) return this.blank(at) ? at : -1;
      if (marker.kind !== "call" || !marker.line) return at;
      const before = this.space + this.buffer.slice(0, at);
      if (this.blank(at) || /\n\s*$/.test(before)) return at;
    }
    return -1;
  }

  /** Units at the end of the buffer that may begin a marker. */
  private held(): number {
    const units = this.markers.map(({ text, first }) => {
      const length = overlap(this.buffer, text);
      return first && !this.blank(this.buffer.length - length) ? 0 : length;
    });
    return Math.max(0, ...units);
  }

  private blank(to: number): boolean {
    return !this.told && this.buffer.slice(0, to).trim() === "";
  }

  private tell(given: string, events: FormatEvent[]): void {
    const text = given.slice(this.lead);
    this.lead = Math.max(0, this.lead - given.length);
    let rest = this.skips ? text.trimStart() : text;
    if (rest === "") return;
    this.skips = false;
    const holds = this.state === "thought" || this.inText.length > 0;
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
