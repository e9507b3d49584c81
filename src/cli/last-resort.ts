import type { OpenLog } from "../ops/pino-log.ts";
import { faultFields, type Log } from "../util/log.ts";

/**
 * The last resort of a process that serves: what no handler caught is told, and costs no more than what it happened in.
 * A process that fails again and again has lost its state for good: it ends, for whatever started it to start it anew.
 */

interface LastResortOptions {
  /** gets where each fault was thrown, without its message: that may quote a prompt */
  readonly log: Pick<Log, "error">;
  readonly nowMs: () => number;
  /** ends the process with a failure */
  readonly end: () => void;
}

const FAULT = "a fault of PicoSpec's own, please report it";
const MOST_FAULTS = 50;
const WITHIN_MS = 60_000;

/** What hears of faults that no handler caught: it tells of each, and ends the process at too many in a minute. */
export function faultCounter({ log, nowMs, end }: LastResortOptions): (error: unknown) => void {
  let recent: number[] = [];
  let over = false;
  return (error) => {
    if (over) return;
    const at = nowMs();
    recent = [...recent.filter((atMs) => atMs > at - WITHIN_MS), at];
    log.error(faultFields(error), FAULT);
    if (recent.length < MOST_FAULTS) return;
    log.error({}, `${MOST_FAULTS} faults in ${WITHIN_MS / 1000} s: this process gives up`);
    over = true;
    end();
  };
}

/**
 * Catches what no handler in this process does, until it ends: a fault while it closes costs no more.
 * @returns what hears of faults that a handler has caught: those cost one session or connection, and do not count. Else a
 * peer that knows of one could end the process by bringing it about again and again.
 */
export function catchFaults(log: Pick<OpenLog, "error" | "finish">): (error: unknown) => void {
  const end = () => log.finish(() => process.exit(1));
  const uncaught = faultCounter({ log, nowMs: () => performance.now(), end });
  process.on("uncaughtException", uncaught);
  process.on("unhandledRejection", uncaught);
  return (error) => log.error(faultFields(error), FAULT);
}
