import { type Context, Hono } from "hono";
import { cors } from "hono/cors";
import { streamSSE } from "hono/streaming";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { Clock } from "../util/clock.ts";
import type { Log } from "../util/log.ts";
import type { Answers } from "./answers.ts";
import { asHttpError, HttpError } from "./errors.ts";
import { admit, checkKey, type GuardOptions } from "./guard.ts";
import type { OpenAi, Reply } from "./openai/endpoint.ts";

/** The endpoint without a socket: what is asked where, who may, and how answers are written. A `Request` in, a `Response` out. */

export interface AppOptions {
  readonly answers: Answers;
  readonly openai: OpenAi;
  readonly guard: GuardOptions;
  /** name and version of this software */
  readonly software: string;
  /** for /readyz: why it cannot answer now; null: it can */
  readonly notReady: () => string | null;
  /** what is counted, for who scrapes it */
  readonly exposition: () => Promise<{ readonly type: string; readonly text: string }>;
  readonly log: Log;
  readonly clock: Clock;
}

/** What the shell knows of one request, besides its head. */
export interface Caller {
  readonly requestId: string;
  /** the client has gone: the rest is not wanted */
  readonly gone: AbortSignal;
  /** reads the body, within bounds @throws HttpError */
  body(): Promise<unknown>;
  /** the request fails with an error, also in the middle of its answer @param thrown what that was made of */
  failed(error: HttpError, thrown: unknown): void;
}

interface Env {
  Bindings: Caller;
}

/** Between two lines of a stream that says nothing else: proxies cut what is silent. */
const KEEP_ALIVE_MS = 15_000;
const MOST_HEADER_UNITS = 1000;
const PATHS = {
  chat: "/v1/chat/completions",
  completions: "/v1/completions",
  models: "/v1/models",
  health: "/health",
  alive: "/healthz",
  ready: "/readyz",
  metrics: "/metrics",
} as const;

/** For logs and metrics: whatever else is asked for is one thing. */
export function knownPath(path: string): string {
  return (Object.values(PATHS) as string[]).includes(path) ? path : "other";
}

/** A path as it is routed: without what comes after it, and without slashes at its end. */
export function routedPath(target: string): string {
  return target.split("?")[0]!.replace(/(.)\/+$/, "$1");
}

export function createApp(options: AppOptions): Hono<Env> {
  const { answers, openai, software } = options;
  const app = new Hono<Env>({ getPath: ({ url }) => routedPath(url.slice(url.indexOf("/", 8))) });
  app.onError((error, context) => failure(context, error));
  app.notFound((context) => failure(context, nothingAt(context)));
  addProbes(app, options.notReady);
  addGuard(app, options.guard);

  const get = (path: string, act: (context: Context<Env>) => Response | Promise<Response>) =>
    app.get(path, act).all(path, wrongMethod("GET"));
  const post = (path: string, act: (body: unknown, gone: AbortSignal, requestId: string) => Promise<Reply>) =>
    app
      .post(path, async (context) => {
        const { gone, requestId } = context.env;
        const reply = await act(await context.env.body(), gone, requestId);
        return written(context, reply, options);
      })
      .all(path, wrongMethod("POST"));
  post(PATHS.chat, (...asked) => openai.chat(...asked));
  post(PATHS.completions, (...asked) => openai.complete(...asked));
  get(PATHS.models, (context) => json(context, openai.models()));
  get(`${PATHS.models}/:name{.+}`, (context) => json(context, openai.modelNamed(context.req.param("name")!)));
  get(PATHS.health, (context) => json(context, { status: "ok", software, ...answers.health }));
  get(PATHS.metrics, async (context) => {
    const { type, text } = await options.exposition();
    return context.body(text, 200, { "content-type": type });
  });
  return app;
}

/**
 * Whether the process lives, and whether it can answer: for those who have neither a key nor a name of this device, and
 * told in a word.
 */
function addProbes(app: Hono<Env>, notReady: () => string | null): void {
  for (const [path, problem] of [
    [PATHS.alive, () => null],
    [PATHS.ready, notReady],
  ] as const) {
    app.get(path, (context) => {
      const why = problem();
      return context.body(why === null ? "ok\n" : `${why}\n`, why === null ? 200 : 503, {
        "content-type": "text/plain",
      });
    });
    app.all(path, wrongMethod("GET"));
  }
}

