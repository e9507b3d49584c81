import type { RemoteOpener } from "../../src/edge/opener.ts";
import { quantile } from "../models/fit.ts";

/** Summary of a series of timings, in the unit of the samples. */
export interface Timing {
  readonly median: number;
  readonly least: number;
  readonly most: number;
  readonly samples: number;
}

export function timing(samples: readonly number[]): Timing {
  const sorted = [...samples].sort((a, b) => a - b);
  return { median: quantile(sorted, 0.5), least: sorted[0]!, most: sorted.at(-1)!, samples: sorted.length };
}

/** Time of one call, ms. */
export function timeOf(work: () => void): number {
  const startMs = performance.now();
  work();
  return performance.now() - startMs;
}

/**
 * Splits time between named parts that call one another: each is charged for its own time only, not for that of
 * the parts it calls.
 */
export class Ledger {
  private readonly spentMs = new Map<string, number>();
  private readonly stack: string[] = [];
  private sinceMs = 0;

  /** Runs `work` on the account of `part`. */
  charge<T>(part: string, work: () => T): T {
    this.settle();
    this.stack.push(part);
    try {
      return work();
    } finally {
      this.settle();
      this.stack.pop();
    }
  }

  spent(part: string): number {
    return this.spentMs.get(part) ?? 0;
  }

  private settle(): void {
    const nowMs = performance.now();
    const part = this.stack.at(-1);
    if (part !== undefined) this.spentMs.set(part, this.spent(part) + nowMs - this.sinceMs);
    this.sinceMs = nowMs;
  }
}

/** Round trip of a ping over a real link, ms: see `Connection.ping`. */
export function roundTrip(client: RemoteOpener, paddingBytes: number, echo: boolean): Promise<number> {
  return new Promise((resolve, reject) =>
    client.ping(paddingBytes, echo, (error, ms) => (error ? reject(error) : resolve(ms))),
  );
}
