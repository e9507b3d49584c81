const FADING = 0.98;
/** Row counts have to differ by this much (variance) before a slope is believed in full. */
const ENOUGH_VARIANCE = 1;

/**
 * What passes cost on this machine, learnt as they end: a + b * rows by least squares, in which older passes fade to
 * half of their weight over some 35. Without different row counts nothing is known of b, and it counts as 0.
 */
export class PassCost {
  private weight = 0;
  private rows = 0;
  private ms = 0;
  private rowsRows = 0;
  private rowsMs = 0;
  private recentMs = -1;

  /** Time of a pass, ms, the latest counting most; -1 before the first. */
  get passMs(): number {
    return this.recentMs;
  }

  /** What one more row costs, ms; never below 0. */
  get msPerRow(): number {
    if (this.weight === 0) return 0;
    const meanRows = this.rows / this.weight;
    const variance = this.rowsRows / this.weight - meanRows ** 2;
    const covariance = this.rowsMs / this.weight - meanRows * (this.ms / this.weight);
    return Math.max(0, covariance / (variance + ENOUGH_VARIANCE / this.weight));
  }

  /** @param decodesOnly no prompt was fed in it: such a pass says nothing of rows */
  add(rows: number, ms: number, decodesOnly: boolean): void {
    this.recentMs = this.recentMs < 0 ? ms : this.recentMs + 0.3 * (ms - this.recentMs);
    if (!decodesOnly) return;
    this.weight = FADING * this.weight + 1;
    this.rows = FADING * this.rows + rows;
    this.ms = FADING * this.ms + ms;
    this.rowsRows = FADING * this.rowsRows + rows * rows;
    this.rowsMs = FADING * this.rowsMs + rows * ms;
  }
}
