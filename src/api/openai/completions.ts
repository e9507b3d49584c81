import { z } from "zod";
import { SESSION_ROWS } from "../../decoding/session.ts";
import type { AnswerRequest } from "../../edge/edge.ts";
import { HttpError } from "../errors.ts";
import { formatGrammar } from "./answer-grammar.ts";
import { formatOf } from "./format.ts";
import { commonFields, parseBody } from "./request.ts";
import { ranged } from "./sampler-fields.ts";

/** A request for plain completions: text, or token ids, that the target goes on with. */

/** Past this no vocabulary has any; the model's own bound is the edge's to check. */
const MOST_TOKEN_ID = 2 ** 31 - 1;
const ids = z.array(z.number().int().min(0).max(MOST_TOKEN_ID)).min(1);
const MOST_PROMPTS = 32;

const completionSchema = z.object({
  ...commonFields,
  prompt: z.union([
    z.string(),
    ids,
    z.array(z.string()).min(1).max(MOST_PROMPTS),
    z.array(ids).min(1).max(MOST_PROMPTS),
  ]),
  logprobs: ranged(SESSION_ROWS.logprobs.range).nullish(),
  echo: z.boolean().nullish(),
  suffix: z.string().nullish(),
  best_of: z.number().int().nullish(),
});

export type CompletionBody = z.infer<typeof completionSchema>;

/** OpenAI's own default. */
const DEFAULT_MAX_TOKENS = 16;

/** @throws HttpError 400 that names the field */
export function parseCompletion(body: unknown): CompletionBody {
  const completion = parseBody(completionSchema, body);
  const refuse = (field: "echo" | "suffix" | "best_of", message: string) => {
    throw new HttpError(400, "unsupported_parameter", `${field} ${message}`, field);
  };
  if (completion.echo) refuse("echo", "is not supported: the prompt is yours already");
  if (completion.suffix) refuse("suffix", "is not supported: text goes on at its end only");
  if (completion.best_of && completion.best_of !== (completion.n ?? 1)) refuse("best_of", "has to be n");
  return completion;
}

/** One demand a prompt, and what of a schema they do not keep to. */
export function completionDemands(body: CompletionBody): {
  demands: Pick<AnswerRequest, "prompt" | "logprobs" | "maxTokens" | "grammar">[];
  relaxed: readonly string[];
} {
  const { prompt } = body;
  const format = formatOf(body);
  const answer = format && formatGrammar(format, []);
  const prompts: (string | number[])[] =
    typeof prompt === "string"
      ? [prompt]
      : typeof prompt[0] === "number"
        ? [prompt as number[]]
        : (prompt as string[] | number[][]);
  const logprobs = body.logprobs ?? null;
  const demands = prompts.map((one) => ({
    prompt: typeof one === "string" ? one : Int32Array.from(one),
    maxTokens: body.max_tokens ?? DEFAULT_MAX_TOKENS,
    ...(logprobs === null ? {} : { logprobs }),
    ...(answer ? { grammar: answer.grammar } : {}),
  }));
  return { demands, relaxed: answer?.relaxed ?? [] };
}
