import { parsedJson } from "../util/json.ts";
import { overlap } from "./stop-strings.ts";

/**
 * Calls of tools in an answer's text, in the form of Hermes and Qwen: a JSON object with name and arguments between
 * tags. Most chat templates of today that know tools ask for it.
 */

const OPEN = "<tool_call>";
const CLOSE = "</tool_call>";

/** What a call is written between. */
export const CALL_TAGS = { open: OPEN, close: CLOSE } as const;

/** A call as the model wrote it. */
export interface WrittenCall {
  readonly name: string;
  /** JSON as text, as it was written where that can be told */
  readonly arguments: string;
}

export interface ParsedText {
  /** text that is no call */
  readonly text: string;
  /** calls that are whole now */
  readonly calls: readonly WrittenCall[];
}

/** Tells calls from text as it comes. What looks like a call and is none stays text. */
export class ToolCallParser {
  private buffer = "";
  /** the buffer began with an open tag */
  private inside = false;

  push(text: string): ParsedText {
    this.buffer += text;
    let plain = "";
    const calls: WrittenCall[] = [];
    for (;;) {
      const tag = this.inside ? CLOSE : OPEN;
      const at = this.buffer.indexOf(tag);
      if (at < 0) break;
      const before = this.buffer.slice(0, at);
      const call = this.inside ? writtenCall(before) : null;
      if (call) calls.push(call);
      else plain += this.inside ? OPEN + before + CLOSE : before;
      this.buffer = this.buffer.slice(at + tag.length);
      this.inside = !this.inside;
    }
    if (!this.inside) {
      const certain = this.buffer.length - overlap(this.buffer, OPEN);
      plain += this.buffer.slice(0, certain);
      this.buffer = this.buffer.slice(certain);
    }
    return { text: plain, calls };
  }

  /** What was held back, when nothing follows: a call without its end is read all the same. */
  end(): ParsedText {
    const call = this.inside ? writtenCall(this.buffer) : null;
    const text = call ? "" : (this.inside ? OPEN : "") + this.buffer;
    this.buffer = "";
    this.inside = false;
    return { text, calls: call ? [call] : [] };
  }
}

function writtenCall(text: string): WrittenCall | null {
  const value = parsedJson(text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  const { name, arguments: args = {} } = value as { name?: unknown; arguments?: unknown };
  if (typeof name !== "string" || name === "") return null;
  // The same text again in the next turn's prompt: what both sides have computed of it stays good.
  const written = /"arguments"\s*:\s*([\s\S]*)\}\s*$/.exec(text)?.[1]?.trim();
  const asWritten = written !== undefined && JSON.stringify(parsedJson(written)) === JSON.stringify(args);
  return { name, arguments: asWritten ? written : JSON.stringify(args) };
}

/** Whether a template shows tools, and asks for calls in the form that is read here. */
export function callsTools(template: string | null): boolean {
  return template?.includes(OPEN) ?? false;
}
