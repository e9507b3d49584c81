import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { answerAudit } from "../ops/edge/audit.ts";
import { EdgeMetrics } from "../ops/edge/metrics.ts";
import { answerObservedByAll } from "../ops/edge/together.ts";
import { EXPOSITION_TYPE } from "../ops/registry.ts";
import { Connections } from "../transport/node/http-connections.ts";
import { serveInSlices } from "../transport/node/sliced-socket.ts";
import type { Clock } from "../util/clock.ts";
import { messageOf } from "../util/errors.ts";
import { JsonScan } from "../util/json-scan.ts";
import { faultFields, type Log, SILENT_LOG } from "../util/log.ts";
import { Answers, type AnswersOptions } from "./answers.ts";
import { BODY_JSON_LIMITS, BodyBudget } from "./body-budget.ts";
import { discardRest } from "./discard.ts";
import { asHttpError, HttpError } from "./errors.ts";
import { admit, corsHeaders, type GuardOptions } from "./guard.ts";
import { OpenAi, type Reply } from "./openai/endpoint.ts";

/** The endpoint on a port of this device. */

export interface HttpOptions extends AnswersOptions {
  /** 127.0.0.1 unless said otherwise */
  readonly host: string;
  /** 0: any free one */
  readonly port: number;
  readonly guard: GuardOptions;
  /** name and version of this software */
  readonly software: string;
  /** lines for the operator; default: none */
  readonly log?: Log;
  readonly clock: Clock;
  /** for /readyz: why it cannot answer now; null: it can */
  readonly notReady: () => string | null;
  /** the last resort: a fault of ours, which costs its request. Default: the log is told */
  readonly failed?: (error: unknown) => void;
}

export interface HttpServer {
  /** what clients take as their base URL, without /v1 */
  readonly url: string;
  readonly port: number;
  /** Ends what is under way, and stops listening. */
  close(): Promise<void>;
}

/** Between two lines of a stream that says nothing else: proxies cut what is silent. */
const PROBES = ["/health", "/healthz", "/readyz"];
const KEEP_ALIVE_MS = 15_000;
const MOST_HEADER_UNITS = 1000;
/** Bounds on clients that are slow, or many: each holds a socket, and perhaps an answer. */
const CONNECTION_LIMITS = {
  /** when there are more, the one that has asked nothing for the longest goes */
  connections: 1024,
  /** for a whole request, and for its headers */
  requestMs: 30_000,
  headersMs: 10_000,
  /** how often the two are looked after */
  checkMs: 2000,
  /** a client that reads nothing of an answer for so long has gone */
  unreadMs: 30_000,
} as const;

/**
 * @throws HttpError `cannot_listen`
 * @example
 * import { type HttpOptions, serveHttp } from "picospec";
 *
 * export async function serve(options: HttpOptions): Promise<string> {
 *   const server = await serveHttp(options);
 *   return `${server.url}/v1`;
 * }
 */
