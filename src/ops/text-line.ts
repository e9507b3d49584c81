/** A line of a log for a person: time, level, message, then fields as name=value. */

const LEVELS: Readonly<Record<number, string>> = { 20: "debug", 30: "info", 40: "warn", 50: "error" };
const PLAIN = /^[\w.:/@+<>-]+$/;
/** Control characters that JSON leaves as they are, line ends of Unicode, and what turns the direction of text. */
const OBEYED = /[\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

interface Line extends Readonly<Record<string, unknown>> {
  readonly time: number;
  readonly level: number;
  readonly msg: string;
}

/** @param json one line of JSON, as pino writes it. @returns one line with its end, that a terminal only prints */
export function textLine(json: string): string {
  const { time, level, msg, ...fields } = JSON.parse(json) as Line;
  const rest = Object.entries(fields).map(([name, value]) => `${name}=${shown(value)}`);
  const at = new Date(time).toISOString();
  const line = [at, (LEVELS[level] ?? String(level)).padEnd(5), msg, ...rest].join(" ");
  return `${escaped(line)}\n`;
}

function shown(value: unknown): string {
  return typeof value === "string" && PLAIN.test(value) ? value : JSON.stringify(value);
}

function escaped(text: string): string {
  return text.replaceAll(OBEYED, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
