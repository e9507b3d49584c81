import type { Grammar } from "../decoding/grammar.ts";
import { larkOfEbnf } from "../grammar/ebnf/lark.ts";
import { larkWithMarkers, withoutMarkers } from "../grammar/markers.ts";
import { translated } from "../grammar/schema/prepare.ts";
import { type Dropped, relaxedSchema } from "../grammar/schema/relax.ts";
import { checkSize, type SchemaBudget, schemaBudget } from "../grammar/schema/size.ts";
import type { Format } from "../text/formats/format.ts";
import { SettingError } from "../util/errors.ts";
import type { AnswerFormat, CallableTool, Conversation } from "./conversation.ts";
import { HttpError } from "./errors.ts";

/** The grammar of an answer: calls as the model's family writes them, text that keeps to a format, and thoughts before. */

/** The model that answers, as far as what it says goes. */
export interface AnsweringModel {
  readonly format: Format;
  /** its chat template knows thoughts: an answer may begin with one */
  readonly thinks: boolean;
  /** text begins with a mark of the format */
  readonly marksText: boolean;
}

export interface AnswerGrammar {
  readonly grammar: Grammar;
  /** keywords of schemas that are not kept, since the client has allowed that, as it is told */
  readonly relaxed: readonly string[];
}

interface Kept {
  readonly schema: unknown;
  readonly relaxed: readonly string[];
}

/**
 * @param tools that may be called
 * @param thinkingOpen the prompt ended within a thought
 * @returns null: the answer is free
 * @throws HttpError 400: of a schema, for the keyword that cannot be kept, with its path
 */
export function answerGrammar(
  { format: wanted, toolUse }: Pick<Conversation, "format" | "toolUse">,
  tools: readonly CallableTool[],
  { format, thinks, marksText }: AnsweringModel,
  thinkingOpen: boolean,
): AnswerGrammar | null {
  const must = toolUse.mode === "required";
  const keepsCalls =
    must || !toolUse.parallel || toolUse.allowed !== null || tools.some(({ strict }) => strict);
  if (!wanted && (tools.length === 0 || !keepsCalls)) return null;
  const budget = schemaBudget();
  const kept = wanted && !must ? keptFormat(wanted, tools, budget) : null;
  if (wanted && tools.length === 0 && !thinks && !marksText && !thinkingOpen)
    return plainGrammar(wanted, kept);
  const callable = tools.map((tool) => ({ tool, ...keptParameters(tool, budget) }));
  const source = format.grammar({
    tools: callable.map(({ tool, schema }) => ({ name: tool.function.name, parameters: schema })),
    calls: must ? "must" : "may",
    parallel: toolUse.parallel,
    thinkingOpen,
    answer: wanted && !must ? answerRule(wanted, kept) : null,
  });
  const relaxed = [...(kept?.relaxed ?? []), ...callable.flatMap((one) => one.relaxed)];
  return { grammar: { kind: "lark", source: larkWithMarkers(source, format.markers) }, relaxed };
}

/** Of an answer that is nothing but text in a format. */
function plainGrammar(wanted: AnswerFormat, kept: Kept | null): AnswerGrammar {
  if (wanted.kind === "grammar") return { grammar: withoutMarkers(wanted.grammar), relaxed: [] };
  const source = JSON.stringify(kept!.schema);
  return { grammar: { kind: "json_schema", source }, relaxed: kept!.relaxed };
}

/** @returns null: there is no schema */
function keptFormat(wanted: AnswerFormat, tools: readonly CallableTool[], budget: SchemaBudget): Kept | null {
  if (wanted.kind === "schema") return keptSchema(wanted.schema, wanted.relaxes, wanted.param, budget);
  if (tools.length === 0) return null;
  const message = "tools go along with a JSON schema, and not with another grammar: send one of the two";
  throw new HttpError(400, "invalid_value", message, wanted.param);
}

/** The rule `answer` in Lark. */
function answerRule(wanted: AnswerFormat, kept: Kept | null): string {
  if (wanted.kind === "schema") return `answer: %json ${JSON.stringify(larkSchema(kept!.schema))}`;
  const { kind, source } = wanted.grammar;
  switch (kind) {
    case "json_schema":
      return `answer: %json ${source}`;
    case "regex":
      return `answer: /${source.replace(/\\.|\//gs, (part) => (part === "/" ? "\\/" : part))}/`;
    case "ebnf":
      return `answer: %lark {\n${larkOfEbnf(source)}\n}`;
    case "lark":
      return `answer: %lark {\n${source}\n}`;
    default:
      return kind satisfies never;
  }
}

function keptParameters({ function: tool, strict, param }: CallableTool, budget: SchemaBudget): Kept {
  const kept = keptSchema(tool.parameters ?? { type: "object" }, !strict, param, budget);
  return { ...kept, schema: larkSchema(kept.schema) };
}

/** Within Lark a schema is an object. */
function larkSchema(schema: unknown): unknown {
  return schema === true ? {} : schema;
}

/** The schema that is kept: all of the given one, or what can be of it. */
function keptSchema(given: unknown, relaxes: boolean, param: string, budget: SchemaBudget): Kept {
  try {
    checkSize(given, budget);
    const { schema, dropped } = relaxes ? relaxedSchema(given) : { schema: given, dropped: [] };
    const described = ({ keyword, path }: Dropped) => `${keyword} at ${path} of ${param}`;
    translated(schema);
    return { schema, relaxed: dropped.map(described) };
  } catch (error) {
    if (!(error instanceof SettingError)) throw error;
    throw new HttpError(400, "invalid_value", `${param}: ${error.message}`, param);
  }
}
