import { DEFAULT_SAMPLER } from "../../sampling/settings.ts";
import { EngineError } from "../engine.ts";
import { type Asked, chunkOf, DIALECTS, type Dialect } from "./dialects.ts";
import type { Answer, HttpServer } from "./http.ts";
import { samplingFields } from "./settings.ts";

/** What a server is, found out before it gets a session: model, context, how it is asked, what it refuses. */

export interface ServerFacts {
  /** as requests name it */
  readonly model: string;
  /** where the server has it from: a folder on its machine, or a name on the hub */
  readonly root: string | null;
  readonly contextTokens: number;
  /** of vLLM; null: the server does not tell, and may be another one */
  readonly version: string | null;
  readonly dialect: Dialect;
  /** It drafts, or takes drafts: some settings are refused then. */
  readonly speculates: boolean;
}

/** Statuses of a path that is not served: switched off, not there, not built in. */
const NOT_SERVED = [403, 404, 405, 501];

/** It wants a key, or cannot serve now. */
const mayBeVllm = (status: number) => status >= 500 || [401, 408, 429].includes(status);

/**
 * @param wanted name of the model; null: the only one, or the first
 * @throws EngineError that says what to do: `engine_away`, `engine_key`, `not_vllm`, `no_model`
 */
export async function probe(http: HttpServer, wanted: string | null): Promise<ServerFacts> {
  const listed = modelsOf(http, await http.ask("/v1/models", null));
  const found = wanted === null ? listed[0] : listed.find(({ id }) => id === wanted);
  if (!found) {
    const names = listed.map(({ id }) => id).join(", ") || "no model";
    const message = `${http.name} serves ${names}, and not ${wanted ?? "any"}; correct --model or --url`;
    throw new EngineError("no_model", message);
  }
  const { id: model, root, contextTokens } = found;
  const dialect = await dialectOf(http, model);
  const speculates = await refusesMinP(http, model, dialect);
  return { model, root, contextTokens, version: await versionOf(http), dialect, speculates };
}

interface Listed {
  readonly id: string;
  readonly root: string | null;
  readonly contextTokens: number;
}

/** @throws EngineError */
function modelsOf(http: HttpServer, answer: Answer): Listed[] {
  if (answer.status !== 200) {
    if (mayBeVllm(answer.status)) throw http.refusal(answer.status, answer.json);
    throw notVllm(http, `/v1/models gives ${answer.status}`);
  }
  const data = (answer.json as { data?: unknown } | undefined)?.data;
  if (!Array.isArray(data)) throw notVllm(http, "/v1/models lists no models");
  return data.map((one: Record<string, unknown> | null) => {
    const { id, root, max_model_len: contextTokens } = one ?? {};
    if (typeof id !== "string" || !Number.isInteger(contextTokens) || (contextTokens as number) < 2) {
      throw notVllm(http, "/v1/models tells no max_model_len");
    }
    return { id, root: typeof root === "string" ? root : null, contextTokens: contextTokens as number };
  });
}

function notVllm(http: HttpServer, why: string): EngineError {
  const message = `${http.name} is no vLLM (${why}); --url is that of vllm serve, without /v1`;
  return new EngineError("not_vllm", message);
}

/** For one token, which costs a forward pass. */
function trial(model: string, sampling: Record<string, unknown>): Asked {
  return {
    ...{ id: "picospec-probe", model, tokens: Int32Array.of(1), maxTokens: 1, endTokens: [] },
    sampling: { ...samplingFields({ ...DEFAULT_SAMPLER, temperature: 0 }), ...sampling },
    ...{ structured: null, logprobs: null, seed: null, cacheSalt: "picospec-probe" },
  };
}

/** @throws EngineError `not_vllm` for a server that gives no token ids */
async function dialectOf(http: HttpServer, model: string): Promise<Dialect> {
  let problem: EngineError | null = null;
  for (const dialect of DIALECTS) {
    const answer = await http.ask(dialect.path, { ...dialect.body(trial(model, {})), stream: false });
    if (answer.status !== 200) {
      if (!NOT_SERVED.includes(answer.status)) throw http.refusal(answer.status, answer.json);
      problem = notVllm(http, `${dialect.path} gives ${answer.status}`);
      continue;
    }
    if (tellsIds(dialect, answer.json)) return dialect;
    problem = notVllm(http, `${dialect.path} gives no token ids; vLLM does since release 0.10.2`);
  }
  throw problem;
}

function tellsIds(dialect: Dialect, json: unknown): boolean {
  try {
    return chunkOf(dialect, json, { logprobs: null, vocabularySize: 2 ** 31 }).tokens.length === 1;
  } catch (error) {
    if (error instanceof EngineError) return false;
    throw error;
  }
}

/** vLLM refuses min-p to every request of a server that speculates, and says speculation nowhere else. */
async function refusesMinP(http: HttpServer, model: string, dialect: Dialect): Promise<boolean> {
  const asked = trial(model, { temperature: 1, min_p: 0.5 });
  const { status } = await http.ask(dialect.path, { ...dialect.body(asked), stream: false });
  return status === 400;
}

async function versionOf(http: HttpServer): Promise<string | null> {
  const { json } = await http.ask("/version", null);
  const version = (json as { version?: unknown } | undefined)?.version;
  return typeof version === "string" ? version.slice(0, 60) : null;
}
