import type { CancelTimer, Clock } from "../../src/util/clock.ts";
import type { VirtualClock } from "../../src/util/virtual-clock.ts";

/**
 * Lets pass what comes, in order; while it is shut everything waits. What waited comes out one thing a turn of
 * the clock, so that the system can be looked at after each.
 */
export class Gate {
  private readonly clock: VirtualClock;
  private readonly waiting: (() => void)[] = [];
  private shutUntilMs = Number.NEGATIVE_INFINITY;
  private draining = false;

  constructor(clock: VirtualClock) {
    this.clock = clock;
  }

  pass(callback: () => void): void {
    if (this.clock.nowMs() >= this.shutUntilMs && this.waiting.length === 0) callback();
    else {
      this.waiting.push(callback);
      this.drainLater();
    }
  }

  shut(forMs: number): void {
    this.shutUntilMs = Math.max(this.shutUntilMs, this.clock.nowMs() + forMs);
  }

  private drainLater(): void {
    if (this.draining) return;
    this.draining = true;
    this.clock.schedule(this.shutUntilMs, () => {
      this.draining = false;
      if (this.clock.nowMs() >= this.shutUntilMs) this.waiting.shift()?.();
      if (this.waiting.length > 0) this.drainLater();
    });
  }
}

/** A process: its timers, and all that it hears, wait while it is stalled, and are lost once it is dead. */
export class Process implements Clock {
  dead = false;
  private readonly clock: VirtualClock;
  private readonly gate: Gate;
  private readonly touched: () => void;

  /** @param touched it does something now */
  constructor(clock: VirtualClock, touched: () => void) {
    this.clock = clock;
    this.gate = new Gate(clock);
    this.touched = touched;
  }

  nowMs(): number {
    return this.clock.nowMs();
  }

  schedule(atMs: number, callback: () => void): CancelTimer {
    let wanted = true;
    const cancel = this.clock.schedule(atMs, () => this.run(() => wanted && callback()));
    return () => {
      wanted = false;
      cancel();
    };
  }

  run(callback: () => void): void {
    if (this.dead) return;
    this.gate.pass(() => {
      if (this.dead) return;
      this.touched();
      callback();
    });
  }

  stall(forMs: number): void {
    this.gate.shut(forMs);
  }

  kill(): void {
    this.dead = true;
  }
}
