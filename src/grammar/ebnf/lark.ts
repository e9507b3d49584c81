/**
 * EBNF, as llama.cpp (GBNF) and xgrammar read it, in llguidance's dialect of Lark: the same texts.
 * @throws SettingError `grammar`
 */
export function larkOfEbnf(source: string): string {
  return source;
}
