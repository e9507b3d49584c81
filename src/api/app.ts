import { type Context, Hono } from "hono";
import { cors } from "hono/cors";
import { stream, streamSSE } from "hono/streaming";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { Clock } from "../util/clock.ts";
import type { Log } from "../util/log.ts";
import { asHttpError, HttpError } from "./errors.ts";
import type { Asked, Face, Reply, Route, ServerEvent } from "./face.ts";
import { admit, checkKey, type GuardOptions } from "./guard.ts";

/** The endpoint without a socket: what is asked where, who may, and how answers are written. A `Request` in, a `Response` out. */

export interface AppOptions {
  /** the first one tells what is wrong where there is nothing */
  readonly faces: readonly Face[];
  readonly guard: GuardOptions;
  /** for /readyz: why it cannot answer now; null: it can */
  readonly notReady: () => string | null;
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
/** of names that clients make up */
const MOST_TOLD_FIELDS = 200;
const MOST_FIELD_UNITS = 64;
const PROBES = { alive: "/healthz", ready: "/readyz" } as const;

/**
 * For logs and metrics: whatever has no route is one thing.
 * @returns of a path as it is routed, the route's
 */
export function pathNames(routes: readonly Route[]): (path: string) => string {
  const exact = new Set<string>([...Object.values(PROBES), ...routes.map(({ path }) => path)]);
  const patterns = routes
    .filter(({ path }) => path.includes(":"))
    .map(({ path }) => {
      const name = path.replace(/\{.*?\}/g, "");
      return {
        name,
        pattern: new RegExp(`^${name.replace(/:\w+/g, path.includes("{.+}") ? ".+" : "[^/]+")}$`),
      };
    });
  return (path) =>
    exact.has(path) ? path : (patterns.find(({ pattern }) => pattern.test(path))?.name ?? "other");
}

/** A path as it is routed: without what comes after it, and without slashes at its end. */
export function routedPath(target: string): string {
  return target.split("?")[0]!.replace(/(.)\/+$/, "$1");
}

export function createApp(options: AppOptions): Hono<Env> {
  const { faces } = options;
  const app = new Hono<Env>({ getPath: ({ url }) => routedPath(url.slice(url.indexOf("/", 8))) });
  const faceAt = faceFor(faces);
  const failed = (context: Context<Env>, error: unknown) => failure(context, error, faceAt(context.req.path));
  app.onError((error, context) => failed(context, error));
  app.notFound((context) => failed(context, nothingAt(context)));
  addProbes(app, options.notReady);
  addGuard(app, options.guard);
  const ignored = new IgnoredFields(options.log);
  const routes = faces.flatMap((face) => face.routes.map((route) => ({ face, route })));
  for (const { face, route } of routes) {
    app.on(route.method, route.path, async (context) => {
      const reply = await route.answer(await askedOf(context, route, options.guard, ignored));
      return written(context, reply, face, options);
    });
  }
  const methods = new Map<string, string[]>();
  for (const { route } of routes) methods.set(route.path, [...(methods.get(route.path) ?? []), route.method]);
  for (const [path, taken] of methods) app.all(path, wrongMethod(taken));
  return app;
}

/** @returns of a path, the face that says most of how it begins; where none does, the first */
function faceFor(faces: readonly Face[]): (path: string) => Face {
  const begins = faces
    .flatMap((face) => face.below.map((start) => ({ start, face })))
    .sort((a, b) => b.start.length - a.start.length);
  return (path) => begins.find(({ start }) => path.startsWith(start))?.face ?? faces[0]!;
}

async function askedOf(
  { req, env }: Context<Env>,
  route: Route,
  { apiKey }: GuardOptions,
  ignored: IgnoredFields,
): Promise<Asked> {
  return {
    body: route.method === "POST" && !route.bodyless ? await env.body() : undefined,
    params: req.param() as Record<string, string>,
    query: new URL(req.url).searchParams,
    header: (name) => req.header(name),
    ...{ gone: env.gone, requestId: env.requestId, key: apiKey },
    ignored: (fields) => ignored.tell(route.path, fields),
  };
}

/** Fields that mean nothing here, each told once: a client that sends one may wonder why it does nothing. */
class IgnoredFields {
  private readonly told = new Set<string>();
  private readonly log: Log;

  constructor(log: Log) {
    this.log = log;
  }

