/** What a person types into a chat: lines in, and out comes text for the model, or a command. Nothing is done here. */

/** A command of the chat, as it was typed. */
export type ChatCommand =
  | { readonly name: "help" | "stats" | "clear" | "retry" | "quit" }
  /** null: show the one that there is */
  | { readonly name: "policy" | "system"; readonly argument: string | null }
  | { readonly name: "save"; readonly argument: string };

export type ChatInput =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "command"; readonly command: ChatCommand }
  /** a line for the user that says what would have been right */
  | { readonly kind: "wrong"; readonly message: string };

/** Lines that came and are not complete yet. */
export interface OpenInput {
  /** how it goes on: a line that ends with a backslash, or a block between two lines of three double quotes */
  readonly until: "line" | "quotes";
  readonly lines: readonly string[];
}

export interface LineRead {
  /** what the next line continues; null: it begins anew */
  readonly open: OpenInput | null;
  /** what is complete with this line; null: nothing */
  readonly input: ChatInput | null;
}

const QUOTES = '"""';

export const CHAT_COMMANDS: readonly (readonly [usage: string, what: string])[] = [
  ["/help", "this list"],
  ["/policy [NAME]", "show how answers are decoded, or change it from the next one on"],
  ["/stats", "statistics of the last answer and of the conversation"],
  ["/system [TEXT]", "show the system message, or set it; - takes it away"],
  ["/clear", "forget the conversation; the system message stays"],
  ["/retry", "answer the last question again, with a fresh seed"],
  ["/save FILE", "write the messages to a file, as JSON"],
  ["/quit", "end; so does Ctrl-D"],
];

const NAMES = CHAT_COMMANDS.map(([usage]) => usage.split(" ")[0]!).join(", ");

/** What there is to type, a line each. */
export function chatHelp(): string {
  const width = Math.max(...CHAT_COMMANDS.map(([usage]) => usage.length));
  const lines = CHAT_COMMANDS.map(([usage, what]) => `${usage.padEnd(width)}   ${what}`);
  return [...lines, 'A line continues after a backslash; a block goes between two lines of """.'].join("\n");
}

/** Takes one more line, without its line break. */
export function readLine(open: OpenInput | null, line: string): LineRead {
  if (open?.until === "quotes") {
    if (line.trim() === QUOTES) return { open: null, input: textOf(open.lines) };
    return { open: { until: "quotes", lines: [...open.lines, line] }, input: null };
  }
  if (!open && line.trim() === QUOTES) return { open: { until: "quotes", lines: [] }, input: null };
  const lines = open?.lines ?? [];
  if (line.endsWith("\\")) {
    return { open: { until: "line", lines: [...lines, line.slice(0, -1)] }, input: null };
  }
  return { open: null, input: inputOf([...lines, line]) };
}

/** The input is over: what was open counts as complete. */
export function readEnd(open: OpenInput | null): ChatInput | null {
  if (!open) return null;
  return open.until === "quotes" ? textOf(open.lines) : inputOf(open.lines);
}

/** A slash at the very beginning makes a command: after a space it is text like any other. */
function inputOf(lines: readonly string[]): ChatInput | null {
  return lines[0]!.startsWith("/") ? commandOf(lines.join("\n")) : textOf(lines);
}

function textOf(lines: readonly string[]): ChatInput | null {
  const text = lines.join("\n").trim();
  return text === "" ? null : { kind: "text", text };
}

function commandOf(typed: string): ChatInput {
  const [, name, rest] = /^\/(\S*)\s*(.*)$/s.exec(typed)!;
  const argument = rest!.trim() === "" ? null : rest!.trim();
  const wrong = (message: string): ChatInput => ({ kind: "wrong", message });
  switch (name) {
    case "help":
    case "stats":
    case "clear":
    case "retry":
    case "quit":
      if (argument !== null) return wrong(`/${name} takes nothing after it, and there is "${argument}"`);
      return { kind: "command", command: { name } };
    case "policy":
    case "system":
      return { kind: "command", command: { name, argument } };
    case "save":
      if (argument === null) return wrong("say where to: /save FILE");
      return { kind: "command", command: { name, argument } };
    default:
      return wrong(`there is no /${name}; there are ${NAMES}. To say it to the model, begin with a space`);
  }
}

/** What Ctrl-C does while nothing is being answered: it throws away what is typed, warns once, and then ends. */
export type InterruptEffect = "discard" | "warn" | "end";

/**
 * @param typed there is something in the line, or is open
 * @param again the last thing was a Ctrl-C that interrupted an answer, or that warned
 */
export function interruptEffect(typed: boolean, again: boolean): InterruptEffect {
  if (typed) return "discard";
  return again ? "end" : "warn";
}
