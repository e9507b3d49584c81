import { overlap } from "../stop-strings.ts";
import type { Format, FormatEvent, FormatReader, FormatTool, MadeCall, ReaderOptions } from "./format.ts";
import { LarkRules, quoted } from "./grammar.ts";
import { ValueScanner } from "./json-scan.ts";

/**
 * Harmony: messages with a header that names channel and recipient. The channel `analysis` is a thought, a recipient
 * `functions.NAME` is called, and all else is text: the last message, and what is said before a call.
 */

const START = "<|start|>";
const CHANNEL = "<|channel|>";
const MESSAGE = "<|message|>";
/** What ends a message; a header follows, or the answer ends. */
const ENDS = ["<|end|>", "<|call|>", "<|return|>", START];
const END = /<\|(?:end|call|return|start)\|>/;
const MARKERS = [...ENDS, CHANNEL, MESSAGE, "<|constrain|>"];
/** Longer ones are no headers. */
const MOST_HEADER_UNITS = 512;
const PREFIX = "functions.";

type Kind = "text" | "reasoning" | "call" | "ignored";

class HarmonyReader implements FormatReader {
  private readonly tools: readonly FormatTool[];
  private state: "header" | Kind;
  private buffer = "";
  private scanner = new ValueScanner();
  /** the arguments of the call: not begun, under way, over */
  private value: "before" | "within" | "after" = "before";

  constructor({ thinkingOpen, tools }: ReaderOptions) {
    this.tools = tools;
    this.state = thinkingOpen ? "reasoning" : "header";
  }

  push(text: string): FormatEvent[] {
    this.buffer += text;
    const events: FormatEvent[] = [];
    while (this.step(events));
    return joined(events);
  }

  end(cut: boolean): FormatEvent[] {
    const events: FormatEvent[] = [];
    if (this.state === "header") {
      const { buffer } = this;
      this.buffer = "";
      const partial = MARKERS.some((marker) => marker.startsWith(buffer) && buffer.length > 1);
      if (!cut && !partial && !/^\s*(?:<\||to=|$)/.test(buffer)) events.push({ type: "text", text: buffer });
      return events;
    }
    const held = Math.max(0, ...ENDS.map((marker) => overlap(this.buffer, marker)));
    const rest = cut && held > 1 ? this.buffer.slice(0, this.buffer.length - held) : this.buffer;
    this.buffer = "";
    this.tell(rest, events);
    if (this.state === "call") this.close(cut, events);
    return joined(events);
  }

  private step(events: FormatEvent[]): boolean {
    return this.state === "header" ? this.header(events) : this.body(events);
  }

  private header(events: FormatEvent[]): boolean {
    const text = this.buffer.replace(/^\s+(?=<\|)/, "");
    const at = text.slice(0, MOST_HEADER_UNITS + MESSAGE.length).indexOf(MESSAGE);
    if (at < 0) {
      // The prompt, or a model that has lost its header, may go on with text at once.
      const possible = ["<|start|>", CHANNEL, " to=", "to=", "<|constrain|>", MESSAGE, ...ENDS].some(
        (mark) => text.startsWith(mark) || mark.startsWith(text),
      );
      const end = ENDS.find((mark) => mark !== START && text.startsWith(mark));
      if (end !== undefined) {
        this.buffer = text.slice(end.length);
        return true;
      }
      if (possible && text.length <= MOST_HEADER_UNITS) return false;
      this.state = "text";
      return true;
    }
    const header = text.slice(0, at);
    this.buffer = text.slice(at + MESSAGE.length);
    this.state = kindOf(header, this.tools.length > 0);
    if (this.state !== "call") return true;
    const name = recipientOf(header)!.slice(PREFIX.length);
    events.push({ type: "call", name, id: null });
    this.scanner = new ValueScanner();
    this.value = "before";
    return true;
  }

  private body(events: FormatEvent[]): boolean {
    if (this.state === "call" && this.value !== "after") return this.args(events);
    const found = END.exec(this.buffer);
    if (!found) {
      const certain = this.buffer.length - Math.max(0, ...ENDS.map((mark) => overlap(this.buffer, mark)));
      this.tell(this.buffer.slice(0, certain), events);
      this.buffer = this.buffer.slice(certain);
      return false;
    }
    const { 0: mark, index } = found;
    this.tell(this.buffer.slice(0, index), events);
    this.buffer = this.buffer.slice(mark === START ? index : index + mark.length);
    this.state = "header";
    return true;
  }

