import { SESSION_LIMITS } from "../../decoding/session.ts";
import type { TokenLogprobs } from "../../sampling/question.ts";
import { EngineError } from "../engine.ts";
import { AWAY, messageIn } from "./http.ts";

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
  /** @throws EngineError for what is no chunk */
  logprobsOf(choice: Readonly<Record<string, unknown>>, count: number): (Told | null)[] | null;
}

/** Of one token. */
interface Told {
  readonly logprob: number;
  readonly top: readonly (readonly [token: number, logprob: number])[];
}

type Fields = Readonly<Record<string, unknown>>;

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
  logprobsOf({ logprobs }) {
    const content = (logprobs as { content?: unknown } | null | undefined)?.content;
    if (!Array.isArray(content)) return null;
    return content.map(({ logprob, top_logprobs: top }: Record<string, unknown>) => {
      if (typeof logprob !== "number" || !Array.isArray(top)) return null;
      return {
        logprob,
        top: top.map(({ token_id, logprob: its }: Record<string, number>) => [token_id!, its!] as const),
      };
    });
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
  logprobsOf({ logprobs }) {
    if (typeof logprobs !== "object" || logprobs === null) return null;
    const { token_logprobs: own, top_logprobs: top } = logprobs as Record<string, unknown>;
    if (!Array.isArray(own) || !Array.isArray(top)) return null;
    return own.map((logprob: unknown, i) => {
      if (typeof logprob !== "number") return null;
      const list = Object.entries((top[i] ?? {}) as Record<string, number>);
      return { logprob, top: list.map(([name, its]) => [tokenNamed(name), its] as const) };
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

/**
 * What an event of a stream says.
 * @param logprobs how many of the likeliest tokens were asked for; null: none
 * @throws EngineError for an error of the server, and for what is no chunk
 */
export function chunkOf(dialect: Dialect, json: unknown, logprobs: number | null): Chunk {
  const fields = (typeof json === "object" && json !== null ? json : {}) as Fields;
  if (fields.error !== undefined) throw new EngineError(AWAY, `the server failed: ${messageIn(json)}`);
  const [choice] = Array.isArray(fields.choices) ? (fields.choices as Fields[]) : [];
  // What only counts, at the end of a stream.
  if (choice === undefined) return { tokens: [], logprobs: null, finish: null };
  const tokens = choice.token_ids ?? [];
  if (!Array.isArray(tokens) || !tokens.every(isToken)) throw notIds();
  if (typeof choice.text === "string" && choice.text !== "" && choice.token_ids === undefined) throw notIds();
  const finish = typeof choice.finish_reason === "string" ? choice.finish_reason : null;
  if (logprobs === null || tokens.length === 0) return { tokens, logprobs: null, finish };
  const told = dialect.logprobsOf(choice, tokens.length);
  if (told?.length !== tokens.length) throw noLogprobs();
  return { tokens, logprobs: told.map((one) => asLogprobs(one, logprobs)), finish };
}

function isToken(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) < 2 ** 31;
}

function notIds(): EngineError {
  const message = "the server gives text without token ids; it has to be vLLM, of release 0.10.2 or later";
  return new EngineError(AWAY, message);
}

function noLogprobs(): EngineError {
  return new EngineError(AWAY, "the server gave no log-probabilities, and was asked for them");
}

function asLogprobs(told: Told | null, most: number): TokenLogprobs {
  if (told === null) throw noLogprobs();
  // The sampled token comes first, and again among the others in some releases.
  const byToken = new Map(told.top.filter(([token]) => isToken(token)));
  const sorted = [...byToken].sort((a, b) => b[1] - a[1]).slice(0, most);
  return {
    logprob: told.logprob,
    topIds: Int32Array.from(sorted, ([token]) => token),
    topLogprobs: Float32Array.from(sorted, ([, logprob]) => logprob),
  };
}
