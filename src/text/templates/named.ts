/** A model may have two templates, one of them for conversations with tools. */

/**
 * One template of both: it is what a file, a cloud and the wire have room for.
 * @param own null: there is none beside the other
 * @param withTools null: there is none, and `own` is for all conversations
 * @returns Jinja source
 */
export function oneTemplate(own: string | null, withTools: string | null): string | null {
  if (own === null || withTools === null) return own ?? withTools;
  // An expression on both sides keeps blanks and line ends from a block's.
  const part = (source: string) => `{{ "" }}${source.replace(/\n$/, "")}{{ "" }}`;
  return `{% if tools %}${part(withTools)}{% else %}${part(own)}{% endif %}`;
}
