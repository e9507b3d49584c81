import type { TokenLogprobs } from "./question.ts";
import { argmax, selectTop } from "./select.ts";
import { softmaxTotal } from "./softmax.ts";

/**
 * What a row says of a token: the model's own distribution, whatever the sampler chain makes of it.
 * @param row logits, Float32Array[V]
 * @param top how many of the likeliest tokens to report; null or undefined: nothing at all
 */
export function tokenLogprobs(
  row: Float32Array,
  token: number,
  top: number | null | undefined,
): TokenLogprobs | null {
  if (top === null || top === undefined) return null;
  const maximum = row[argmax(row)]!;
  const logTotal = maximum + Math.log(softmaxTotal(row, maximum, 1));
  const topIds = top > 0 ? selectTop(row, Math.min(top, row.length)) : new Int32Array(0);
  return {
    logprob: row[token]! - logTotal,
    topIds,
    topLogprobs: Float32Array.from(topIds, (id) => row[id]! - logTotal),
  };
}
