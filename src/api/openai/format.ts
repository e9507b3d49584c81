import type { z } from "zod";
import type { AnswerFormat } from "../conversation.ts";
import { HttpError } from "../errors.ts";
import type { formatSchema, structuredOutputs } from "./schema/format.ts";

/**
 * What an answer has to look like, as clients ask for it: OpenAI's `response_format`, llama.cpp's `grammar` and
 * `json_schema`, vLLM's `guided_*` and `structured_outputs`. They all become one grammar.
 */

/** Of all choices together, as they are written in a grammar. */
const MOST_CHOICE_UNITS = 32_000;

/**
 * @returns null: the answer is free
 * @throws HttpError 400 for two formats at once
 */
export function formatOf(body: z.infer<typeof formatSchema>): AnswerFormat | null {
  const asked = [...named(body), ...structured(body.structured_outputs ?? {})];
  const [first = null, second] = asked;
  if (second) {
    const params = asked.map(({ param }) => param).join(" and ");
    throw new HttpError(400, "invalid_value", `an answer has one format: ${params} were given`, second.param);
  }
  return first;
}

function named(body: z.infer<typeof formatSchema>): AnswerFormat[] {
  const formats: AnswerFormat[] = [];
  const { response_format: format } = body;
  if (format?.type === "json_object")
    formats.push(schemaFormat(format.schema ?? ANY_OBJECT, "response_format"));
  if (format?.type === "grammar" && format.grammar)
    formats.push(grammarFormat(format.grammar, "response_format"));
  if (format?.type === "json_schema") {
    const { schema: given, strict } = format.json_schema;
    formats.push({ ...schemaFormat(given ?? ANY_OBJECT, "response_format"), relaxes: strict === false });
  }
  if (body.grammar) formats.push(grammarFormat(body.grammar, "grammar"));
  if (body.guided_grammar) formats.push(grammarFormat(body.guided_grammar, "guided_grammar"));
  if (present(body.json_schema)) formats.push(schemaFormat(body.json_schema, "json_schema"));
  if (present(body.guided_json) && body.guided_json !== "")
    formats.push(schemaFormat(parsed(body.guided_json, "guided_json"), "guided_json"));
  if (body.guided_regex) formats.push(regexFormat(body.guided_regex, "guided_regex"));
  if (body.guided_choice) formats.push(choiceFormat(body.guided_choice, "guided_choice"));
  return formats;
}

function structured(body: z.infer<typeof structuredOutputs>): AnswerFormat[] {
  const formats: AnswerFormat[] = [];
  const param = (field: string) => `structured_outputs.${field}`;
  if (present(body.json) && body.json !== "")
    formats.push(schemaFormat(parsed(body.json, param("json")), param("json")));
  if (body.json_object) formats.push(schemaFormat(ANY_OBJECT, param("json_object")));
  if (body.regex) formats.push(regexFormat(body.regex, param("regex")));
  if (body.choice) formats.push(choiceFormat(body.choice, param("choice")));
  if (body.grammar) formats.push(grammarFormat(body.grammar, param("grammar")));
  if (present(body.structural_tag)) {
    const message = "structural tags are not supported: use tools, or a Lark grammar";
    throw new HttpError(400, "unsupported_parameter", message, param("structural_tag"));
  }
  return formats;
}

const ANY_OBJECT = { type: "object" };

/** Whether a field was given: null is as good as nothing. */
export function present<T>(value: T): value is NonNullable<T> {
  return value !== null && value !== undefined;
}

function schemaFormat(given: unknown, param: string): Extract<AnswerFormat, { kind: "schema" }> {
  return { kind: "schema", schema: given, relaxes: false, param };
}

function regexFormat(regex: string, param: string): AnswerFormat {
  return { kind: "grammar", grammar: { kind: "regex", source: regex }, param };
}

function choiceFormat(texts: readonly string[], param: string): AnswerFormat {
  // One terminal: however many there are, and whichever begins another.
  const written = texts.map((text) => JSON.stringify(text)).join(" | ");
  if (written.length > MOST_CHOICE_UNITS) {
    const message = `${param}: the choices have more than ${MOST_CHOICE_UNITS} characters`;
    throw new HttpError(400, "invalid_value", message, param);
  }
  const lark = `start: CHOICE\nCHOICE: ${written}`;
  return { kind: "grammar", grammar: { kind: "lark", source: lark }, param };
}

/** Rules are `name ::= …` in EBNF and GBNF, and `name: …` in Lark. */
function grammarFormat(text: string, param: string): AnswerFormat {
  const kind = /^[ \t]*[A-Za-z_][\w.-]*[ \t]*::=/m.test(text) ? "ebnf" : "lark";
  return { kind: "grammar", grammar: { kind, source: text }, param };
}

function parsed(given: unknown, param: string): unknown {
  if (typeof given !== "string") return given;
  try {
    return JSON.parse(given);
  } catch {
    throw new HttpError(400, "invalid_value", `${param}: this text is no JSON`, param);
  }
}
