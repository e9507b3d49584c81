import { SettingError } from "../../util/errors.ts";

/** A keyword of a schema that cannot be kept. */
export class SchemaError extends SettingError {
  readonly keyword: string;
  /** JSON pointer to it: `#/properties/a/not` */
  readonly path: string;

  /** @param schemaPath JSON pointer to the schema that has the keyword */
  constructor(keyword: string, schemaPath: string, why: string) {
    const path = pointer(schemaPath, keyword);
    super("schema", `${keyword} at ${path} cannot be kept: ${why}`);
    this.keyword = keyword;
    this.path = path;
  }
}

/** A JSON pointer's child. */
export function pointer(path: string, key: string | number): string {
  return `${path}/${String(key).replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

/** What a pattern says that cannot be kept. */
export class PatternError extends Error {}
