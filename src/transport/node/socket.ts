import { createServer, type IncomingMessage, type Server, STATUS_CODES } from "node:http";
import { createServer as createSecureServer, Server as SecureServer } from "node:https";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { ConnectionError, MOST_MESSAGE_BYTES, type Transport } from "../transport.ts";
import { webSocketTransport } from "../websocket.ts";
import { inTurns } from "./in-turns.ts";
import { type SlicedSocket, serveInSlices } from "./sliced-socket.ts";
import { keyOfProtocols, SUBPROTOCOL } from "./subprotocol.ts";
import { type Flow, Traffic } from "./traffic.ts";

const CLOSE_TIMEOUT_MS = 500;
/** A peer that answers no ping for two of these is gone. */
const HEARTBEAT_MS = 15_000;
/** A handshake takes at most so long, TLS included. */
const HANDSHAKE_TIMEOUT_MS = 10_000;
/** How often handshakes are looked after. */
const HANDSHAKE_CHECK_MS = 2000;
/** Who was told that its connection is over has so long to let go. */
const LET_GO_MS = 2000;
/** Frames of one message, and pieces of one frame: the parser holds an object for each. */
const MOST_FRAGMENTS = 1024;
const MOST_PIECES = 16 * 1024;

/** What a client says of itself before it may connect. */
export interface Handshake {
  /** from `Authorization: Bearer`, or a browser's subprotocol; null: it brings none */
  readonly key: string | null;
  /** of the web page that asks; null: no web page does */
  readonly origin: string | null;
}

/** Why a client may not connect: an HTTP answer, with the code and the message in JSON. */
export interface HandshakeRefusal {
  readonly status: 401 | 403 | 429 | 503;
  readonly code: string;
  readonly message: string;
}

/** PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export interface Listener {
  /** the port that was really taken: another than asked for when that was 0 */
  readonly port: number;
  /** For connections from here on. @throws Error for what is no certificate, or not the key's */
  useCertificate(certificate: Certificate): void;
  /** Takes no further connections: their port is free. Those that are there go on. */
  stopListening(): void;
  close(): Promise<void>;
}

export interface ListenOptions<Admitted> {
  readonly host: string;
  /** 0: any free port */
  readonly port: number;
  /** TLS; default: plain */
  readonly certificate?: Certificate;
  /**
   * Who may connect, and as whom. Default: everybody but web pages, as null: a page of strangers must not reach a server
   * on the user's machine.
   */
  readonly admit?: (handshake: Handshake) => { readonly admitted: Admitted } | HandshakeRefusal;
  readonly connected: (transport: Transport, admitted: Admitted | null) => void;
}

const NO_WEB_PAGES: HandshakeRefusal = {
  status: 403,
  code: "origin_not_allowed",
  message: "web pages may not connect",
};

/**
 * Accepts connections from edges, over TLS where a certificate is given.
 * @throws ConnectionError `port_in_use`, `cannot_listen`, `bad_certificate`
 * @example
 * import { listen } from "picospec";
 *
 * const connected = () => console.log("an edge has come");
 * const listener = await listen({ host: "127.0.0.1", port: 0, connected });
 * console.log(listener.port);
 */
export async function listen<Admitted = null>(options: ListenOptions<Admitted>): Promise<Listener> {
  const { host, port } = options;
  const http = serverFor(options.certificate);
  const sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: MOST_MESSAGE_BYTES,
    maxFragments: MOST_FRAGMENTS,
    maxBufferedChunks: MOST_PIECES,
    // All messages of a slice at once: how many of them are handled in a turn is for `inTurns`.
    allowSynchronousEvents: true,
    // Not in the package's types yet.
    ...({ closeTimeout: LET_GO_MS } as object),
    handleProtocols: (offered) => offered.has(SUBPROTOCOL) && SUBPROTOCOL,
  });
  const traffic = new Traffic();
  const flows = new WeakMap<WebSocket, Flow>();
  const event = http instanceof SecureServer ? "secureConnection" : "connection";
  serveInSlices(http, event, (socket) => traffic.opened(socket));
  // All connections are sliced.
  http.on("upgrade", (request: IncomingMessage, socket: SlicedSocket, head: Buffer) => {
    upgrade(sockets, options, request, socket, head, (webSocket) => {
      const flow = traffic.upgraded(socket, webSocket);
      flows.set(webSocket, flow);
      socket.on("data", (piece: Buffer) => flow.piece(piece.length));
      return flow;
    });
  });
  const stopHeartbeat = heartbeat(sockets, flows);
  const ended = new Promise<void>((resolve) => void http.once("close", () => resolve()));
  return new Promise((resolve, reject) => {
    http.once("error", (error: NodeJS.ErrnoException) => {
      stopHeartbeat();
      reject(listenError(error, host, port));
    });
    http.listen(port, host, () => {
      const address = http.address();
      const taken = typeof address === "object" && address ? address.port : port;
      resolve({
        port: taken,
        useCertificate: (certificate) => {
          if (http instanceof SecureServer) http.setSecureContext({ ...certificate });
        },
        stopListening: () => {
          if (http.listening) http.close();
        },
        close: () => shut(http, sockets, stopHeartbeat, ended),
      });
    });
  });
}

