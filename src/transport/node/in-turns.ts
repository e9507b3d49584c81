import type { Transport, TransportHandlers } from "../transport.ts";

/** Messages of one connection that are handled in one turn of the event loop: until they have taken so long. */
const MOST_MS = 5;

/** What can be kept from giving more messages. */
export interface Holdable {
  hold(): void;
  release(): void;
}

/**
 * A transport whose messages do not hold others up: a slice may have hundreds of them, and each may cost up to some 50 ms (a
 * session with a grammar). What is over waits for the next turn, and until then no more is read of the peer.
 * @param socket that the messages come from
 */
export function inTurns(transport: Transport, socket: Holdable): Transport {
  const waiting: (() => void)[] = [];
  /** in this turn */
  let spentMs = 0;
  let isPlanned = false;

  const run = (act: () => void) => {
    const startMs = performance.now();
    try {
      act();
    } finally {
      spentMs += performance.now() - startMs;
    }
  };
  const nextTurn = () => {
    isPlanned = false;
    spentMs = 0;
    if (waiting.length === 0) return;
    try {
      while (waiting.length > 0 && spentMs < MOST_MS) run(waiting.shift()!);
    } finally {
      if (waiting.length > 0) plan();
      else socket.release();
    }
  };
  const plan = () => {
    if (isPlanned) return;
    isPlanned = true;
    setImmediate(nextTurn);
  };
  const take = (act: () => void) => {
    plan();
    if (waiting.length === 0 && spentMs < MOST_MS) run(act);
    else {
      waiting.push(act);
      socket.hold();
    }
  };
  return {
    get queuedBytes() {
      return transport.queuedBytes;
    },
    start: ({ message, closed }: TransportHandlers) =>
      transport.start({
        message: (bytes) => take(() => message(bytes)),
        // Behind what came before it.
        closed: (reason) => (waiting.length > 0 ? waiting.push(() => closed(reason)) : closed(reason)),
      }),
    send: (bytes) => transport.send(bytes),
    close() {
      waiting.length = 0;
      transport.close();
    },
    ...(transport.greeted ? { greeted: () => transport.greeted!() } : {}),
  };
}
