import { z } from "zod";
import { instead, said, tooFew, tooMany } from "./said.ts";

/**
 * A list, of which only the first wrong element is told: zod itself goes on and makes an issue of each, which takes
 * seconds for a hundred thousand of them.
 */
export function listOf<T>(
  item: z.ZodType<T>,
  { least = 0, most }: { readonly least?: number; readonly most: number },
): z.ZodType<T[]> {
  return z.unknown().transform((value, context) => {
    const wrong = (message: string, path: PropertyKey[] = []) => {
      context.issues.push({ code: "custom", message, path, input: value });
      return z.NEVER;
    };
    if (!Array.isArray(value)) return wrong(`must be a list${instead(value)}`);
    if (value.length < least) return wrong(tooFew(least));
    if (value.length > most) return wrong(tooMany(most));
    const items: T[] = [];
    for (const [i, given] of value.entries()) {
      const parsed = item.safeParse(given, { error: said });
      if (parsed.success) {
        items.push(parsed.data);
        continue;
      }
      const issue = deepest(parsed.error.issues[0]!);
      return wrong(issue.message, [i, ...issue.path]);
    }
    return items;
  });
}

/** Of a union the branch that got furthest says best what is wrong. */
export function deepest(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code !== "invalid_union" || issue.errors.length === 0) return issue;
  const inner = issue.errors
    .map((issues) => deepest(issues[0]!))
    .sort((a, b) => b.path.length - a.path.length);
  const best = inner[0]!;
  return best.path.length === 0 ? issue : { ...best, path: [...issue.path, ...best.path] };
}
