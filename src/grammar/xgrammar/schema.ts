import { SettingError } from "../../util/errors.ts";
import { GrammarInstance } from "./library.ts";

/** JSON Schemas as grammars. */

/** Longest schema that is taken, in UTF-16 units. */
const MOST_SCHEMA_UNITS = 64 * 1024;

/** One instance, made anew when a schema has aborted it. */
let instance: Promise<GrammarInstance> | null = null;

/**
 * The grammar of the JSON texts that fit a schema, written in one line with a space behind commas and colons. What a
 * schema does not name is not allowed, unless it says so.
 * @returns EBNF whose root is "root"
 * @throws SettingError `schema` for one that is none, or that xgrammar cannot express
 * @example
 * import { createEdge, schemaGrammar } from "picospec";
 *
 * const grammar = await schemaGrammar({ type: "object", properties: { age: { type: "integer" } } });
 * await using edge = await createEdge({ cloud: "ws://127.0.0.1:4747", model: "small.gguf" });
 * console.log((await edge.ask({ prompt: "Bea is 22 years old.", grammar })).text);
 */
export async function schemaGrammar(schema: unknown): Promise<string> {
  const text = JSON.stringify(schema);
  if (text === undefined || text.length > MOST_SCHEMA_UNITS) {
    throw new SettingError("schema", `a JSON schema is an object of at most ${MOST_SCHEMA_UNITS} characters`);
  }
  instance ??= GrammarInstance.create();
  const current = instance;
  const { binding } = await current;
  try {
    const { FromJSONSchema } = binding.Grammar;
    const grammar = new FromJSONSchema(text, false, undefined, undefined, true, undefined, false);
    const source = grammar.ToString();
    grammar.delete();
    return withinStrings(source);
  } catch {
    if (instance === current) instance = null;
    throw new SettingError("schema", `the JSON schema cannot be used: ${(await current).reason()}`);
  }
}

/** What a JSON string cannot hold as it is: control characters, its own end, and what begins an escape. */
const NOT_IN_STRINGS = '\\0-\\x1f\\"\\\\';

/**
 * Strings with a bound on their length or a pattern are allowed control characters by xgrammar, and with "." in a pattern
 * even quotes: what is written then is no JSON. So classes that name what they leave out leave that out as well.
 */
function withinStrings(source: string): string {
  return source.replace(/"(?:\\.|[^"\\])*"|\[(?:\\.|[^\]\\])*\]/g, (part) => {
    if (part === "[\\0-\\U0010ffff]") return `[^${NOT_IN_STRINGS}]`;
    return part.startsWith("[^") ? `${part.slice(0, -1)}${NOT_IN_STRINGS}]` : part;
  });
}
