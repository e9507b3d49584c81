import { z } from "zod";
import { HttpError } from "../../errors.ts";
import { parsedBody } from "../../schema/parse.ts";
import type { StoredItem } from "./store.ts";

/** Lists that are read a page at a time, as OpenAI's API has them. */

const DEFAULT_LIMIT = 20;

const pageSchema = z.object({
  order: z.enum(["asc", "desc"]).optional(),
  limit: z.coerce.number().int().min(1).max(100).optional(),
  after: z.string().optional(),
});

/** @throws HttpError 400 for a query that is wrong */
export function itemPage(items: readonly StoredItem[], query: URLSearchParams): object {
  const {
    order = "desc",
    limit = DEFAULT_LIMIT,
    after,
  } = parsedBody(pageSchema, Object.fromEntries(query), () => {});
  const ordered = order === "asc" ? items : [...items].reverse();
  const at = after === undefined ? -1 : ordered.findIndex(({ id }) => id === after);
  if (after !== undefined && at < 0) {
    throw new HttpError(400, "invalid_value", `after: there is no item ${JSON.stringify(after)}`, "after");
  }
  const data = ordered.slice(at + 1, at + 1 + limit);
  return {
    ...{ object: "list", data },
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more: at + 1 + limit < ordered.length,
  };
}