export async function serveHttp(options: HttpOptions): Promise<HttpServer> {
  const { clock, log = SILENT_LOG, observe } = options;
  const answers: Answers = new Answers({
    ...options,
    observe: (requestId) =>
      answerObservedByAll([
        metrics.observer(),
        answerAudit(log, clock, requestId),
        ...(observe ? [observe(requestId)] : []),
      ]),
  });
  const openai = new OpenAi({ answers, freshId, nowSeconds: () => Math.floor(Date.now() / 1000) });
  const observed = {
    get load() {
      return answers.load;
    },
    get link() {
      return answers.edges[0]!.link;
    },
  };
  const metrics = new EdgeMetrics(options.software.replace(/^.*\//, ""), observed, clock);
  const { requestMs: requestTimeout, headersMs: headersTimeout, checkMs } = CONNECTION_LIMITS;
  const shared = {
    options,
    ...{ answers, openai, metrics },
    bodies: new BodyBudget(),
    connections: new Connections(CONNECTION_LIMITS.connections),
  };
  const timeouts = { requestTimeout, headersTimeout, connectionsCheckingInterval: checkMs };
  const server = createServer(timeouts, (request, response) => {
    if (!shared.connections.asks(request.socket, response)) return;
    new Exchange(request, response, shared).run().catch((error: unknown) => {
      options.failed?.(error);
      response.destroy();
    });
  });
  serveInSlices(server, "connection", (socket) => shared.connections.add(socket));
  server.listen(options.port, options.host);
  try {
    await once(server, "listening");
  } catch (error) {
    const message = `cannot listen on ${options.host}:${options.port}: ${messageOf(error)}; choose another --port`;
    throw new HttpError(500, "cannot_listen", message);
  }
  const { port } = server.address() as AddressInfo;
  const name = options.host.includes(":") ? `[${options.host}]` : options.host;
  return {
    url: `http://${name}:${port}`,
    port,
    async close() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function freshId(): string {
  return randomBytes(12).toString("hex");
}

/** null: another try is not better */
function retryAfterSeconds({ status, retryAfterMs }: HttpError): number | null {
  if (retryAfterMs !== undefined) return Math.ceil(retryAfterMs / 1000);
  // A cloud that is away is looked for every few seconds.
  return status === 429 ? 1 : status === 503 ? 5 : null;
}

/** What a client may call its request: it comes back in a header, and is in lines of the log. */
const REQUEST_ID = /^[\w.:/+=@-]{1,128}$/;

/** What all exchanges of a server share. */
interface Shared {
  readonly options: HttpOptions;
  readonly answers: Answers;
  readonly openai: OpenAi;
  readonly metrics: EdgeMetrics;
  readonly bodies: BodyBudget;
  readonly connections: Connections;
}

/** One request and its response. */
class Exchange {
  private readonly request: IncomingMessage;
  private readonly response: ServerResponse;
  private readonly shared: Shared;
  private readonly options: HttpOptions;
  private readonly metrics: EdgeMetrics;
  private readonly id: string;
  private readonly startedMs: number;
  /** of the error that it ended with; null: none */
  private code: string | null = null;
  /** the client has gone: the rest is not wanted */
  private readonly gone = new AbortController();
  private readonly path: string;

  constructor(request: IncomingMessage, response: ServerResponse, shared: Shared) {
    this.request = request;
    this.response = response;
    this.shared = shared;
    this.options = shared.options;
    this.metrics = shared.metrics;
    const given = request.headers["x-request-id"];
    this.id = typeof given === "string" && REQUEST_ID.test(given) ? given : freshId();
    this.startedMs = shared.options.clock.nowMs();
    response.setHeader("x-request-id", this.id);
    this.path = (request.url ?? "/").split("?")[0]!.replace(/(.)\/+$/, "$1");
    response.on("close", () => this.gone.abort());
    // A socket that breaks in the middle is a client that has gone.
    for (const side of [request, response]) side.on("error", () => this.gone.abort());
  }

  async run(): Promise<void> {
    try {
      if (!this.probe()) {
        admit(
          this.request.headers,
          this.preflight ? { ...this.options.guard, apiKey: null } : this.options.guard,
        );
        await this.route();
      }
    } catch (error) {
      await this.fail(error);
    }
    this.metrics.request(this.knownPath, this.response.statusCode);
    this.tell();
    if (!this.response.writableFinished && !this.gone.signal.aborted) this.unread();
  }

  /** A line of the log: what was asked where, and never what. */
  private tell(): void {
    const { log = SILENT_LOG, clock } = this.options;
    const ms = Math.round(clock.nowMs() - this.startedMs);
    const { code, id: request, knownPath: path } = this;
    const fields = {
      request,
      path,
      status: this.response.statusCode,
      ...(code === null ? {} : { code }),
      ms,
    };
    if (code !== null) log.warn(fields, "request failed");
    else if (path.startsWith("/v1/")) log.info(fields, "request");
    else log.debug(fields, "request");
  }

  /**
   * Whether the process lives, and whether it can answer: for those who have neither a key nor a name of this device, and
   * told in a word. @returns false: it was asked for something else
   */
  private probe(): boolean {
    const { path } = this;
    if (path !== "/healthz" && path !== "/readyz") return false;
    const notReady = path === "/readyz" ? this.options.notReady() : null;
    const status = notReady === null ? 200 : 503;
    const body = notReady === null ? "ok\n" : `${notReady}\n`;
    this.get(() => this.response.writeHead(status, { "content-type": "text/plain" }).end(body));
    return true;
  }

  /** Cuts a client off that does not read. @returns what calls that off */
  private unread(): () => void {
    const { response } = this;
    const timer = setTimeout(() => response.destroy(), CONNECTION_LIMITS.unreadMs);
    const read = () => clearTimeout(timer);
    response.once("close", read);
    return () => {
      response.off("close", read);
      read();
    };
  }

  private get preflight(): boolean {
    return this.request.method === "OPTIONS";
  }

  /** For metrics: whatever else is asked for is one thing. */
  private get knownPath(): string {
    const known = ["/v1/chat/completions", "/v1/completions", "/v1/models", ...PROBES, "/metrics"];
    return known.includes(this.path) ? this.path : "other";
  }

  private async route(): Promise<void> {
    const { path } = this;
    const { openai, answers } = this.shared;
    if (this.preflight) {
      this.response.writeHead(204, corsHeaders(this.request.headers.origin)).end();
      return;
    }
    if (path === "/v1/chat/completions") {
      await this.posted((body) => openai.chat(body, this.gone.signal, this.id));
    } else if (path === "/v1/completions") {
      await this.posted((body) => openai.complete(body, this.gone.signal, this.id));
    } else if (path === "/v1/models") this.get(() => this.send(openai.models()));
    else if (path.startsWith("/v1/models/")) {
      this.get(() => this.send(openai.modelNamed(decodeURIComponent(path.slice("/v1/models/".length)))));
    } else if (path === "/health") {
      this.get(() => this.send({ status: "ok", software: this.options.software, ...answers.health }));
    } else if (path === "/metrics") {
      this.checkGet();
      this.write(200, EXPOSITION_TYPE, await this.metrics.text());
    } else throw new HttpError(404, "not_found", `there is nothing at ${path}; the API is below /v1`);
  }

  private get(act: () => void): void {
    this.checkGet();
    act();
  }

  /** @throws HttpError 405 */
  private checkGet(): void {
    if (this.request.method !== "GET" && this.request.method !== "HEAD") throw this.wrongMethod("GET");
  }

  private async posted(act: (body: unknown) => Promise<Reply>): Promise<void> {
    if (this.request.method !== "POST") throw this.wrongMethod("POST");
    const { bodies, connections } = this.shared;
    const body = bodies.begin(Number(this.request.headers["content-length"]), (error) =>
      this.request.emit("refused", error),
    );
    const chunks = await this.read(body).finally(() => bodies.end(body));
    bodies.hold(body);
    const { socket } = this.request;
    connections.busy(socket);
    try {
      await this.reply(await act(parsed(chunks)));
    } finally {
      bodies.release(body);
      connections.rest(socket);
    }
  }

  private wrongMethod(right: string): HttpError {
    this.response.setHeader("allow", `${right}, OPTIONS`);
    return new HttpError(
      405,
      "method_not_allowed",
      `${this.path} takes ${right}, not ${this.request.method}`,
    );
  }

  /** The body in pieces, which are counted as they come. @throws HttpError 413, 503 */
  private read(body: ReturnType<BodyBudget["begin"]>): Promise<Buffer[]> {
    const { request } = this;
    const { bodies } = this.shared;
    const scan = new JsonScan(BODY_JSON_LIMITS);
    const chunks: Buffer[] = [];
    return new Promise((resolve, reject) => {
      const fail = (error: Error) => {
        request.off("data", more);
        request.pause();
        reject(error);
      };
      const more = (chunk: Buffer) => {
        try {
          bodies.grow(body, chunk.length);
          const tooMuch = scan.push(chunk);
          if (tooMuch) throw new HttpError(413, "body_too_large", `a request has at most ${tooMuch}`);
          chunks.push(chunk);
        } catch (error) {
          fail(error as Error);
        }
      };
      request.on("data", more);
      request.once("end", () => resolve(chunks));
      request.once("refused", fail);
      // It also fails where its client goes in the middle: that is no fault of ours.
      for (const event of ["error", "close"]) {
        request.once(event, () => fail(new HttpError(499, "cancelled", "the client has gone")));
      }
    });
  }

  private async reply(reply: Reply): Promise<void> {
    this.response.setHeader("x-picospec-answered-by", reply.answeredBy);
    if (reply.relaxed && reply.relaxed.length > 0) this.tellRelaxed(reply.relaxed);
    if (reply.kind === "object") this.send(reply.body);
    else await this.stream(reply.chunks);
  }

  /** Keywords that an answer does not keep to, as the client allowed: it is told, and so is the operator. */
  private tellRelaxed(relaxed: readonly string[]): void {
    // Headers are ASCII, and a schema's names need not be.
    const list = relaxed
      .join(", ")
      .replace(/[^\x20-\x7e]/g, "?")
      .slice(0, MOST_HEADER_UNITS);
    this.response.setHeader("x-picospec-relaxed", list);
    // Their paths are names of the client's schema.
    this.options.log?.warn(
      { request: this.id, keywords: relaxed.length },
      "a schema was relaxed, as its client allows",
    );
  }

  /** Server-sent events. What fails before the first is an answer with a status of its own. */
  private async stream(chunks: AsyncGenerator<unknown, void, undefined>): Promise<void> {
    const first = await chunks.next();
    this.response.writeHead(200, {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache",
      ...corsHeaders(this.request.headers.origin),
    });
    const keepAlive = setInterval(() => this.response.write(": still here\n\n"), KEEP_ALIVE_MS);
    try {
      if (!first.done) await this.event(JSON.stringify(first.value));
      for await (const chunk of chunks) await this.event(JSON.stringify(chunk));
      await this.event("[DONE]");
    } catch (error) {
      // The status has gone out: the error is an event, and there is no [DONE].
      const told = asHttpError(error);
      this.note(told, error);
      if (!this.gone.signal.aborted) await this.event(JSON.stringify(told.body));
    } finally {
      clearInterval(keepAlive);
      this.response.end();
    }
  }

  /** Waits for a client that reads slowly: what it has not read stays with the answer. */
  private async event(data: string): Promise<void> {
    if (this.gone.signal.aborted || this.response.write(`data: ${data}\n\n`)) return;
    const reads = this.unread();
    await once(this.response, "drain", { signal: this.gone.signal }).catch(() => {});
    reads();
  }

  private send(body: unknown, status = 200): void {
    this.write(status, "application/json; charset=utf-8", JSON.stringify(body));
  }

  private write(status: number, type: string, text: string): void {
    if (this.gone.signal.aborted) return;
    const headers = { "content-type": type, ...corsHeaders(this.request.headers.origin) };
    this.response.writeHead(status, headers).end(text);
  }

  private note(error: HttpError, thrown: unknown): void {
    this.code = error.code;
    this.metrics.failed(error.code);
    if (error.code !== "internal_error") return;
    const { failed, log = SILENT_LOG } = this.options;
    if (failed) failed(thrown);
    else
      log.error({ request: this.id, ...faultFields(thrown) }, "a fault of PicoSpec's own, please report it");
  }

  private async fail(thrown: unknown): Promise<void> {
    const error = asHttpError(thrown);
    this.note(error, thrown);
    if (this.response.headersSent || this.gone.signal.aborted) {
      this.response.end();
      return;
    }
    const retryAfter = retryAfterSeconds(error);
    if (retryAfter !== null) this.response.setHeader("retry-after", `${retryAfter}`);
    // One that comes in tiny pieces costs more to read than it is worth.
    if (error.code === "body_too_large") await discardRest(this.request, this.options.clock);
    // What is left of the body is not read.
    if (!this.request.complete) this.response.setHeader("connection", "close");
    const origin = error.code === "origin_not_allowed" ? undefined : this.request.headers.origin;
    const headers = { "content-type": "application/json; charset=utf-8", ...corsHeaders(origin) };
    this.response.writeHead(error.status, headers).end(JSON.stringify(error.body));
  }
}

/** @throws HttpError 400 */
function parsed(chunks: readonly Buffer[]): unknown {
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch (error) {
    throw new HttpError(400, "invalid_json", `the body is no JSON: ${messageOf(error)}`);
  }
}
