import type { FormatEvent, FormatTool } from "./format.ts";

/** What the readers of calls have in common: JSON between tags, parameters in XML, calls as in Python. */

/** Reads what follows the marker that begins a call, or several. */
export interface CallBody {
  push(text: string): BodyStep;
  /** What is certain when nothing follows. */
  end(cut: boolean): BodyStep;
}

/**
 * `open`: more may follow. `done`: `rest` is text again. `none`: it is no call, there were no events, and `rest` is all
 * that was pushed.
 */
export interface BodyStep {
  readonly events: readonly FormatEvent[];
  readonly state: "open" | "done" | "none";
  readonly rest: string;
}

/** What begins calls of one form. */
export interface Opener {
  readonly text: string;
  /** it is the beginning of the call itself, and is pushed to the body */
  readonly kept?: boolean;
  /** only where no text came before */
  readonly first?: boolean;
  /** only where a line begins */
  readonly line?: boolean;
}

/** One way of a family to write calls. */
export interface CallForm {
  readonly openers: readonly Opener[];
  body(tools: readonly FormatTool[], opener: string): CallBody;
}

/** A header of a call that is longer is none. Bounds what is held back for one that never comes. */
export const MOST_HEADER_UNITS = 256;

/** Values within values: what is deeper is text. Bounds the stack. */
export const MOST_DEPTH = 128;

export const open = (events: readonly FormatEvent[] = []): BodyStep => ({ events, state: "open", rest: "" });
export const done = (events: readonly FormatEvent[], rest: string): BodyStep => ({
  ...{ events, state: "done" as const, rest },
});
export const none = (rest: string): BodyStep => ({ events: [], state: "none", rest });

/** Whether a text begins with one of the marks, may yet turn out to, or does not. */
export function begins(text: string, marks: readonly string[]): { mark: string } | "perhaps" | "no" {
  const mark = marks.filter((mark) => text.startsWith(mark)).sort((a, b) => b.length - a.length)[0];
  if (marks.some((mark) => mark.length > text.length && mark.startsWith(text))) return "perhaps";
  return mark === undefined ? "no" : { mark };
}
