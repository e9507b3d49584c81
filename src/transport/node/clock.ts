import type { Clock } from "../../util/clock.ts";

/** setTimeout is good to about 1 ms; the last stretch is waited in turns of the event loop, good to 0.4 ms. */
const FINE_MS = 2;

/** Real, monotonic time. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  schedule(atMs, callback) {
    let timeout: NodeJS.Timeout | undefined;
    let immediate: NodeJS.Immediate | undefined;
    const wait = () => {
      const leftMs = atMs - performance.now();
      if (leftMs > FINE_MS) timeout = setTimeout(wait, Math.min(leftMs - FINE_MS, 2 ** 31 - 1));
      else if (leftMs > 0) immediate = setImmediate(wait);
      else callback();
    };
    const leftMs = atMs - performance.now();
    // Never within the call itself, also when the time has come already.
    if (leftMs > FINE_MS) timeout = setTimeout(wait, Math.min(leftMs - FINE_MS, 2 ** 31 - 1));
    else immediate = setImmediate(wait);
    return () => {
      clearTimeout(timeout);
      clearImmediate(immediate);
    };
  },
};
