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
    return source;
  } catch {
    if (instance === current) instance = null;
    throw new SettingError("schema", `the JSON schema cannot be used: ${(await current).reason()}`);
  }
}
