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

/** Strings, regular expressions and comments, within which nothing is a schema; else one that begins. */
const TOKENS = /"(?:\\.|[^"\\\n])*"|\/\/[^\n]*|#[^\n]*|\/(?:\\.|[^/\\\n])+\/|%json\s*(?=\{)/g;

function* schemasIn(source: string): Iterable<{ at: number; end: number }> {
  TOKENS.lastIndex = 0;
  for (let found = TOKENS.exec(source); found; found = TOKENS.exec(source)) {
    if (!found[0].startsWith("%json")) continue;
    const at = TOKENS.lastIndex;
    const end = jsonEnd(source, at);
    yield { at, end };
    TOKENS.lastIndex = end;
  }
}

/** Where the object that begins at a brace ends. */
function jsonEnd(source: string, at: number): number {
  let depth = 0;
  const parts = /"(?:\\.|[^"\\])*"|[{}]/g;
  parts.lastIndex = at;
  for (let found = parts.exec(source); found; found = parts.exec(source)) {
    if (found[0] === "{") depth++;
    else if (found[0] === "}") depth--;
    if (depth === 0) return parts.lastIndex;
  }
  throw bad("the JSON behind %json does not end");
}