/** A page of an allowed origin may read also why it was refused; the page of another one learns nothing. */
function addGuard(app: Hono<Env>, guard: GuardOptions): void {
  app.use(async ({ req }, next) => {
    admit({ host: req.header("host"), origin: req.header("origin") }, guard);
    await next();
  });
  app.use(
    cors({
      origin: (origin) => origin,
      allowMethods: ["GET", "POST", "OPTIONS"],
      allowHeaders: ["authorization", "content-type", "x-request-id"],
      exposeHeaders: ["x-request-id", "x-picospec-relaxed"],
      maxAge: 600,
    }),
  );
  app.use(async ({ req }, next) => {
    checkKey(req.header("authorization"), guard);
    await next();
  });
}

function nothingAt({ req }: Context<Env>): HttpError {
  return new HttpError(404, "not_found", `there is nothing at ${req.path}; the API is below /v1`);
}

function wrongMethod(right: string): (context: Context<Env>) => never {
  return (context) => {
    const { path, method } = context.req;
    context.header("allow", `${right}, OPTIONS`);
    throw new HttpError(405, "method_not_allowed", `${path} takes ${right}, not ${method}`);
  };
}

function json(context: Context<Env>, body: unknown, status: ContentfulStatusCode = 200): Response {
  return context.body(JSON.stringify(body), status, { "content-type": "application/json; charset=utf-8" });
}

function failure(context: Context<Env>, thrown: unknown): Response {
  const error = asHttpError(thrown);
  context.env.failed(error, thrown);
  const retryAfter = retryAfterSeconds(error);
  if (retryAfter !== null) context.header("retry-after", `${retryAfter}`);
  return json(context, error.body, error.status as ContentfulStatusCode);
}

/** null: another try is not better */
function retryAfterSeconds({ status, retryAfterMs }: HttpError): number | null {
  if (retryAfterMs !== undefined) return Math.ceil(retryAfterMs / 1000);
  // A cloud that is away is looked for every few seconds.
  return status === 429 ? 1 : status === 503 ? 5 : null;
}

async function written(context: Context<Env>, reply: Reply, { log, clock }: AppOptions): Promise<Response> {
  context.header("x-picospec-answered-by", reply.answeredBy);
  const { relaxed } = reply;
  if (relaxed.length > 0) {
    // Headers are ASCII, and a schema's names need not be.
    const list = relaxed.join(", ").replace(/[^\x20-\x7e]/g, "?");
    context.header("x-picospec-relaxed", list.slice(0, MOST_HEADER_UNITS));
    // Their paths are names of the client's schema.
    const fields = { request: context.env.requestId, keywords: relaxed.length };
    log.warn(fields, "a schema was relaxed, as its client allows");
  }
  return reply.kind === "object" ? json(context, reply.body) : streamed(context, reply.chunks, clock);
}

/** Server-sent events. What fails before the first is an answer with a status of its own. */
async function streamed(
  context: Context<Env>,
  chunks: AsyncGenerator<unknown, void, undefined>,
  clock: Clock,
): Promise<Response> {
  const { env } = context;
  const { gone } = env;
  const first = await chunks.next();
  const response = streamSSE(context, async (stream) => {
    const left = () => stream.abort();
    gone.addEventListener("abort", left);
    if (gone.aborted) left();
    const keepAlive = every(clock, KEEP_ALIVE_MS, () => void stream.write(": still here\n\n"));
    const event = (data: string) => stream.writeSSE({ data });
    try {
      if (!first.done) await event(JSON.stringify(first.value));
      for await (const chunk of chunks) await event(JSON.stringify(chunk));
      await event("[DONE]");
    } catch (error) {
      // The status has gone out: the error is an event, and there is no [DONE].
      const told = asHttpError(error);
      env.failed(told, error);
      await event(JSON.stringify(told.body));
    } finally {
      keepAlive();
      gone.removeEventListener("abort", left);
    }
  });
  response.headers.set("content-type", "text/event-stream; charset=utf-8");
  return response;
}

/** @returns what ends it */
function every(clock: Clock, ms: number, act: () => void): () => void {
  let cancel = () => {};
  const next = () => {
    cancel = clock.schedule(clock.nowMs() + ms, () => {
      act();
      next();
    });
  };
  next();
  return () => cancel();
}
