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
import { type Caller, createApp, pathNames, routedPath } from "./app.ts";
import { BODY_JSON_LIMITS, type Body, BodyBudget } from "./body-budget.ts";
import { discardRest } from "./discard.ts";
import { HttpError } from "./errors.ts";
import { facesOf } from "./faces.ts";
import type { GuardOptions } from "./guard.ts";
import type { ResponseStore } from "./openai/responses/store.ts";
import { Status } from "./status.ts";

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
  /** where responses are kept; default: in memory */
  readonly responses?: ResponseStore;
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
  const { guard, software, notReady } = options;
  const exposition = async () => ({ type: EXPOSITION_TYPE, text: await metrics.text() });
  const faces = [
    ...facesOf({
      ...{ answers, freshId, clock, nowSeconds: () => Math.floor(Date.now() / 1000) },
      nowText: () => new Date().toISOString(),
      ...(options.responses ? { responses: options.responses } : {}),
    }),
    new Status({ answers, software, exposition }),
  ];
  const shared = {
    ...{ options, metrics, app: createApp({ faces, guard, notReady, log, clock }) },
    nameOf: pathNames(faces.flatMap(({ routes }) => routes)),
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

/** What a client may call its request: it comes back in a header, and is in lines of the log. */
const REQUEST_ID = /^[\w.:/+=@-]{1,128}$/;

/** What all exchanges of a server share. */
interface Shared {
  readonly options: HttpOptions;
  readonly app: ReturnType<typeof createApp>;
  /** what a path is called in logs and metrics */
  readonly nameOf: (path: string) => string;
  readonly metrics: EdgeMetrics;
  readonly bodies: BodyBudget;
  readonly connections: Connections;
}

/** One request and its response on a socket: what the endpoint answers is `createApp`'s. */
class Exchange implements Caller {
  readonly requestId: string;
  private readonly request: IncomingMessage;
  private readonly response: ServerResponse;
  private readonly shared: Shared;
  private readonly startedMs: number;
  private readonly path: string;
  private readonly left = new AbortController();
  /** it ended with; null: none */
  private error: HttpError | null = null;
  /** of the request's body, while it is answered */
  private held: Body | null = null;

  constructor(request: IncomingMessage, response: ServerResponse, shared: Shared) {
    this.request = request;
    this.response = response;
    this.shared = shared;
    const given = request.headers["x-request-id"];
    this.requestId = typeof given === "string" && REQUEST_ID.test(given) ? given : freshId();
    this.startedMs = shared.options.clock.nowMs();
    response.setHeader("x-request-id", this.requestId);
    this.path = shared.nameOf(routedPath(request.url ?? "/"));
    response.on("close", () => this.left.abort());
    // A socket that breaks in the middle is a client that has gone.
    for (const side of [request, response]) side.on("error", () => this.left.abort());
  }

  get gone(): AbortSignal {
    return this.left.signal;
  }

  async run(): Promise<void> {
    const { app, bodies, connections, metrics } = this.shared;
    const { socket } = this.request;
    try {
      await this.write(await app.fetch(requestOf(this.request), this));
    } finally {
      if (this.held) {
        bodies.release(this.held);
        connections.rest(socket);
      }
    }
    metrics.request(this.path, this.response.statusCode);
    this.tell();
    if (!this.response.writableFinished && !this.gone.aborted) this.unread();
  }

  async body(): Promise<unknown> {
    const { bodies, connections } = this.shared;
    const reading = bodies.begin(Number(this.request.headers["content-length"]), (error) =>
      this.request.emit("refused", error),
    );
    const pieces = await this.pieces(reading).finally(() => bodies.end(reading));
    bodies.hold(reading);
    this.held = reading;
    connections.busy(this.request.socket);
    return parsed(pieces);
  }

  failed(error: HttpError, thrown: unknown): void {
    this.error = error;
    this.shared.metrics.failed(error.code);
    if (error.code !== "internal_error") return;
    const { failed, log = SILENT_LOG } = this.shared.options;
    if (failed) failed(thrown);
    else {
      const fields = { request: this.requestId, ...faultFields(thrown) };
      log.error(fields, "a fault of PicoSpec's own, please report it");
    }
  }

  /** A line of the log: what was asked where, and never what. */
  private tell(): void {
    const { log = SILENT_LOG, clock } = this.shared.options;
    const ms = Math.round(clock.nowMs() - this.startedMs);
    const { error, requestId: request, path } = this;
    const status = this.response.statusCode;
    const fields = { request, path, status, ...(error === null ? {} : { code: error.code }), ms };
    if (error !== null) log.warn(fields, "request failed");
    else if (path.startsWith("/v1/") || path.startsWith("/api/")) log.info(fields, "request");
    else log.debug(fields, "request");
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

  /** The body in pieces, which are counted as they come. @throws HttpError 413, 503 */
  private pieces(body: ReturnType<BodyBudget["begin"]>): Promise<Buffer[]> {
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

  private async write(answer: Response): Promise<void> {
    const { request, response, error } = this;
    if (error !== null && !this.gone.aborted) {
      // One that comes in tiny pieces costs more to read than it is worth.
      if (error.code === "body_too_large") await discardRest(request, this.shared.options.clock);
      // What is left of the body is not read.
      if (!request.complete) response.setHeader("connection", "close");
    }
    if (this.gone.aborted) {
      await answer.body?.cancel();
      response.end();
      return;
    }
    response.statusCode = answer.status;
    for (const [name, value] of answer.headers)
      if (!OF_CONNECTIONS.has(name)) response.setHeader(name, value);
    const streams = STREAMS.test(answer.headers.get("content-type") ?? "");
    if (answer.body && streams) await this.stream(answer.body);
    else response.end(Buffer.from(await answer.arrayBuffer()));
  }

  /** Waits for a client that reads slowly: what it has not read stays with the answer. */
  private async stream(body: ReadableStream<Uint8Array>): Promise<void> {
    const { response, gone } = this;
    response.flushHeaders();
    const reader = body.getReader();
    const cancel = () => void reader.cancel();
    gone.addEventListener("abort", cancel);
    try {
      for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
        if (gone.aborted || response.write(piece.value)) continue;
        const reads = this.unread();
        await once(response, "drain", { signal: gone }).catch(() => {});
        reads();
      }
    } finally {
      gone.removeEventListener("abort", cancel);
      response.end();
    }
  }
}

/** Bodies that are sent as they come. */
const STREAMS = /^(?:text\/event-stream|application\/x-ndjson)/;
/** Headers that are this connection's own, which Node sets. */
const OF_CONNECTIONS = new Set(["connection", "transfer-encoding"]);

/** A request's head: its body is read apart, within bounds. */
function requestOf({ method = "GET", url = "/", headers }: IncomingMessage): Request {
  const lines = Object.entries(headers).map(([name, value]): [string, string] => [name, String(value)]);
  // `Request` knows no TRACE; nothing here takes it, by whatever name.
  const known = method === "TRACE" ? "X-TRACE" : method;
  return new Request(`http://localhost${url.startsWith("/") ? url : "/"}`, { method: known, headers: lines });
}

/** @throws HttpError 400 */
function parsed(chunks: readonly Buffer[]): unknown {
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch (error) {
    throw new HttpError(400, "invalid_json", `the body is no JSON: ${messageOf(error)}`);
  }
}
