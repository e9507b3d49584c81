import type { Grammar } from "../decoding/grammar.ts";
import { parsedJson } from "../util/json.ts";

/**
 * Texts of control tokens that a grammar has as text, in a comment at its top: where a vocabulary has a control token of
 * such a text, that token is the text. All other control tokens are in no answer that keeps to a grammar. A library that
 * does not know the comment goes by the plain text.
 */

const HEAD = "// markers: ";

/** @returns the same Lark, with its markers */
export function larkWithMarkers(source: string, markers: readonly string[]): string {
  return markers.length === 0 ? source : `${HEAD}${JSON.stringify(markers)}\n${source}`;
}

/** A client's own grammar: its control tokens are none of a client's business, so that a comment there is a comment. */
export function withoutMarkers(grammar: Grammar): Grammar {
  const { kind, source } = grammar;
  return kind === "lark" && source.startsWith(HEAD) ? { kind, source: `\n${source}` } : grammar;
}

export function markersOf({ kind, source }: Grammar): readonly string[] {
  if (kind !== "lark" || !source.startsWith(HEAD)) return [];
  const end = source.indexOf("\n");
  const listed = parsedJson(source.slice(HEAD.length, end < 0 ? source.length : end));
  return Array.isArray(listed) ? listed.filter((one) => typeof one === "string" && one !== "") : [];
}
