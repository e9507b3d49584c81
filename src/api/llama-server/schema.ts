import { z } from "zod";
import { HttpError } from "../errors.ts";
import { REQUEST_LIMITS } from "../schema/limits.ts";
import { type Ignored, parsedBody } from "../schema/parse.ts";
import { wrongTokenId } from "../schema/token-ids.ts";

/** Requests about texts and their tokens. */

const model = z.string().max(512).nullish();

const tokenizeSchema = z.object({
  model,
  content: z.string(),
  add_special: z.boolean().nullish(),
  parse_special: z.boolean().nullish(),
  with_pieces: z.boolean().nullish(),
});
export type TokenizeBody = z.infer<typeof tokenizeSchema>;

const detokenizeSchema = z.object({
  model,
  tokens: z.custom<number[]>((given) => Array.isArray(given), "must be a list of token ids"),
});
export type DetokenizeBody = z.infer<typeof detokenizeSchema>;

/** @throws HttpError 400 that names the field */
export function parseTokenize(body: unknown, ignored: Ignored): TokenizeBody {
  return parsedBody(tokenizeSchema, body, ignored);
}

/** @throws HttpError 400 that names the field */
export function parseDetokenize(body: unknown, ignored: Ignored): DetokenizeBody {
  const parsed = parsedBody(detokenizeSchema, body, ignored);
  const { promptTokens: most } = REQUEST_LIMITS;
  const wrong = wrongTokenId(parsed.tokens, most);
  if (wrong === null) return parsed;
  const param = `tokens.${wrong}`;
  throw new HttpError(400, "invalid_value", `${param}: must be a token id; there are at most ${most}`, param);
}
