import { SettingError } from "../util/errors.ts";

/**
 * Languages that a grammar may be written in. `ebnf`: llama.cpp's GBNF and xgrammar's EBNF, with the root rule `root`;
 * `json_schema`: a JSON Schema, draft 2020-12 or earlier; `regex`: one that the whole answer has to fit, without
 * lookarounds; `lark`: llguidance's dialect of Lark, with the rule `start`.
 */
export const GRAMMAR_KINDS = ["ebnf", "json_schema", "regex", "lark"] as const;

export type GrammarKind = (typeof GRAMMAR_KINDS)[number];

/** What an answer has to keep to: the same value on both sides, and on the wire. */
export interface Grammar {
  readonly kind: GrammarKind;
  readonly source: string;
}

/** Whether a name is one of ours; any text may be asked about. */
export function isGrammarKind(kind: string): kind is GrammarKind {
  return (GRAMMAR_KINDS as readonly string[]).includes(kind);
}

/**
 * A grammar as users give it: text is EBNF.
 * @throws SettingError for a kind that this release does not have
 */
export function grammarOf(given: string | Grammar): Grammar {
  if (typeof given === "string") return { kind: "ebnf", source: given };
  if (isGrammarKind(given.kind)) return given;
  const message = `there is no grammar kind ${JSON.stringify(given.kind)}; use ${GRAMMAR_KINDS.join(" or ")}`;
  throw new SettingError("grammar", message);
}
