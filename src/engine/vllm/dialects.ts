import * as z from "zod";
import { SESSION_LIMITS } from "../../decoding/session.ts";
import type { TokenLogprobs } from "../../sampling/question.ts";
import { EngineError } from "../engine.ts";
import { LostRequest, messageIn } from "./http.ts";

/** The two ways to ask vLLM with token ids, and to read what it answers. Behind both is the same engine. */

/** What is asked for, whichever way. */
export interface Asked {
  /** ours; what the engine makes of it is `engineRequestId` */
  readonly id: string;
  readonly model: string;
  readonly tokens: Int32Array;
  readonly maxTokens: number;
  /** end tokens; the answer ends with the first */
  readonly endTokens: readonly number[];
  /** sampling parameters */
  readonly sampling: Readonly<Record<string, unknown>>;
  /** what structured outputs are asked for; null: none */
  readonly structured: Readonly<Record<string, unknown>> | null;
  /** how many of the likeliest tokens to tell with each; null: nothing is told */
  readonly logprobs: number | null;
  /** null: the engine draws as it likes */
  readonly seed: number | null;
  readonly cacheSalt: string;
}

export interface Chunk {
  readonly tokens: readonly number[];
  /** one for each token; null: none are told */
  readonly logprobs: readonly TokenLogprobs[] | null;
  /** why it ended; null: it goes on */
  readonly finish: string | null;
}

export interface Dialect {
  readonly name: string;
  readonly path: string;
  /** where requests are ended by name; null: by hanging up alone */
  readonly abortPath: string | null;
  /** most of the likeliest tokens that can be told with each */
  readonly topLogprobs: number;
  body(asked: Asked): Record<string, unknown>;
  engineRequestId(id: string): string;
  /** @param logprobs as a choice has them @returns one for each token; null: they are none */
  logprobsOf(logprobs: unknown): (Told | null)[] | null;
}

/** Of one token. */
interface Told {
  readonly logprob: number;
  readonly top: readonly (readonly [token: unknown, logprob: number])[];
}

type Fields = Readonly<Record<string, unknown>>;

/** What we read of a server's JSON; it may have more. */
const EVENT = z.object({ error: z.unknown().optional(), choices: z.array(z.unknown()).nullish() });
const CHOICE = z.object({
  token_ids: z.array(z.number()).nullish(),
  text: z.string().nullish(),
  finish_reason: z.string().nullish(),
  logprobs: z.unknown().optional(),
});
const SCALE_OUT_LOGPROBS = z.object({
  content: z.array(
    z.object({
      logprob: z.number(),
      top_logprobs: z.array(z.object({ token_id: z.unknown().optional(), logprob: z.number() })),
    }),
  ),
});
const COMPLETION_LOGPROBS = z.object({
  token_logprobs: z.array(z.number().nullable()),
  top_logprobs: z.array(z.record(z.string(), z.number()).nullable()),
});

/** Ends with our end tokens alone, and with no text, which a stop string could need. */
function commonFields({ sampling, maxTokens, endTokens, structured, seed }: Asked): Fields {
  const ends = { ignore_eos: true, stop_token_ids: endTokens, max_tokens: maxTokens };
  const set = {
    ...(structured ? { structured_outputs: structured } : {}),
    ...(seed === null ? {} : { seed }),
  };
  return { ...sampling, ...ends, ...set };
}

/** `--enable-scale-out`: no text is made of the tokens, and requests can be aborted. */
const SCALE_OUT: Dialect = {
  name: "scale-out",
  path: "/inference/v1/generate",
  abortPath: "/inference/v1/abort_requests",
  // It tells the sampled token first, within the number that is asked for: one more is asked for than is wanted.
  topLogprobs: SESSION_LIMITS.topLogprobs - 1,
  body(asked) {
    const { id, model, tokens, logprobs, cacheSalt } = asked;
    const told = logprobs === null ? {} : { logprobs: logprobs === 0 ? 0 : logprobs + 1 };
    const sampling_params = { ...commonFields(asked), ...told, detokenize: false };
    const request = { request_id: id, model, token_ids: [...tokens], sampling_params };
    return { ...request, stream: true, cache_salt: cacheSalt };
  },
  engineRequestId: (id) => `generate-tokens-${id}`,
  logprobsOf(logprobs) {
    const told = SCALE_OUT_LOGPROBS.safeParse(logprobs);
    if (!told.success) return null;
    return told.data.content.map(({ logprob, top_logprobs: top }) => ({
      logprob,
      top: top.map(({ token_id, logprob: its }) => [token_id, its] as const),
    }));
  },
};

