import { createServer, type Server } from "node:http";
import { type WebSocket, WebSocketServer, default as WS } from "ws";
import { ConnectionError, MOST_MESSAGE_BYTES, type Transport } from "../transport.ts";
import { webSocketTransport } from "../websocket.ts";

const CONNECT_TIMEOUT_MS = 10_000;
const CLOSE_TIMEOUT_MS = 500;
/** A peer that answers no ping for two of these is gone. */
const HEARTBEAT_MS = 15_000;

/**
 * Connects to a cloud.
 * @param url ws:// or wss://
 * @throws ConnectionError `bad_url`, or `unreachable` with what to do about it
 * @example
 * import { connect } from "picospec";
 *
 * const transport = await connect("ws://127.0.0.1:4747");
 * transport.close();
 */
export function connect(url: string): Promise<Transport> {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    parsed = new URL("none:");
  }
  if (parsed.protocol !== "ws:" && parsed.protocol !== "wss:") {
    return Promise.reject(
      new ConnectionError("bad_url", `a cloud's address is ws://HOST:PORT or wss://…, not "${url}"`),
    );
  }
  // A fragment means nothing to a server, and the socket refuses it.
  parsed.hash = "";
  return new Promise((resolve, reject) => {
    const socket = new WS(parsed.href, {
      perMessageDeflate: false,
      maxPayload: MOST_MESSAGE_BYTES,
      handshakeTimeout: CONNECT_TIMEOUT_MS,
    });
    socket.once("error", (error) => {
      const message = `no cloud answers at ${url} (${error.message}); start one with: picospec cloud`;
      reject(new ConnectionError("unreachable", message, { cause: error }));
    });
    socket.once("open", () => {
      socket.removeAllListeners("error");
      resolve(webSocketTransport(socket));
    });
  });
}

export interface Listener {
  /** the port that was really taken: another than asked for when that was 0 */
  readonly port: number;
  close(): Promise<void>;
}

export interface ListenOptions {
  readonly host: string;
  /** 0: any free port */
  readonly port: number;
  readonly connected: (transport: Transport) => void;
}

/**
 * Accepts connections from edges. A handshake that carries an Origin header comes from a web page and is
 * refused: pages of strangers must not reach a server on the user's machine.
 * @throws ConnectionError `port_in_use`, `cannot_listen`
 * @example
 * import { listen } from "picospec";
 *
 * const connected = () => console.log("an edge has come");
 * const listener = await listen({ host: "127.0.0.1", port: 0, connected });
 * console.log(listener.port);
 */
export function listen({ host, port, connected }: ListenOptions): Promise<Listener> {
  const http = createServer((_, response) => {
    response.writeHead(426, { "content-type": "text/plain" }).end("PicoSpec cloud: WebSocket only\n");
  });
  const sockets = new WebSocketServer({
    server: http,
    perMessageDeflate: false,
    maxPayload: MOST_MESSAGE_BYTES,
    verifyClient: ({ req }, done) => {
      done(req.headers.origin === undefined, 403, "web pages may not connect");
    },
  });
  sockets.on("error", () => {}); // the server's own, which ws passes on: told below
  sockets.on("connection", (socket) => {
    socket.on("error", () => {}); // told to the owner by the transport's own listener
    connected(webSocketTransport(socket));
  });
  const stopHeartbeat = heartbeat(sockets);
  return new Promise((resolve, reject) => {
    http.once("error", (error: NodeJS.ErrnoException) => {
      stopHeartbeat();
      reject(listenError(error, host, port));
    });
    http.listen(port, host, () => {
      const address = http.address();
      const taken = typeof address === "object" && address ? address.port : port;
      resolve({ port: taken, close: () => shut(http, sockets, stopHeartbeat) });
    });
  });
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
function heartbeat(sockets: WebSocketServer): () => void {
  const silent = new WeakSet<WebSocket>();
  const timer = setInterval(() => {
    for (const socket of sockets.clients) {
      if (silent.has(socket)) socket.terminate();
      silent.add(socket);
      socket.once("pong", () => silent.delete(socket));
      socket.ping();
    }
  }, HEARTBEAT_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** What was sent still goes out; who does not let go in time is cut off. */
async function shut(http: Server, sockets: WebSocketServer, stopHeartbeat: () => void): Promise<void> {
  stopHeartbeat();
  sockets.close();
  const closed = new Promise<void>((resolve) => http.close(() => resolve()));
  for (const socket of sockets.clients) socket.close(1001);
  const cutOff = setTimeout(() => {
    for (const socket of sockets.clients) socket.terminate();
    http.closeAllConnections();
  }, CLOSE_TIMEOUT_MS);
  await closed;
  clearTimeout(cutOff);
}
