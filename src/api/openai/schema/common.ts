import { z } from "zod";
import { SESSION_ROWS } from "../../../decoding/session.ts";
import { REQUEST_LIMITS } from "../../schema/limits.ts";
import { listOf } from "../../schema/list.ts";
import { ranged } from "../../schema/ranged.ts";
import { clientFields, refusedFields } from "./foreign.ts";
import { formatFields } from "./format.ts";
import { samplerFields } from "./sampler.ts";

/** What chat and plain completions have in common: OpenAI's fields, and a few more that other servers have. */

const stopString = z.string().min(1).max(REQUEST_LIMITS.stopUnits);

export const modelField = z.string().max(512).nullish();

/** -1: as many as there is room for. */
const NO_LIMIT = -1;
const { range } = SESSION_ROWS.maxTokens;
export const outputTokens = ranged({ ...range, also: NO_LIMIT });
/** Of plain completions: 0 is none, for what the prompt itself tells. */
export const outputTokensOrNone = ranged({ ...range, least: 0, also: NO_LIMIT });

export const stopField = z
  .union([stopString, listOf(stopString, { most: REQUEST_LIMITS.stops })], {
    error: "must be a string, or a list of strings",
  })
  .nullish();

export const commonFields = {
  ...refusedFields,
  ...clientFields,
  model: modelField,
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  // Those that OpenAI does not have go by the names that other servers use.
  ...samplerFields,
  seed: z.number().int().nullish(),
  n: z.number().int().min(1).max(REQUEST_LIMITS.choices).nullish(),
  stop: stopField,
  user: z.string().nullish(),
  ...formatFields,
  /** name of a preset; OpenAI has no such field */
  policy: z.string().nullish(),
};

const commonSchema = z.object(commonFields);
export type CommonBody = Pick<z.infer<typeof commonSchema>, "stop" | "seed" | "policy">;

/**
 * Most tokens of an answer, by the names that there are for it: the first that is given counts.
 * @returns undefined: as many as the context has room for
 */
export function maxTokensOf(fallback: number | undefined, ...given: (number | null | undefined)[]) {
  const tokens = given.find((one) => (one ?? null) !== null) ?? fallback;
  return tokens === NO_LIMIT ? undefined : tokens;
}
