import { MOST_QUEUED_BYTES, type Transport, type TransportHandlers } from "./transport.ts";

/** What is used of a WebSocket: a browser's own, or the one of the `ws` package. */
export interface WebSocketLike {
  binaryType: string;
  readonly bufferedAmount: number;
  send(data: Uint8Array): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
  addEventListener(type: "close", listener: (event: { code: number; reason: string }) => void): void;
  addEventListener(type: "error", listener: (event: { message?: string }) => void): void;
}

/** What a server keeps an account of. */
export interface SocketWatch {
  /** a message has come to its end */
  whole(): void;
  /** something was sent */
  sent(): void;
  /** the peer has said hello */
  greet(): void;
}

/** Messages kept until a listener is set, which is at once: more than this is an attack. */
const MOST_EARLY_MESSAGES = 16;

/**
 * A transport over an open WebSocket. Text messages are refused: frames are binary.
 * @param watch is told what happens; default: no one is
 * @example
 * import { type Transport, type WebSocketLike, webSocketTransport } from "picospec";
 *
 * export function transportOf(socket: WebSocketLike): Transport {
 *   return webSocketTransport(socket);
 * }
 */
export function webSocketTransport(socket: WebSocketLike, watch: SocketWatch | null = null): Transport {
  socket.binaryType = "arraybuffer";
  const waiting: Uint8Array[] = [];
  let handlers: TransportHandlers | null = null;
  let closedBy: string | null = null;
  let ours = false;

  const lost = (reason: string) => {
    if (ours || closedBy !== null) return;
    closedBy = reason;
    handlers?.closed(reason);
  };
  socket.addEventListener("message", ({ data }) => {
    watch?.whole();
    // What comes after the end is of no use.
    if (ours || closedBy !== null) return;
    if (!(data instanceof ArrayBuffer)) {
      lost("the other side sent text; it does not speak PicoSpec");
      socket.close(1003, "binary frames only");
      return;
    }
    const bytes = new Uint8Array(data);
    if (handlers) handlers.message(bytes);
    else if (waiting.length < MOST_EARLY_MESSAGES) waiting.push(bytes);
    else {
      lost("the other side sends before it may");
      socket.close(1008, "too early");
    }
  });
  socket.addEventListener("error", ({ message }) => lost(message || "the connection failed"));
  socket.addEventListener("close", ({ code, reason }) => lost(closeReason(code, reason)));

  return {
    get queuedBytes() {
      return socket.bufferedAmount;
    },
    start(given) {
      handlers = given;
      for (const bytes of waiting.splice(0)) handlers.message(bytes);
      if (closedBy !== null) handlers.closed(closedBy);
    },
    send(bytes) {
      if (ours || closedBy !== null) return;
      socket.send(bytes);
      watch?.sent();
      if (socket.bufferedAmount > MOST_QUEUED_BYTES) {
        socket.close(1008, "reads too slowly");
        // Not from within this call: who sends is in the middle of something.
        queueMicrotask(() => lost("the other side reads too slowly"));
      }
    },
    greeted: () => watch?.greet(),
    close() {
      ours = true;
      socket.close(1000);
    },
  };
}

function closeReason(code: number, reason: string): string {
  if (reason) return reason;
  return code === 1000 || code === 1001
    ? "the other side closed the connection"
    : `the connection broke (code ${code})`;
}
