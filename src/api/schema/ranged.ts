import { z } from "zod";
import { inRange, type NumberRange, rangeText } from "../../util/setting.ts";

/** A number whose message says the range in the words of the setting's own check. */
export function ranged(range: NumberRange): z.ZodNumber {
  return z.number().refine((value) => inRange(value, range), {
    error: ({ input }) => `must be ${rangeText(range)}, not ${input}`,
  });
}
