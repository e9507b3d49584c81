import type { Grammar } from "../../decoding/grammar.ts";
import { translated } from "./prepare.ts";

/**
 * The grammar of the JSON texts that fit a schema (draft 2020-12, or the one that its `$schema` names), written in one line
 * with a space behind commas and colons, and an object's members in the order of the schema. What a schema does not
 * forbid is allowed: `additionalProperties: false` keeps an object to what it names.
 * @throws SettingError `schema`: for one that is none, and for a keyword that cannot be kept, with its path
 * @example
 * import { createEdge, schemaGrammar } from "picospec";
 *
 * const properties = { age: { type: "integer" } };
 * const grammar = await schemaGrammar({ type: "object", properties, additionalProperties: false });
 * await using edge = await createEdge({ cloud: "ws://127.0.0.1:4747", model: "small.gguf" });
 * console.log((await edge.ask({ prompt: "Bea is 22 years old.", grammar })).text);
 */
export async function schemaGrammar(schema: unknown): Promise<Grammar> {
  translated(schema);
  return { kind: "json_schema", source: JSON.stringify(schema) };
}
