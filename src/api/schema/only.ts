import { z } from "zod";

/**
 * A field of other servers that would change the answer, and is not taken here. Clients also send it with a value that
 * does nothing: null, or one of these.
 * @param then what to do, after "leave it out"
 */
export function only(neutral: readonly unknown[], then = ""): z.ZodOptional<z.ZodUnknown> {
  const texts = neutral.map((value) => JSON.stringify(value));
  const harmless = (value: unknown) =>
    value === null || value === undefined || texts.includes(JSON.stringify(value));
  const error = `is not supported here: leave it out${then === "" ? "" : `, ${then}`}`;
  return z.unknown().refine(harmless, { error }).optional();
}
