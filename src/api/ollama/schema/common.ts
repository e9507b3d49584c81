import { z } from "zod";
import { SESSION_ROWS } from "../../../decoding/session.ts";
import { HttpError } from "../../errors.ts";
import { type Ignored, parsedBody } from "../../schema/parse.ts";
import { ranged } from "../../schema/ranged.ts";
import { checkOptions, type Options, optionsSchema } from "./options.ts";

/** What questions and chats have in common. */

export const modelName = z.string().min(1).max(512);

/** Nothing, or an empty list: the model reads text alone. */
export const noImages = z
  .custom<null | readonly never[]>(
    (given) => given === null || (Array.isArray(given) && given.length === 0),
    { error: "are not taken: the model reads text; leave images away" },
  )
  .optional();

const LEVELS = ["low", "medium", "high", "max"] as const;

export const commonFields = {
  model: modelName,
  stream: z.boolean().nullish(),
  format: z
    .union([z.enum(["json", ""]), z.record(z.string(), z.unknown())], {
      error: 'must be "json", or a JSON Schema',
    })
    .nullish(),
  options: optionsSchema.nullish(),
  think: z
    .union([z.boolean(), z.enum(LEVELS)], { error: `must be true, false, ${LEVELS.join(", ")}` })
    .nullish(),
  // A model is served for as long as the endpoint is.
  keep_alive: z
    .union([z.string().max(64), z.number()], { error: "must be a number of seconds, or a duration" })
    .nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: ranged(SESSION_ROWS.logprobs.range).nullish(),
  // What does not fit the context is an error here, by whatever value: nothing is left out in silence.
  truncate: z.boolean().nullish(),
  shift: z.boolean().nullish(),
  _debug_render_only: z.boolean().nullish(),
};

const commonSchema = z.object(commonFields);
export type CommonBody = z.infer<typeof commonSchema>;

/** @throws HttpError 400 that names the field */
export function parsedRequest<Shape extends typeof commonFields>(
  schema: z.ZodObject<Shape>,
  body: unknown,
  ignored: Ignored,
): z.infer<z.ZodObject<Shape>> {
  const parsed = parsedBody(schema, body, ignored);
  const { options, _debug_render_only: renders } = parsed as CommonBody;
  if (renders)
    throw refused(
      "_debug_render_only",
      "is not supported: /apply-template shows the prompt of a conversation",
    );
  if (options) {
    const given = Object.keys((body as { options: object }).options);
    const unknown = given.filter((name) => !Object.hasOwn(optionsSchema.shape, name));
    if (unknown.length > 0) ignored(unknown.map((name) => `options.${name}`));
    checkOptions(options as Options);
  }
  return parsed;
}

export function refused(field: string, message: string): HttpError {
  return new HttpError(400, "unsupported_parameter", `${field}: ${message}`, field);
}
