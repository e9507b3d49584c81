import { z } from "zod";
import { type SAMPLER_ROWS, samplerRows } from "../../../sampling/settings.ts";
import type { PairsRow } from "../../../util/setting.ts";
import { ranged } from "../../schema/ranged.ts";

/** The sampler's settings as fields of a request, one for each row that has a field, and for each name that it goes by. */

type Rows = typeof SAMPLER_ROWS;
type FieldSchema<Kind> = Kind extends "number" ? z.ZodNumber : z.ZodRecord<z.ZodString, z.ZodNumber>;
type SamplerFields = {
  readonly [Name in keyof Rows as Rows[Name] extends { readonly field: infer Field extends string }
    ? Field
    : never]: z.ZodOptional<z.ZodNullable<FieldSchema<Rows[Name]["kind"]>>>;
};

/** Counted before each is checked: a wrong one costs microseconds. */
function pairs({ mostPairs }: PairsRow, number: z.ZodNumber) {
  const few = z.custom(
    (given) => typeof given !== "object" || given === null || fieldCount(given) <= mostPairs,
    {
      error: `must have at most ${mostPairs} tokens`,
    },
  );
  return few.pipe(z.record(z.string().regex(/^\d+$/), number));
}

function fieldCount(given: object): number {
  return Object.keys(given).length;
}

export const samplerFields = Object.fromEntries(
  samplerRows.flatMap(([, row]) => {
    if (row.field === undefined) return [];
    const number = ranged(row.fieldRange ?? row.range);
    const schema = (row.kind === "number" ? number : pairs(row, number)).nullish();
    const aliases = row.kind === "number" ? (row.fieldAliases ?? []) : [];
    return [row.field, ...aliases].map((field) => [field, schema]);
  }),
) as unknown as SamplerFields;

export type SamplerBody = { readonly [Field in keyof SamplerFields]?: z.infer<SamplerFields[Field]> };
