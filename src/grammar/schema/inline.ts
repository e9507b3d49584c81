import { SettingError } from "../../util/errors.ts";
import { preparedSchema } from "./prepare.ts";

/** JSON Schemas within a Lark grammar: `%json {…}`. */

/** Of the grammar without its schemas: longer ones take llguidance more than 50 ms to read. */
const MOST_UNITS = 32 * 1024;
const MOST_SCHEMAS = 256;
/** What a rule may say of its cost or its end, and would disable going back. */
const UNKEPT = /^[ \t]*[?!]?[a-z_][\w.-]*\[[^\]\n]*\b(max_tokens|temperature|stop|stop_capture)\b/m;

/**
 * A Lark grammar whose schemas are as llguidance takes them; see `preparedSchema`.
 * @throws SettingError `grammar`, or `schema` for a keyword that cannot be kept, with its path within its schema
 */
export function preparedLark(source: string): string {
  const parts: string[] = [];
  let from = 0;
  let units = 0;
  for (const { at, end } of schemasIn(source)) {
    parts.push(source.slice(from, at), preparedSchema(source.slice(at, end)));
    units += at - from;
    from = end;
    if (parts.length > 2 * MOST_SCHEMAS) throw bad(`it has more than ${MOST_SCHEMAS} schemas`);
  }
  parts.push(source.slice(from));
  units += source.length - from;
  if (units > MOST_UNITS) throw bad(`without its schemas it has more than ${MOST_UNITS} characters`);
  const unkept = UNKEPT.exec(source)?.[1];
  if (unkept) throw bad(`the attribute ${unkept} is not supported: drafts have to be taken back`);
  return parts.join("");
}

function bad(why: string): SettingError {
  return new SettingError("grammar", `the Lark grammar cannot be used: ${why}`);
}

/** Schemas outside of strings, regular expressions and comments, in one walk over the source. */
function* schemasIn(source: string): Iterable<{ at: number; end: number }> {
  for (let at = 0; at < source.length; ) {
    const unit = source[at]!;
    if (unit === '"') at = quotedEnd(source, at, '"');
    else if (unit === "#" || source.startsWith("//", at)) at = lineEnd(source, at);
    else if (unit === "/") at = quotedEnd(source, at, "/");
    else if (unit === "<") throw bad("it names tokens, which is not supported; write their text");
    else if (unit === "%" && source.startsWith("%json", at)) {
      const brace = spaceEnd(source, at + "%json".length);
      if (source[brace] !== "{") throw bad("an object has to follow %json");
      const end = jsonEnd(source, brace);
      yield { at: brace, end };
      at = end;
    } else at++;
  }
}

/** Behind the mark that ends what begins at `at`; at the end of the line where there is none. */
function quotedEnd(source: string, at: number, mark: string): number {
  for (let i = at + 1; i < source.length; i++) {
    if (source[i] === mark) return i + 1;
    if (source[i] === "\n") return i;
    if (source[i] === "\\") i++;
  }
  return source.length;
}

function lineEnd(source: string, at: number): number {
  const end = source.indexOf("\n", at);
  return end < 0 ? source.length : end;
}

function spaceEnd(source: string, at: number): number {
  let end = at;
  while (end < source.length && " \t\r\n".includes(source[end]!)) end++;
  return end;
}

/** Where the object that begins at a brace ends. */
function jsonEnd(source: string, at: number): number {
  let depth = 0;
  let quoted = false;
  for (let i = at; i < source.length; i++) {
    const unit = source[i];
    if (quoted) {
      if (unit === "\\") i++;
      else if (unit === '"') quoted = false;
    } else if (unit === '"') quoted = true;
    else if (unit === "{") depth++;
    else if (unit === "}" && --depth === 0) return i + 1;
  }
  throw bad("the JSON behind %json does not end");
}
