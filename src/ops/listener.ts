import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, isIP } from "node:net";
import { messageOf, PicoSpecError } from "../util/errors.ts";
import { EXPOSITION_TYPE } from "./registry.ts";

/** A port for who looks after a server: /healthz, /readyz and /metrics, apart from what it serves. */

const LISTENER_LIMITS = {
  connections: 64,
  requestMs: 10_000,
  headerBytes: 8 * 1024,
} as const;

export interface ListenerOptions {
  readonly host: string;
  /** 0: any free one */
  readonly port: number;
  /** why it cannot serve now; null: it can */
  readonly notReady: () => string | null;
  /** in Prometheus' format */
  readonly metrics: () => Promise<string>;
}

export interface OpsListener {
  readonly url: string;
  readonly port: number;
  close(): Promise<void>;
}

/** @throws PicoSpecError `cannot_listen` */
export async function listenForOps(options: ListenerOptions): Promise<OpsListener> {
  const { host, port } = options;
  const server = createServer({ maxHeaderSize: LISTENER_LIMITS.headerBytes }, (request, response) => {
    void answer(request, response, options).catch(() => response.destroy());
  });
  server.maxConnections = LISTENER_LIMITS.connections;
  server.requestTimeout = LISTENER_LIMITS.requestMs;
  server.headersTimeout = LISTENER_LIMITS.requestMs;
  server.listen(port, host);
  try {
    await once(server, "listening");
  } catch (cause) {
    const message = `cannot listen on ${host}:${port} for metrics: ${messageOf(cause)}; choose another --metrics-port`;
    throw new PicoSpecError("cannot_listen", message, { cause });
  }
  const { port: taken } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${taken}`,
    port: taken,
    async close() {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { host, notReady, metrics }: ListenerOptions,
): Promise<void> {
  const say = (status: number, text: string, type = "text/plain") =>
    response.writeHead(status, { "content-type": type }).end(text);
  const path = (request.url ?? "/").split("?")[0];
  if (request.headers.origin !== undefined || !goesBy(request.headers.host, host)) {
    say(403, "web pages may not ask here\n");
  } else if (request.method !== "GET" && request.method !== "HEAD") {
    response.setHeader("allow", "GET");
    say(405, "this takes GET\n");
  } else if (path === "/healthz") say(200, "ok\n");
  else if (path === "/readyz") {
    const problem = notReady();
    say(problem === null ? 200 : 503, `${problem ?? "ok"}\n`);
  } else if (path === "/metrics") say(200, await metrics(), EXPOSITION_TYPE);
  else say(404, "there are /healthz, /readyz and /metrics\n");
}

/**
 * Against DNS rebinding, where a web page's own name leads here and its requests have no Origin header: on the loopback
 * interface a name has to be localhost. An address is no name, and who listens to a network may go by any.
 */
function goesBy(header: string | undefined, listensOn: string): boolean {
  const name = header?.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1") ?? "";
  const loopback = /^(?:localhost|127\.|::1$)/i.test(listensOn);
  return !loopback || name.toLowerCase() === "localhost" || isIP(name) !== 0;
}
