import { RowCurve } from "./row-curve.ts";

const FADING = 0.98;
/** Row counts have to differ by this much (variance) before a slope is believed in full. */
const ENOUGH_VARIANCE = 1;
/** A pass takes at least this share of its mean whatever is in it. */
const LEAST_BASE = 0.1;
/** What a pass takes before its rows is believed for so many passes that feed prompts. */
const STALE_AFTER_PASSES = 50;

/**
 * What passes cost on this machine, learnt as they end: a + b * rows by least squares, in which older passes fade to
 * half of their weight over some 35; `byRowsMs` says more exactly what was seen. Without different row counts nothing is known of b, and it counts as 0. What a pass
 * that feeds prompts takes beyond that is what their tokens cost.
 */
export class PassCost {
  private weight = 0;
  private rows = 0;
  private ms = 0;
  private rowsRows = 0;
  private rowsMs = 0;
  private recentMs = -1;
  private promptTokens = 0;
  private promptMs = 0;
  private sinceDecodesOnly = 0;
  private readonly curve = new RowCurve();

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

  /** Times of passes by their rows, as far as such were seen: see `RowCurve.table`. */
  get byRowsMs(): Float64Array {
    return this.curve.table(this.msPerRow);
  }

  /** What a pass takes before its rows and prompt tokens, ms; -1 before the first that decodes only. */
  get baseMs(): number {
    if (this.weight === 0) return -1;
    const meanMs = this.ms / this.weight;
    return Math.max(LEAST_BASE * meanMs, meanMs - (this.msPerRow * this.rows) / this.weight);
  }

  /** What one more token of a prompt costs, ms, never below 0; before the first it counts as a row. */
  get msPerPromptToken(): number {
    return this.promptTokens === 0 ? this.msPerRow : this.promptMs / this.promptTokens;
  }

  /** Only a pass without prompts can tell what one takes before them, and there has been none for long. */
  get isStale(): boolean {
    return this.weight === 0 || this.sinceDecodesOnly >= STALE_AFTER_PASSES;
  }

  /** @param promptTokens that were fed without a row; with any, a pass says nothing of rows */
  add(rows: number, ms: number, promptTokens: number): void {
    this.recentMs = this.recentMs < 0 ? ms : this.recentMs + 0.3 * (ms - this.recentMs);
    if (promptTokens > 0) {
      this.sinceDecodesOnly++;
      if (this.weight === 0) return;
      this.promptTokens = FADING * this.promptTokens + promptTokens;
      this.promptMs = FADING * this.promptMs + Math.max(0, ms - this.baseMs - this.msPerRow * rows);
      return;
    }
    this.sinceDecodesOnly = 0;
    this.curve.add(rows, ms);
    this.weight = FADING * this.weight + 1;
    this.rows = FADING * this.rows + rows;
    this.ms = FADING * this.ms + ms;
    this.rowsRows = FADING * this.rowsRows + rows * rows;
    this.rowsMs = FADING * this.rowsMs + rows * ms;
  }
}
