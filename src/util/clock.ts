/** Takes back a scheduled call; does nothing when it has run already. */
export type CancelTimer = () => void;

/**
 * Where time comes from. The real one is in transport/node; tests and the simulator have a virtual one, under
 * which the whole system runs without waiting.
 */
export interface Clock {
  /** Monotonic time in milliseconds, with fractions. The origin means nothing. */
  nowMs(): number;
  /** Runs `callback` once at `atMs` or as soon after as can be; at the next turn if that has passed. */
  schedule(atMs: number, callback: () => void): CancelTimer;
}
