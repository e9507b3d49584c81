import { SESSION_LIMITS } from "../../decoding/session.ts";
import { messageOf, SettingError } from "../../util/errors.ts";
import { rootOf } from "./document.ts";
import { isObject, type PlainSchema } from "./json.ts";
import { draftOf } from "./keywords.ts";
import { checkSize } from "./size.ts";
import { Translation } from "./translate.ts";

/**
 * A JSON Schema as llguidance takes it: one that allows the same texts, in one line with a space behind commas and
 * colons. It is made anew of the few keywords whose meaning is the same in both, so that what llguidance ignores or
 * reads in another way never gets there.
 *
 * Valid instances that llguidance does not write: those with another order of names than the schema's, with whole
 * numbers as `1.0`, and numbers with exponents where a schema has bounds for them.
 * @param source JSON
 * @throws SettingError `schema`: a keyword that cannot be kept, and its path (then a SchemaError), or no schema at all
 */
export function preparedSchema(source: string): string {
  if (source.length > SESSION_LIMITS.grammarUnits) {
    throw new SettingError("schema", `a schema has at most ${SESSION_LIMITS.grammarUnits} characters`);
  }
  let schema: unknown;
  try {
    schema = JSON.parse(source);
  } catch (error) {
    throw new SettingError("schema", `it is not JSON: ${messageOf(error)}`);
  }
  return translated(schema);
}

/** As `preparedSchema`, of a schema that is parsed already. */
export function translated(schema: unknown): string {
  checkSize(schema);
  if (typeof schema !== "boolean" && !isObject(schema)) {
    throw new SettingError("schema", "a schema is an object, true or false");
  }
  if (schema === false) throw new SettingError("schema", "nothing fits the schema false");
  const translation = new Translation(draftOf(schema));
  const plain = translation.whole(rootOf(schema));
  if (plain === false) throw new SettingError("schema", "nothing fits the schema");
  return written(plain, translation);
}

function written(plain: PlainSchema, { definitions, mayEscape }: Translation): string {
  const style = {
    whitespace_flexible: false,
    item_separator: ", ",
    key_separator: ": ",
    ...(mayEscape ? {} : { json_allowed_escapes: 'nrbtf\\"' }),
  };
  const root = typeof plain === "boolean" ? {} : plain;
  const defs = definitions.size > 0 ? { $defs: Object.fromEntries(definitions) } : {};
  // The last: llguidance takes it out, and puts the last key in its place.
  return JSON.stringify({ ...root, ...defs, "x-guidance": style });
}
