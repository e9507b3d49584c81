/**
 * A JSON Schema as llguidance takes it: one that allows the same texts, in one line with a space behind commas and colons.
 * @param source JSON
 * @throws SettingError `schema`: a keyword that cannot be kept, and its path
 */
export function preparedSchema(source: string): string {
  const schema = JSON.parse(source);
  const style = { whitespace_flexible: false, item_separator: ", ", key_separator: ": " };
  return JSON.stringify({ ...schema, "x-guidance": style });
}
