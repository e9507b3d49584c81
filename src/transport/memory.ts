import type { Clock } from "../util/clock.ts";
import type { Transport, TransportHandlers } from "./transport.ts";

class MemoryTransport implements Transport {
  peer!: MemoryTransport;
  private handlers: TransportHandlers | null = null;
  private readonly waiting: Uint8Array[] = [];
  private open = true;
  private readonly clock: Clock;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  get queuedBytes(): number {
    return 0;
  }

  start(handlers: TransportHandlers): void {
    this.handlers = handlers;
    for (const bytes of this.waiting.splice(0)) handlers.message(bytes);
  }

  send(bytes: Uint8Array): void {
    if (!this.open) return;
    // Never at once: a handler that answers would run inside the sender's own turn.
    this.clock.schedule(this.clock.nowMs(), () => this.peer.receive(bytes));
  }

  close(): void {
    if (!this.open) return;
    this.open = false;
    this.clock.schedule(this.clock.nowMs(), () => this.peer.lost());
  }

  private receive(bytes: Uint8Array): void {
    if (!this.open) return;
    if (this.handlers) this.handlers.message(bytes);
    else this.waiting.push(bytes);
  }

  private lost(): void {
    if (!this.open) return;
    this.open = false;
    this.handlers?.closed("the other side closed the connection");
  }
}

/**
 * Two ends of a pipe within one process, without delay: messages arrive at the clock's next turn, in order.
 * @example
 * import { memoryPair, VirtualClock } from "picospec";
 *
 * const [here, there] = memoryPair(new VirtualClock());
 * here.send(Uint8Array.of(1));
 * there.close();
 */
export function memoryPair(clock: Clock): [Transport, Transport] {
  const [a, b] = [new MemoryTransport(clock), new MemoryTransport(clock)];
  a.peer = b;
  b.peer = a;
  return [a, b];
}