  /** Arguments are a JSON object, in which a marker is text. */
  private args(events: FormatEvent[]): boolean {
    if (this.value === "before") {
      this.buffer = this.buffer.trimStart();
      if (this.buffer === "") return false;
      this.value = this.buffer[0] === "{" ? "within" : "after";
      if (this.value === "after") events.push({ type: "arguments", text: "{}" });
      return true;
    }
    const to = this.scanner.push(this.buffer, 0);
    events.push({ type: "arguments", text: to < 0 ? this.buffer : this.buffer.slice(0, to) });
    this.buffer = to < 0 ? "" : this.buffer.slice(to);
    if (to >= 0) this.value = "after";
    return to >= 0;
  }

  private close(cut: boolean, events: FormatEvent[]): void {
    if (cut || this.value === "after") return;
    const missing = this.value === "before" ? "{}" : this.scanner.missing();
    if (missing) events.push({ type: "arguments", text: missing });
  }

  private tell(text: string, events: FormatEvent[]): void {
    if (text === "") return;
    if (this.state === "text" || this.state === "reasoning") events.push({ type: this.state, text });
  }
}

function recipientOf(header: string): string | undefined {
  return /(?:^|\s)to=([^\s<]+)/.exec(header)?.[1];
}

function kindOf(header: string, callable: boolean): Kind {
  const recipient = recipientOf(header);
  if (recipient?.startsWith(PREFIX)) return callable ? "call" : "ignored";
  // A tool that is built into some servers, and that is not here.
  if (recipient !== undefined && recipient !== "assistant" && recipient !== "user") return "ignored";
  const channel = [...header.matchAll(/<\|channel\|>\s*(\w+)/g)].at(-1)?.[1];
  return channel === "analysis" ? "reasoning" : "text";
}

function joined(events: readonly FormatEvent[]): FormatEvent[] {
  const all: FormatEvent[] = [];
  for (const event of events) {
    const last = all.at(-1);
    if (event.type !== "call" && last?.type === event.type)
      all[all.length - 1] = { ...event, text: last.text + event.text };
    else all.push(event);
  }
  return all;
}

const headerOf = (name: string) => `${CHANNEL}commentary to=${PREFIX}${name} <|constrain|>json${MESSAGE}`;
const callText = ({ name, arguments: given }: MadeCall) => headerOf(name) + given;

export const GPT_OSS: Format = {
  name: "gpt-oss",
  models: ["gpt-oss"],
  markers: MARKERS,
  recognises: (template) => template.includes(CHANNEL) && template.includes("analysis"),
  thinkingOpen: (prompt) => prompt.endsWith(`${CHANNEL}analysis${MESSAGE}`),
  thinkingEnd: "<|end|>",
  marksText: true,
  callsTools: true,
  instruction: () => null,
  written: (calls) => calls.map(callText).join(`<|call|>${START}assistant`),
  reader: (options) => new HarmonyReader(options),
  grammar: (options) => {
    const rules = new LarkRules();
    const again = `${START}assistant`;
    const analysis = `${CHANNEL}analysis${MESSAGE}`;
    const thought = options.thinkingOpen
      ? `${rules.until("<|end|>")} ${quoted(again)}`
      : `(${quoted(analysis)} ${rules.until("<|end|>")} ${quoted(again)})*`;
    const calls = options.tools.map(({ name, parameters }) => {
      const header = quoted(headerOf(name));
      return `${header} ${rules.json(parameters ?? { type: "object" })}`;
    });
    const answer = options.answer === null ? rules.add("/(?s:.*)/") : "answer";
    const final = `${quoted(`${CHANNEL}final${MESSAGE}`)} ${answer}`;
    const preamble = `${quoted(`${CHANNEL}commentary${MESSAGE}`)} ${rules.until("<|end|>")} ${quoted(again)}`;
    const called = calls.length === 0 ? [] : [`(${preamble})? (${calls.join(" | ")})`];
    const body = [...called, ...(options.calls === "must" && calls.length > 0 ? [] : [final])];
    return [
      `start: ${thought} (${body.join(" | ")})`,
      ...rules.lines,
      ...(options.answer === null ? [] : [options.answer]),
    ].join("\n");
  },
};
