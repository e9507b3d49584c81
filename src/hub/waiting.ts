import type { Clock } from "../util/clock.ts";
import { HubError } from "./errors.ts";
import type { HubLimits } from "./settings.ts";

export function delay(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => clock.schedule(clock.nowMs() + ms, resolve));
}

/**
 * Tries again what a `HubError` says is worth it, later each time.
 * @param attempt tells whether it came further than the last one, so that a long transfer over a bad line ends
 */
export async function withRetries<T>(
  clock: Clock,
  limits: HubLimits,
  tries: number,
  attempt: (advanced: () => void) => Promise<T>,
): Promise<T> {
  for (let failed = 0; ; ) {
    let further = false;
    try {
      return await attempt(() => (further = true));
    } catch (error) {
      if (!(error instanceof HubError) || error.retry === null) throw error;
      failed = further ? 1 : failed + 1;
      const waitMs = error.retry.afterMs ?? limits.firstBackoffMs * 2 ** (failed - 1);
      if (failed >= tries || waitMs > limits.longestRetryMs) throw error;
      await delay(clock, waitMs);
    }
  }
}

/** Gives up on what is silent for too long. */
export interface Watchdog {
  /** something came: the time begins anew */
  feed(): void;
  stop(): void;
}

export function watchdog(clock: Clock, ms: number, giveUp: () => void): Watchdog {
  let cancel = clock.schedule(clock.nowMs() + ms, giveUp);
  return {
    feed() {
      cancel();
      cancel = clock.schedule(clock.nowMs() + ms, giveUp);
    },
    stop: () => cancel(),
  };
}
