import { z } from "zod";
import type { Ignored } from "../../schema/parse.ts";
import { commonFields, noImages, parsedRequest, refused } from "./common.ts";

/** A request of /api/generate. */

const generateSchema = z.object({
  ...commonFields,
  prompt: z.string().nullish(),
  suffix: z.string().nullish(),
  system: z.string().nullish(),
  template: z.string().nullish(),
  raw: z.boolean().nullish(),
  images: noImages,
  context: z.unknown().optional(),
});
export type GenerateBody = z.infer<typeof generateSchema>;

/** @throws HttpError 400 that names the field */
export function parseGenerate(body: unknown, ignored: Ignored): GenerateBody {
  const given = parsedRequest(generateSchema, body, ignored);
  const { raw, suffix, system, template, context, think } = given;
  if (template) {
    const instead = "a prompt of a form of your own goes with raw: true";
    throw refused("template", `is not supported: the model's own chat template is used; ${instead}`);
  }
  if (Array.isArray(context) ? context.length > 0 : context !== null && context !== undefined)
    throw refused("context", "is not supported: send the messages so far to /api/chat");
  const plain = raw ? "raw" : suffix ? "suffix" : null;
  if (plain === null) return given;
  if (raw && suffix) throw refused("suffix", "goes without raw");
  if (system) throw refused("system", `goes without ${plain}: put it into the prompt`);
  if (think) throw refused("think", `goes without ${plain}: only a chat template has thoughts`);
  return given;
}
