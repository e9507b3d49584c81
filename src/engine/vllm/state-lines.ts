import type { CancelTimer, Clock } from "../../util/clock.ts";

/** So many lines in so much time, ms. */
const USUAL_BOUND = { lines: 4, perMs: 60_000 } as const;

/**
 * Lines on the state of what may come and go: each change at once, up to the bound; then the state that lasts, when the
 * bound allows it.
 */
export class StateLines {
  private readonly clock: Clock;
  private readonly told: (line: string) => void;
  private readonly bound: { readonly lines: number; readonly perMs: number };
  /** when the last lines were told, oldest first, `bound.lines` of them at most */
  private readonly toldAtMs: number[] = [];
  private state = "";
  private lastTold = "";
  private cancelTimer: CancelTimer | null = null;

  constructor(clock: Clock, told: (line: string) => void, bound = USUAL_BOUND) {
    this.clock = clock;
    this.told = told;
    this.bound = bound;
  }

  tell(line: string): void {
    this.state = line;
    if (this.cancelTimer === null) this.flush();
  }

  close(): void {
    this.cancelTimer?.();
  }

  private flush(): void {
    this.cancelTimer = null;
    if (this.state === this.lastTold) return;
    const { lines, perMs } = this.bound;
    const nowMs = this.clock.nowMs();
    const freeAtMs = this.toldAtMs.length < lines ? nowMs : this.toldAtMs[0]! + perMs;
    if (freeAtMs > nowMs) {
      this.cancelTimer = this.clock.schedule(freeAtMs, () => this.flush());
      return;
    }
    this.toldAtMs.push(nowMs);
    if (this.toldAtMs.length > lines) this.toldAtMs.shift();
    this.lastTold = this.state;
    this.told(this.state);
  }
}
