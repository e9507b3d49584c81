import type { z } from "zod";

/** What is wrong with a field, as a client's developer would say it, in place of zod's own words. */

const KINDS: Readonly<Record<string, string>> = {
  ...{ string: "a string", number: "a number", int: "a whole number", boolean: "true or false" },
  ...{ array: "a list", tuple: "a list", object: "an object", record: "an object", null: "null" },
};
const UNITS: Readonly<Record<string, string>> = { string: " characters", array: " entries" };

function kindOf(input: unknown): string {
  if (input === null) return "null";
  if (Array.isArray(input)) return "a list";
  return KINDS[typeof input] ?? typeof input;
}

/** The end of a sentence about what must be there, where something else is. */
export function instead(input: unknown): string {
  if (input === undefined) return ", and is missing";
  return typeof input === "number" ? `, not ${input}` : `, not ${kindOf(input)}`;
}

export const tooFew = (least: number, unit = UNITS.array) => `must have ${least} or more${unit}`;
export const tooMany = (most: number, unit = UNITS.array) => `must have at most ${most}${unit}`;

const oneOf = (values: readonly unknown[]) => `must be ${values.map(String).join(" or ")}`;

/** @returns undefined: zod's own words do */
export const said: z.core.$ZodErrorMap = (issue) => {
  switch (issue.code) {
    case "invalid_type":
      return `must be ${KINDS[issue.expected] ?? issue.expected}${instead(issue.input)}`;
    case "too_small":
    case "too_big": {
      const bound = Number(issue.code === "too_small" ? issue.minimum : issue.maximum);
      const unit = UNITS[issue.origin];
      if (issue.code === "too_small") return unit ? tooFew(bound, unit) : `must be ${bound} or more`;
      return unit ? tooMany(bound, unit) : `must be ${bound} or less`;
    }
    case "invalid_value":
      return `${oneOf(issue.values)}${instead(issue.input)}`;
    case "invalid_key":
      return "is a key that is not taken here";
    case "invalid_union": {
      const { options } = issue as { options?: readonly unknown[] };
      return options ? oneOf(options) : undefined;
    }
    default:
      return undefined;
  }
};
