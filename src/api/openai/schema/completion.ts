import { z } from "zod";
import { SESSION_ROWS } from "../../../decoding/session.ts";
import { HttpError } from "../../errors.ts";
import { REQUEST_LIMITS } from "../../schema/limits.ts";
import { listOf } from "../../schema/list.ts";
import { type Ignored, parsedBody } from "../../schema/parse.ts";
import { ranged } from "../../schema/ranged.ts";
import { instead } from "../../schema/said.ts";
import { wrongTokenId } from "../../schema/token-ids.ts";
import { commonFields, outputTokensOrNone } from "./common.ts";

/** A request for plain completions: text, or token ids, that the target goes on with. */

const { prompts: most, promptTokens } = REQUEST_LIMITS;
const texts = listOf(z.string(), { least: 1, most });
const idLists = listOf(
  z.custom<number[]>((list) => Array.isArray(list) && wrongId(list) === null, "must be token ids"),
  { least: 1, most },
);

function wrongId(list: readonly unknown[]): number | null {
  return list.length === 0 ? 0 : wrongTokenId(list, promptTokens);
}

/** Text, or token ids; or several of one kind. */
const promptSchema = z.unknown().transform((given, context): string | number[] | string[] | number[][] => {
  if (typeof given === "string") return given;
  if (!Array.isArray(given)) {
    const message = `must be a string, token ids, or a list of either${instead(given)}`;
    context.issues.push({ code: "custom", message, path: [], input: given });
    return z.NEVER;
  }
  const first: unknown = given[0];
  if (typeof first === "number") {
    const wrong = wrongId(given);
    if (wrong === null) return given as number[];
    const message = `must be a token id; a prompt has at most ${promptTokens}`;
    context.issues.push({ code: "custom", message, path: [wrong], input: given });
    return z.NEVER;
  }
  const parsed = (typeof first === "string" ? texts : idLists).safeParse(given);
  if (parsed.success) return parsed.data;
  const { message, path } = parsed.error.issues[0]!;
  context.issues.push({ code: "custom", message, path: [...path], input: given });
  return z.NEVER;
});

const completionSchema = z.object({
  ...commonFields,
  prompt: promptSchema,
  max_tokens: outputTokensOrNone.nullish(),
  n_predict: outputTokensOrNone.nullish(),
  logprobs: ranged(SESSION_ROWS.logprobs.range).nullish(),
  echo: z.boolean().nullish(),
  suffix: z.string().nullish(),
  // As llama.cpp calls it: text such as <|user|> is read as the special token of that name.
  parse_special: z.boolean().nullish(),
  best_of: z.number().int().nullish(),
});

export type CompletionBody = z.infer<typeof completionSchema>;

/** @throws HttpError 400 that names the field */
export function parseCompletion(body: unknown, ignored: Ignored = () => {}): CompletionBody {
  const completion = parsedBody(completionSchema, body, ignored);
  const refuse = (field: "echo" | "suffix" | "best_of", message: string) => {
    throw new HttpError(400, "unsupported_parameter", `${field} ${message}`, field);
  };
  if (completion.echo && (completion.logprobs ?? null) !== null)
    refuse("echo", "goes without logprobs: those of the prompt are not known here");
  if (completion.suffix && !isText(completion.prompt))
    refuse("suffix", "goes along with a prompt that is text");
  if (completion.best_of && completion.best_of !== (completion.n ?? 1)) refuse("best_of", "has to be n");
  return completion;
}

function isText(prompt: CompletionBody["prompt"]): boolean {
  return typeof prompt === "string" || typeof prompt[0] === "string";
}