  tell(path: string, fields: readonly string[]): void {
    const fresh = fields
      .filter((field) => field.length <= MOST_FIELD_UNITS && !this.told.has(`${path} ${field}`))
      .slice(0, MOST_TOLD_FIELDS - this.told.size);
    if (fresh.length === 0) return;
    for (const field of fresh) this.told.add(`${path} ${field}`);
    this.log.warn({ path, fields: fresh.join(", ") }, "a request has fields that mean nothing here");
  }
}

/**
 * Whether the process lives, and whether it can answer: for those who have neither a key nor a name of this device, and
 * told in a line.
 */
function addProbes(app: Hono<Env>, notReady: () => string | null): void {
  for (const [path, problem] of [
    [PROBES.alive, () => null],
    [PROBES.ready, notReady],
  ] as const) {
    app.get(path, (context) => {
      const why = problem();
      return context.body(why === null ? "ok\n" : `${why}\n`, why === null ? 200 : 503, {
        "content-type": "text/plain",
      });
    });
    app.all(path, wrongMethod(["GET"]));
  }
}

/** A page of an allowed origin may read also why it was refused; the page of another one learns nothing. */
function addGuard(app: Hono<Env>, guard: GuardOptions): void {
  app.use(async (context, next) => {
    const { req } = context;
    admit({ host: req.header("host"), origin: req.header("origin") }, guard);
    await next();
    // A browser asks before a page of the web reaches into a private network, or this device.
    if (req.method === "OPTIONS" && req.header("access-control-request-private-network") === "true") {
      context.header("access-control-allow-private-network", "true");
    }
  });
  app.use(
    cors({
      origin: (origin) => origin,
      allowMethods: ["GET", "POST", "DELETE", "OPTIONS"],
      exposeHeaders: ["x-request-id", "request-id", "x-picospec-relaxed"],
      maxAge: 600,
    }),
  );
  app.use(async ({ req }, next) => {
    checkKey({ authorization: req.header("authorization"), apiKey: req.header("x-api-key") }, guard);
    await next();
  });
}

function nothingAt({ req }: Context<Env>): HttpError {
  return new HttpError(404, "not_found", `there is nothing at ${req.path}; the APIs are below /v1 and /api`);
}

function wrongMethod(taken: readonly string[]): (context: Context<Env>) => never {
  return (context) => {
    const { path, method } = context.req;
    context.header("allow", [...taken, "OPTIONS"].join(", "));
    throw new HttpError(405, "method_not_allowed", `${path} takes ${taken.join(" or ")}, not ${method}`);
  };
}

function json(context: Context<Env>, body: unknown, status: ContentfulStatusCode = 200): Response {
  return context.body(JSON.stringify(body), status, { "content-type": "application/json; charset=utf-8" });
}

function failure(context: Context<Env>, thrown: unknown, face: Face): Response {
  const error = asHttpError(thrown);
  context.env.failed(error, thrown);
  const retryAfter = retryAfterSeconds(error);
  if (retryAfter !== null) context.header("retry-after", `${retryAfter}`);
  // OpenAI's clients try everything from 500 on again, unless they are told.
  if (error.status === 501) context.header("x-should-retry", "false");
  return json(context, face.errorBody(error, context.env.requestId), error.status as ContentfulStatusCode);
}

/** null: another try is not better */
function retryAfterSeconds({ status, retryAfterMs }: HttpError): number | null {
  if (retryAfterMs !== undefined) return Math.ceil(retryAfterMs / 1000);
  // A cloud that is away is looked for every few seconds.
  return status === 429 ? 1 : status === 503 ? 5 : null;
}

async function written(
  context: Context<Env>,
  reply: Reply,
  face: Face,
  { log, clock }: AppOptions,
): Promise<Response> {
  if (reply.begun) tellOf(context, reply.begun, log);
  switch (reply.kind) {
    case "object":
      return json(context, reply.body);
    case "text":
      return context.body(reply.text, 200, { "content-type": reply.type });
    case "events":
      return eventStream(context, reply, clock);
    case "lines":
      return lineStream(context, reply.lines, face);
    default:
      return reply satisfies never;
  }
}

/** Whose text an answer is, and what it does not keep to. */
function tellOf(
  context: Context<Env>,
  { answeredBy, relaxed, dropped = [] }: NonNullable<Reply["begun"]>,
  log: Log,
): void {
  context.header("x-picospec-answered-by", answeredBy);
  // Headers are ASCII, and a schema's names need not be.
  const list = [...relaxed, ...dropped].join(", ").replace(/[^\x20-\x7e]/g, "?");
  if (list !== "") context.header("x-picospec-relaxed", list.slice(0, MOST_HEADER_UNITS));
  if (relaxed.length === 0) return;
  // Their paths are names of the client's schema.
  const fields = { request: context.env.requestId, keywords: relaxed.length };
  log.warn(fields, "a schema was relaxed, as its client allows");
}

/** Server-sent events. What fails before the first is an answer with a status of its own. */
async function eventStream(
  context: Context<Env>,
  { events, last, failed }: Extract<Reply, { kind: "events" }>,
  clock: Clock,
): Promise<Response> {
  const { env } = context;
  const first = await events.next();
  const response = streamSSE(context, async (stream) => {
    const stops = abortedBy(env.gone, () => stream.abort());
    const keepAlive = every(clock, KEEP_ALIVE_MS, () => void stream.write(": still here\n\n"));
    const event = ({ name, data }: ServerEvent) =>
      stream.writeSSE({ data: JSON.stringify(data), ...(name === undefined ? {} : { event: name }) });
    try {
      if (!first.done) await event(first.value);
      for await (const one of events) await event(one);
      if (last !== null) await stream.writeSSE({ data: last });
    } catch (error) {
      // The status has gone out: the error is an event, and there is no end.
      await event(failed(failedLate(env, error)));
    } finally {
      keepAlive();
      stops();
    }
  });
  response.headers.set("content-type", "text/event-stream; charset=utf-8");
  return response;
}

/** JSON, an object a line. What fails before the first is an answer with a status of its own. */
async function lineStream(
  context: Context<Env>,
  lines: AsyncGenerator<object, void, undefined>,
  face: Face,
): Promise<Response> {
  const first = await lines.next();
  context.header("content-type", "application/x-ndjson");
  return stream(context, async (stream) => {
    const stops = abortedBy(context.env.gone, () => stream.abort());
    const line = (one: object) => stream.write(`${JSON.stringify(one)}\n`);
    try {
      if (!first.done) await line(first.value);
      for await (const one of lines) await line(one);
    } catch (error) {
      await line(face.errorBody(failedLate(context.env, error), context.env.requestId));
    } finally {
      stops();
    }
  });
}

function failedLate(env: Caller, error: unknown): HttpError {
  const told = asHttpError(error);
  env.failed(told, error);
  return told;
}

/** @returns what calls that off */
function abortedBy(gone: AbortSignal, abort: () => void): () => void {
  gone.addEventListener("abort", abort);
  if (gone.aborted) abort();
  return () => gone.removeEventListener("abort", abort);
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
