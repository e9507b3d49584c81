import { messageOf } from "../util/errors.ts";

/**
 * The last resort of a process that serves: what no handler caught is told, and costs no more than what it happened in.
 * A process that fails again and again has lost its state for good: it ends, for whatever started it to start it anew.
 */

export interface LastResortOptions {
  /** a line for the operator */
  readonly say: (line: string) => void;
  readonly nowMs: () => number;
  /** ends the process with a failure */
  readonly end: () => void;
}

const MOST_FAULTS = 50;
const WITHIN_MS = 60_000;

/** What hears of faults: it tells of each, and ends the process at too many in a minute. */
export function faultCounter({ say, nowMs, end }: LastResortOptions): (error: unknown) => void {
  let recent: number[] = [];
  return (error) => {
    const at = nowMs();
    recent = [...recent.filter((atMs) => atMs > at - WITHIN_MS), at];
    const where = error instanceof Error ? (error.stack ?? error.message) : messageOf(error);
    say(`a fault of PicoSpec's own, please report it: ${where}`);
    if (recent.length < MOST_FAULTS) return;
    say(`${MOST_FAULTS} faults in ${WITHIN_MS / 1000} s: this process gives up`);
    end();
  };
}

/** Installs it for what no handler in this process catches. @returns what removes it */
export function catchFaults(fault: (error: unknown) => void): () => void {
  process.on("uncaughtException", fault);
  process.on("unhandledRejection", fault);
  return () => {
    process.removeListener("uncaughtException", fault);
    process.removeListener("unhandledRejection", fault);
  };
}