/** @throws ConnectionError `bad_certificate` */
function serverFor(certificate: Certificate | undefined): Server {
  const answer: Parameters<typeof createServer>[1] = (_, response) => {
    response.writeHead(426, { "content-type": "text/plain" }).end("PicoSpec cloud: WebSocket only\n");
  };
  const timeouts = {
    requestTimeout: HANDSHAKE_TIMEOUT_MS,
    headersTimeout: HANDSHAKE_TIMEOUT_MS,
    connectionsCheckingInterval: HANDSHAKE_CHECK_MS,
  };
  if (!certificate) return createServer(timeouts, answer);
  try {
    const secure = { ...certificate, ...timeouts, handshakeTimeout: HANDSHAKE_TIMEOUT_MS };
    return createSecureServer(secure, answer);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `the certificate and its key do not serve TLS (${reason}); give both as PEM files of one pair`;
    throw new ConnectionError("bad_certificate", message, { cause });
  }
}

function upgrade<Admitted>(
  sockets: WebSocketServer,
  { admit, connected }: ListenOptions<Admitted>,
  request: IncomingMessage,
  socket: SlicedSocket,
  head: Buffer,
  flowOf: (webSocket: WebSocket) => Flow,
): void {
  // A peer that resets its socket in the middle of the handshake.
  socket.on("error", () => socket.destroy());
  const handshake = handshakeOf(request);
  const page = handshake.origin === null ? null : NO_WEB_PAGES;
  const decision = admit ? admit(handshake) : (page ?? { admitted: null });
  if ("status" in decision) {
    refuse(socket, decision);
    return;
  }
  sockets.handleUpgrade(request, socket, head, (webSocket) => {
    sockets.emit("connection", webSocket, request);
    webSocket.on("error", () => {}); // told to the owner by the transport's own listener
    connected(inTurns(webSocketTransport(webSocket, flowOf(webSocket)), socket), decision.admitted);
  });
}

function handshakeOf({ headers }: IncomingMessage): Handshake {
  const bearer = /^Bearer +(\S+) *$/i.exec(headers.authorization ?? "")?.[1] ?? null;
  const key = bearer ?? keyOfProtocols(headers["sec-websocket-protocol"]);
  return { key, origin: headers.origin ?? null };
}

function refuse(socket: Duplex, { status, code, message }: HandshakeRefusal): void {
  const body = JSON.stringify({ error: { code, message } });
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    "content-type: application/json; charset=utf-8",
    `content-length: ${Buffer.byteLength(body)}`,
    ...(status === 401 ? ["www-authenticate: Bearer"] : []),
    "connection: close",
  ];
  socket.end(`${lines.join("\r\n")}\r\n\r\n${body}`);
}

function listenError(error: NodeJS.ErrnoException, host: string, port: number): ConnectionError {
  if (error.code === "EADDRINUSE") {
    const message = `port ${port} on ${host} is taken; choose another with --port, or 0 for any free one`;
    return new ConnectionError("port_in_use", message, { cause: error });
  }
  const message = `cannot listen on ${host}:${port}: ${error.message}`;
  return new ConnectionError("cannot_listen", message, { cause: error });
}

/** Ends connections whose other side vanished without a word. */
function heartbeat(sockets: WebSocketServer, flows: WeakMap<WebSocket, Flow>): () => void {
  const silent = new WeakSet<WebSocket>();
  const timer = setInterval(() => {
    for (const socket of sockets.clients) {
      const flow = flows.get(socket);
      // It is not read from until it reads, so that no pong of it is heard.
      if (flow?.deaf ? flow.stuck : silent.has(socket)) socket.terminate();
      silent.add(socket);
      socket.once("pong", () => silent.delete(socket));
      socket.ping();
    }
  }, HEARTBEAT_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** What was sent still goes out; who does not let go in time is cut off. */
async function shut(
  http: Server,
  sockets: WebSocketServer,
  stopHeartbeat: () => void,
  ended: Promise<void>,
): Promise<void> {
  stopHeartbeat();
  sockets.close();
  if (http.listening) http.close();
  for (const socket of sockets.clients) socket.close(1001);
  const cutOff = setTimeout(() => {
    for (const socket of sockets.clients) socket.terminate();
    http.closeAllConnections();
  }, CLOSE_TIMEOUT_MS);
  await ended;
  clearTimeout(cutOff);
}
