import { z } from "zod";
import { SESSION_ROWS } from "../../../decoding/session.ts";
import { REQUEST_LIMITS } from "../../schema/limits.ts";
import { listOf } from "../../schema/list.ts";
import { ranged } from "../../schema/ranged.ts";
import { formatFields } from "./format.ts";
import { samplerFields } from "./sampler.ts";

/** What chat and plain completions have in common: OpenAI's fields, and a few more that other servers have. */

const stopString = z.string().min(1).max(REQUEST_LIMITS.stopUnits);

export const commonFields = {
  model: z.string().max(512).optional(),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  // Those that OpenAI does not have go by the names that other servers use.
  ...samplerFields,
  seed: z.number().int().nullish(),
  n: z.number().int().min(1).max(REQUEST_LIMITS.choices).nullish(),
  max_tokens: ranged(SESSION_ROWS.maxTokens.range).nullish(),
  stop: z
    .union([stopString, listOf(stopString, { most: REQUEST_LIMITS.stops })], {
      error: "must be a string, or a list of strings",
    })
    .nullish(),
  user: z.string().nullish(),
  ...formatFields,
  /** name of a preset; OpenAI has no such field */
  policy: z.string().nullish(),
};

const commonSchema = z.object(commonFields);
export type CommonBody = z.infer<typeof commonSchema>;