/** Any server that tells token ids with `return_token_ids`. */
const COMPLETIONS: Dialect = {
  name: "completions",
  path: "/v1/completions",
  abortPath: null,
  topLogprobs: SESSION_LIMITS.topLogprobs,
  body(asked) {
    const { id, model, tokens, logprobs, cacheSalt } = asked;
    const told = logprobs === null ? {} : { logprobs, return_tokens_as_token_ids: true };
    const request = { model, prompt: [...tokens], request_id: id, add_special_tokens: false };
    const answer = { stream: true, return_token_ids: true, skip_special_tokens: false };
    return { ...request, ...answer, ...commonFields(asked), ...told, cache_salt: cacheSalt };
  },
  engineRequestId: (id) => `cmpl-${id}-0`,
  logprobsOf(logprobs) {
    const told = COMPLETION_LOGPROBS.safeParse(logprobs);
    if (!told.success) return null;
    const { token_logprobs: own, top_logprobs: top } = told.data;
    return own.map((logprob, i) => {
      if (logprob === null) return null;
      return {
        logprob,
        top: Object.entries(top[i] ?? {}).map(([name, its]) => [tokenNamed(name), its] as const),
      };
    });
  },
};

/** As `return_tokens_as_token_ids` names them. */
function tokenNamed(name: string): number {
  const match = /^token_id:(\d+)$/.exec(name);
  return match ? Number(match[1]) : Number.NaN;
}

/** In the order in which they are tried. */
export const DIALECTS: readonly Dialect[] = [SCALE_OUT, COMPLETIONS];

/** What was asked for, and what may come. */
export interface Expected {
  /** how many of the likeliest tokens were asked for; null: none */
  readonly logprobs: number | null;
  /** ids are less than this */
  readonly vocabularySize: number;
}

/** Code of the error of a server whose tokens are not the model's: another try would be no better. */
export const STRANGE_TOKENS = "engine_tokens";

/**
 * What an event of a stream says.
 * @throws EngineError for an error of the server, and for what is no chunk
 */
export function chunkOf(dialect: Dialect, json: unknown, expected: Expected): Chunk {
  const { logprobs, vocabularySize } = expected;
  const event = EVENT.safeParse(json);
  if (!event.success) throw new LostRequest("the server sent an event of another shape");
  if ((event.data.error ?? null) !== null) throw new LostRequest(`the server failed: ${messageIn(json)}`);
  const [first] = event.data.choices ?? [];
  // What only counts, at the end of a stream.
  if (first === undefined) return { tokens: [], logprobs: null, finish: null };
  const choice = CHOICE.safeParse(first);
  if (!choice.success) throw new LostRequest("the server sent an event of another shape");
  const { token_ids: ids, text, finish_reason: finish = null } = choice.data;
  const tokens = ids ?? [];
  if (!tokens.every(isToken) || (text && ids === undefined)) throw notIds();
  const stranger = tokens.find((token) => token >= vocabularySize);
  if (stranger !== undefined) {
    const message = `the server gave token ${stranger}, and the vocabulary has ${vocabularySize}: is --tokenizer the model's own?`;
    throw new EngineError(STRANGE_TOKENS, message);
  }
  if (logprobs === null || tokens.length === 0) return { tokens, logprobs: null, finish };
  const told = dialect.logprobsOf(choice.data.logprobs);
  if (told?.length !== tokens.length) throw noLogprobs();
  return { tokens, logprobs: told.map((one) => asLogprobs(one, logprobs, vocabularySize)), finish };
}

function isToken(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 31;
}

function notIds(): EngineError {
  return new LostRequest(
    "the server gives text without token ids; it has to be vLLM, of release 0.10.2 or later",
  );
}

function noLogprobs(): EngineError {
  return new LostRequest("the server gave no log-probabilities, and was asked for them");
}

function asLogprobs(told: Told | null, most: number, vocabularySize: number): TokenLogprobs {
  if (told === null) throw noLogprobs();
  // The sampled token comes first, and again among the others in some releases.
  const byToken = new Map<number, number>();
  for (const [token, logprob] of told.top) {
    if (isToken(token) && token < vocabularySize) byToken.set(token, logprob);
  }
  const sorted = [...byToken].sort((a, b) => b[1] - a[1]).slice(0, most);
  return {
    logprob: told.logprob,
    topIds: Int32Array.from(sorted, ([token]) => token),
    topLogprobs: Float32Array.from(sorted, ([, logprob]) => logprob),
  };
}
