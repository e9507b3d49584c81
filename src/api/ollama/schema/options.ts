import { z } from "zod";
import { SESSION_ROWS } from "../../../decoding/session.ts";
import { SAMPLER_ROWS } from "../../../sampling/settings.ts";
import { inRange, rangeText } from "../../../util/setting.ts";
import { HttpError } from "../../errors.ts";
import { REQUEST_LIMITS } from "../../schema/limits.ts";
import { listOf } from "../../schema/list.ts";
import { ranged } from "../../schema/ranged.ts";

/** `options` of a request: how an answer is drawn. Those of the machine, such as num_ctx, are the operator's here. */

const stopString = z.string().min(1).max(REQUEST_LIMITS.stopUnits);
const { maxTokens } = SESSION_ROWS;

/** As many tokens as the context has room for, by either of two numbers. */
const WITHOUT_LIMIT = [-1, -2];
const numPredict = z
  .number()
  .refine((value) => WITHOUT_LIMIT.includes(value) || inRange(value, maxTokens.range), {
    error: ({ input }) =>
      `must be ${rangeText(maxTokens.range)}, or -1 or -2 for as many as the context has room for; not ${input}`,
  });

const { temperature, topK, topP, minP, repetitionPenalty, penaltyLastN } = SAMPLER_ROWS;
const { presencePenalty, frequencyPenalty } = SAMPLER_ROWS;

export const optionsSchema = z.object({
  temperature: ranged(temperature.range).nullish(),
  top_k: ranged({ ...topK.range, also: -1 }).nullish(),
  top_p: ranged(topP.range).nullish(),
  min_p: ranged(minP.range).nullish(),
  repeat_penalty: ranged(repetitionPenalty.range).nullish(),
  repeat_last_n: ranged({ ...penaltyLastN.range, also: -1 }).nullish(),
  presence_penalty: ranged(presencePenalty.range).nullish(),
  frequency_penalty: ranged(frequencyPenalty.range).nullish(),
  seed: z.number().int().nullish(),
  num_predict: numPredict.nullish(),
  stop: z
    .union([stopString, listOf(stopString, { most: REQUEST_LIMITS.stops })], {
      error: "must be a string, or a list of strings",
    })
    .nullish(),
  mirostat: z.number().nullish(),
  tfs_z: z.number().nullish(),
  typical_p: z.number().nullish(),
  penalize_newline: z.boolean().nullish(),
});

export type Options = z.infer<typeof optionsSchema>;

/** Samplers that there are not here, with the values that switch them off. */
const WITHOUT = { mirostat: 0, tfs_z: 1, typical_p: 1 } as const;

/** @throws HttpError 400 for one that changes the answer in a way that there is not here */
export function checkOptions(options: Options): void {
  for (const [name, off] of Object.entries(WITHOUT)) {
    const value = options[name as keyof typeof WITHOUT] ?? off;
    if (value !== off) throw unsupported(name, `must be ${off}, which switches it off: it is not supported`);
  }
  const penalised =
    (options.repeat_penalty ?? 1) !== 1 || options.presence_penalty || options.frequency_penalty;
  if (options.penalize_newline === false && penalised)
    throw unsupported("penalize_newline", "must be true: the penalties are on every token alike");
}

function unsupported(name: string, message: string): HttpError {
  const param = `options.${name}`;
  return new HttpError(400, "unsupported_parameter", `${param}: ${message}`, param);
}
