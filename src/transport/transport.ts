import { PicoSpecError } from "../util/errors.ts";

/** What a transport tells its owner. Neither is ever called from within `send`. */
export interface TransportHandlers {
  /** One whole message; the bytes belong to the receiver. */
  message(bytes: Uint8Array): void;
  /** The link is gone; nothing follows. `reason` is one line for a person. Not called after one's own close. */
  closed(reason: string): void;
}

/** An ordered, reliable pipe of binary messages. Its owner, the caller that got it, closes it. */
export interface Transport {
  /** Starts delivery. Messages that came before are kept until then. */
  start(handlers: TransportHandlers): void;
  /** Queues one message; the transport owns the bytes from here on. Does nothing once closed. */
  send(bytes: Uint8Array): void;
  /** Bytes that were sent and have not left yet: a peer that reads slowly makes this grow. */
  readonly queuedBytes: number;
  /** The peer has said who it is: from here on its messages may be as large as any. Not given: they always may. */
  greeted?(): void;
  /** What was sent before still goes out. */
  close(): void;
}

/** Most bytes of one message: a socket refuses a larger one before it has read it. */
export const MOST_MESSAGE_BYTES = 16 * 1024 * 1024;

/** Most bytes that may wait for a slow peer before the link is given up: two of the largest messages. */
export const MOST_QUEUED_BYTES = 2 * MOST_MESSAGE_BYTES;

/** The other side cannot be reached, or went away. */
export class ConnectionError extends PicoSpecError {
  override readonly name = "ConnectionError";
}
