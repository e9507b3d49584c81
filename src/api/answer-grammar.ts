import type { Grammar } from "../decoding/grammar.ts";
import { translated } from "../grammar/schema/prepare.ts";
import { type Dropped, relaxedSchema } from "../grammar/schema/relax.ts";
import { checkSize, type SchemaBudget, schemaBudget } from "../grammar/schema/size.ts";
import { CALL_TAGS } from "../text/tool-calls.ts";
import { SettingError } from "../util/errors.ts";
import type { AnswerFormat, CallableTool } from "./conversation.ts";
import { HttpError } from "./errors.ts";

/** The grammar of an answer that is a call of a tool, or keeps to a format, or either. */

export interface AnswerGrammar {
  readonly grammar: Grammar;
  /** keywords of schemas that are not kept, since the client has allowed that, as it is told */
  readonly relaxed: readonly string[];
}

/**
 * @param tools of which one may be called instead; empty: the answer keeps to the format
 * @throws HttpError 400: of a schema, for the keyword that cannot be kept, with its path
 */
export function formatGrammar(format: AnswerFormat, tools: readonly CallableTool[]): AnswerGrammar {
  if (format.kind === "grammar") {
    if (tools.length > 0) {
      const message = "tools go along with a JSON schema, and not with another grammar: send one of the two";
      throw new HttpError(400, "invalid_value", message, format.param);
    }
    return { grammar: format.grammar, relaxed: [] };
  }
  const budget = schemaBudget();
  const { schema, relaxed } = kept(format.schema, format.relaxes, format.param, budget);
  if (tools.length === 0)
    return { grammar: { kind: "json_schema", source: JSON.stringify(schema) }, relaxed };
  const calls = callRules(tools, budget);
  const rules = [`start: ${calls.names} | answer`, `answer: %json ${JSON.stringify(schema)}`];
  return { grammar: lark([...rules, ...calls.rules]), relaxed: [...relaxed, ...calls.relaxed] };
}

/** The grammar under which an answer is one call of one of the tools. */
export function callGrammar(tools: readonly CallableTool[]): AnswerGrammar {
  const { names, rules, relaxed } = callRules(tools, schemaBudget());
  return { grammar: lark([`start: ${names}`, ...rules]), relaxed };
}

function callRules(tools: readonly CallableTool[], budget: SchemaBudget) {
  const rules: string[] = [];
  const relaxed: string[] = [];
  for (const [number, { function: tool, strict }] of tools.entries()) {
    const param = `tools.${number}.function.parameters`;
    const made = kept(tool.parameters ?? { type: "object" }, !strict, param, budget);
    relaxed.push(...made.relaxed);
    const before = `${CALL_TAGS.open}\n{"name": ${JSON.stringify(tool.name)}, "arguments": `;
    rules.push(
      `call_${number}: ${JSON.stringify(before)} parameters_${number} ${JSON.stringify(`}\n${CALL_TAGS.close}`)}`,
      `parameters_${number}: %json ${JSON.stringify(made.schema)}`,
    );
  }
  return { names: tools.map((_, number) => `call_${number}`).join(" | "), rules, relaxed };
}

/** The schema that is kept: all of the given one, or what can be of it. */
function kept(given: unknown, relaxes: boolean, param: string, budget: SchemaBudget) {
  try {
    checkSize(given, budget);
    const { schema, dropped } = relaxes ? relaxedSchema(given) : { schema: given, dropped: [] };
    const described = ({ keyword, path }: Dropped) => `${keyword} at ${path} of ${param}`;
    translated(schema);
    // Within Lark a schema is an object.
    return { schema: schema === true ? {} : schema, relaxed: dropped.map(described) };
  } catch (error) {
    if (!(error instanceof SettingError)) throw error;
    throw new HttpError(400, "invalid_value", `${param}: ${error.message}`, param);
  }
}

function lark(rules: readonly string[]): Grammar {
  return { kind: "lark", source: rules.join("\n") };
}
