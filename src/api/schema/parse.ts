import type { z } from "zod";
import { HttpError } from "../errors.ts";
import { deepest } from "./list.ts";
import { said } from "./said.ts";

/** Bodies of requests by their schemas. */

/** Hears of fields that mean nothing here. */
export type Ignored = (fields: readonly string[]) => void;

/** More are not told: a body may have a thousand. */
const MOST_ISSUES = 3;

/**
 * The body of a request. Fields that there are not are left out, and `ignored` hears of them.
 * @throws HttpError 400 that names what is wrong
 */
export function parsedBody<Shape extends z.ZodRawShape>(
  schema: z.ZodObject<Shape>,
  body: unknown,
  ignored: Ignored,
): z.infer<z.ZodObject<Shape>> {
  const parsed = schema.safeParse(body, { error: said });
  if (parsed.success) {
    const unknown = Object.keys(body as object).filter((name) => !Object.hasOwn(schema.shape, name));
    if (unknown.length > 0) ignored(unknown);
    return parsed.data;
  }
  const issues = parsed.error.issues.slice(0, MOST_ISSUES).map(deepest);
  const told = issues.map(({ path, message }) =>
    path.length === 0 ? message : `${path.join(".")}: ${message}`,
  );
  const more = parsed.error.issues.length - issues.length;
  const message = [...told, ...(more > 0 ? [`and ${more} more`] : [])].join("; ");
  throw new HttpError(400, "invalid_value", message, issues[0]!.path.join(".") || null);
}
