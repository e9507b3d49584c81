/**
 * Tokens that a key may use: a bucket that fills at the key's rate and holds a minute's worth. What is used may take it
 * below zero, since how long an answer gets is not known when it begins; then nothing new begins until it is above again.
 */
export class Allowance {
  private readonly perMinute: number;
  private level: number;
  private atMs: number;

  /** @param perMinute tokens; Infinity: no bound */
  constructor(perMinute: number, nowMs: number, before?: Allowance) {
    this.perMinute = perMinute;
    this.atMs = nowMs;
    this.level = before ? Math.min(perMinute, before.levelAt(nowMs)) : perMinute;
  }

  /** So many tokens were used. */
  use(tokens: number, nowMs: number): void {
    if (!Number.isFinite(this.perMinute)) return;
    this.level = this.levelAt(nowMs) - tokens;
    this.atMs = nowMs;
  }

  /** When something new may begin, ms from now; 0: at once. */
  waitMs(nowMs: number): number {
    const level = this.levelAt(nowMs);
    return level > 0 ? 0 : Math.ceil(((1 - level) * 60_000) / this.perMinute);
  }

  private levelAt(nowMs: number): number {
    if (!Number.isFinite(this.perMinute)) return this.perMinute;
    return Math.min(this.perMinute, this.level + ((nowMs - this.atMs) * this.perMinute) / 60_000);
  }
}
