import type { Format } from "./format.ts";
import { answerGrammar, callsText, type WrittenCalls } from "./grammar.ts";
import { MarkedReader, type MarkedSyntax } from "./marked.ts";

/** A family as data: the table that most of the formats are. */

export interface Family extends MarkedSyntax {
  readonly name: string;
  readonly models: readonly string[];
  /** what a template has, and lacks: any of them */
  readonly templates: readonly TemplateSigns[];
  readonly written: WrittenCalls | null;
  /** markers beyond those that are read by themselves */
  readonly markers?: readonly string[];
  /** see `Format.instruction`; default: the template shows tools */
  readonly instruction?: (tools: readonly unknown[]) => string;
}

interface TemplateSigns {
  readonly has: readonly string[];
  readonly lacks?: readonly string[];
}

export function familyFormat(family: Family): Format {
  const { name, models, templates, thought, calls, written, begins = "" } = family;
  const openers = calls.flatMap((form) => form.openers.map(({ text }) => text));
  const marks = [
    ...openers.filter((text) => text.length > 1),
    ...(family.dropped ?? []),
    ...(thought ? [thought.open, thought.close] : []),
    ...(family.markers ?? []),
  ];
  // An answer begins behind what the prompt ends with.
  const answered = thought && { ...thought, open: thought.open.slice(begins.length) };
  return {
    ...{ name, models },
    markers: [...new Set(marks)],
    recognises: (template) =>
      templates.some(
        ({ has, lacks = [] }) =>
          has.every((sign) => template.includes(sign)) && !lacks.some((sign) => template.includes(sign)),
      ),
    thinkingOpen: (prompt) => answered !== null && prompt.trimEnd().endsWith(answered.open),
    thinkingEnd: thought?.close ?? null,
    callsTools: calls.length > 0,
    instruction: (tools) => family.instruction?.(tools) ?? null,
    written: (calls) => (written ? callsText(written, calls) : ""),
    reader: (options) => new MarkedReader(family, options),
    grammar: (options) => answerGrammar(answered, written, options),
  };
}

/** The thought of most families. */
export const THINK = { open: "<think>", close: "</think>" } as const;
