import type { Clock } from "../util/clock.ts";
import { MOST_QUEUED_BYTES, type Transport, type TransportHandlers } from "./transport.ts";

/** One direction of an emulated link. */
export interface LinkProfile {
  /** one-way delay */
  readonly delayMs: number;
  /** up to this much more, drawn anew for every message; order is kept */
  readonly jitterMs: number;
  /** megabits a second; Infinity: no limit */
  readonly mbps: number;
  /** share of messages that are lost and sent again, as TCP does: all behind them wait */
  readonly loss?: number;
  /** what a loss costs */
  readonly lossDelayMs?: number;
}

/** What an emulated link adds on the way from edge to cloud (up) and back (down). */
export interface WanProfile {
  readonly up: LinkProfile;
  readonly down: LinkProfile;
}

/**
 * A symmetric link: half the round trip each way.
 * @example
 * import { symmetricWan } from "picospec";
 *
 * console.log(symmetricWan(60, 5, 20).up);
 */
export function symmetricWan(
  rttMs: number,
  jitterMs = 0,
  mbps: number = Number.POSITIVE_INFINITY,
): WanProfile {
  const link = { delayMs: rttMs / 2, jitterMs, mbps };
  return { up: link, down: link };
}

/** When messages of one direction arrive: they leave one after the other at the link's rate. */
export class DelayLine {
  queuedBytes = 0;
  private freeAtMs = 0;
  private lastArrivalMs = 0;
  private readonly profile: LinkProfile;
  private readonly clock: Clock;
  private readonly random: () => number;

  constructor(profile: LinkProfile, clock: Clock, random: () => number) {
    this.profile = profile;
    this.clock = clock;
    this.random = random;
  }

  carry(bytes: number, arrive: () => void): void {
    const { delayMs, jitterMs, mbps, loss = 0, lossDelayMs = 0 } = this.profile;
    this.freeAtMs = Math.max(this.freeAtMs, this.clock.nowMs()) + (bytes * 8) / (mbps * 1000);
    const jitter = jitterMs > 0 ? jitterMs * this.random() : 0;
    const lost = loss > 0 && this.random() < loss ? lossDelayMs : 0;
    const arrivalMs = this.freeAtMs + delayMs + jitter + lost;
    this.lastArrivalMs = Math.max(this.lastArrivalMs, arrivalMs);
    this.queuedBytes += bytes;
    this.clock.schedule(this.lastArrivalMs, () => {
      this.queuedBytes -= bytes;
      arrive();
    });
  }
}

class WanTransport implements Transport {
  private readonly inner: Transport;
  private readonly up: DelayLine;
  private readonly down: DelayLine;
  private open = true;
  private handlers: TransportHandlers | null = null;

  constructor(inner: Transport, up: DelayLine, down: DelayLine) {
    this.inner = inner;
    this.up = up;
    this.down = down;
  }

  get queuedBytes(): number {
    return this.up.queuedBytes + this.inner.queuedBytes;
  }

  start(handlers: TransportHandlers): void {
    this.handlers = handlers;
    this.inner.start({
      message: (bytes) => {
        if (this.down.queuedBytes + bytes.length > MOST_QUEUED_BYTES) return this.overflow(handlers);
        this.down.carry(bytes.length, () => this.open && handlers.message(bytes));
      },
      // Behind the messages that are still on their way, as a socket would.
      closed: (reason) => this.down.carry(0, () => this.open && handlers.closed(reason)),
    });
  }

  send(bytes: Uint8Array): void {
    if (!this.open || !this.handlers) return;
    if (this.up.queuedBytes + bytes.length > MOST_QUEUED_BYTES) {
      const { handlers } = this;
      this.up.carry(0, () => this.open && this.overflow(handlers));
    } else this.up.carry(bytes.length, () => this.inner.send(bytes));
  }

  close(): void {
    if (!this.open) return;
    this.open = false;
    this.up.carry(0, () => this.inner.close());
  }

  private overflow(handlers: TransportHandlers): void {
    this.open = false;
    this.inner.close();
    handlers.closed("the emulated link holds more than it may; raise its rate");
  }
}

/**
 * Emulates a wide-area network on top of any transport: one-way delay, jitter and a bandwidth limit, each
 * direction on its own, keeping order. Goes around the edge's end of the link.
 * @param random uniform draws in [0, 1) for the jitter
 * @example
 * import { connect, symmetricWan, systemClock, wan } from "picospec";
 *
 * const inner = await connect("ws://127.0.0.1:4747");
 * const transport = wan(inner, symmetricWan(60), systemClock, Math.random);
 * transport.close();
 */
export function wan(inner: Transport, profile: WanProfile, clock: Clock, random: () => number): Transport {
  return new WanTransport(
    inner,
    new DelayLine(profile.up, clock, random),
    new DelayLine(profile.down, clock, random),
  );
}
