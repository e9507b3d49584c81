import type { Transport } from "../transport/transport.ts";
import { messageOf } from "../util/errors.ts";
import { decode } from "./decode.ts";
import { encode } from "./encode.ts";
import { ProtocolError } from "./errors.ts";
import type { Frame } from "./frame.ts";

// The paper's Zero-Copy Communicator: frames whose numbers are read as views of the received buffer (`decode`), and
// written once into the buffer that is sent (`encode`).

/** What a link tells its owner. None of it is called from within `send`. */
export interface FrameHandlers {
  /** @param payloadBytes what the frame takes on the wire, without WebSocket framing */
  frame(frame: Frame, payloadBytes: number): void;
  /** The peer sent what is no frame. */
  garbage(error: ProtocolError): void;
  /** The link is gone; nothing follows. Not called after one's own close. */
  closed(reason: string): void;
}

/** Frames both ways, in order: a transport with the codec, or a simulated network without. */
export interface FrameLink {
  start(handlers: FrameHandlers): void;
  /** @returns payload bytes of the frame */
  send(frame: Frame): number;
  /** The peer's hello was accepted. */
  greeted?(): void;
  /** What was sent before still goes out. */
  close(): void;
}

/**
 * A transport as a link; closing it closes the transport.
 * @example
 * import { memoryPair, systemClock, wireLink } from "picospec";
 *
 * const [transport] = memoryPair(systemClock);
 * const link = wireLink(transport);
 * link.close();
 */
export function wireLink(transport: Transport): FrameLink {
  return {
    start: (handlers) =>
      transport.start({
        message(bytes) {
          let frame: Frame;
          try {
            frame = decode(bytes);
          } catch (error) {
            const isOurs = error instanceof ProtocolError;
            handlers.garbage(isOurs ? error : new ProtocolError("bad_frame", messageOf(error)));
            return;
          }
          handlers.frame(frame, bytes.length);
        },
        closed: (reason) => handlers.closed(reason),
      }),
    send(frame) {
      const bytes = encode(frame);
      transport.send(bytes);
      return bytes.length;
    },
    greeted: () => transport.greeted?.(),
    close: () => transport.close(),
  };
}
