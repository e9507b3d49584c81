/** Passes of more rows are taken to cost what the line says. */
const MOST_ROWS = 64;
/** Weight of a new sample. */
const WEIGHT = 0.1;
/** Once a number of rows was seen so often, its time is believed. */
const ENOUGH = 3;
/** What was not seen in so many passes may no longer hold: it is tried again, lest a few slow ones keep it from being seen. */
const STALE_AFTER_PASSES = 60;

/**
 * What passes take by their rows, as it was seen. A line is not enough: with some kernels a second row costs as much as the first
 * and the next two hardly anything. Between numbers that were seen it is linear, and past them it goes on with the slope of
 * all passes.
 */
export class RowCurve {
  private readonly ms = new Float64Array(MOST_ROWS + 1);
  private readonly samples = new Int32Array(MOST_ROWS + 1);
  private readonly seenAt = new Int32Array(MOST_ROWS + 1);
  /** times of 0 to MOST_ROWS rows, never falling; not valid while `isOld` */
  private readonly times = new Float64Array(MOST_ROWS + 1);
  private isOld = true;
  private passes = 0;

  /** A pass that fed no prompt took so long. */
  add(rows: number, ms: number): void {
    this.passes++;
    this.isOld = true;
    if (rows < 1 || rows > MOST_ROWS) return;
    const isFirst = this.samples[rows] === 0 || this.isStale(rows);
    this.ms[rows] = isFirst ? ms : this.ms[rows]! + WEIGHT * (ms - this.ms[rows]!);
    this.samples[rows] = isFirst ? 1 : this.samples[rows]! + 1;
    this.seenAt[rows] = this.passes;
  }

  /**
   * Times of passes of 0, 1, 2 … rows but for a constant, ms, Float64Array[n]; never falling. Valid until the next pass.
   * @param msPerRow the slope of all passes
   */
  table(msPerRow: number): Float64Array {
    if (this.isOld) this.fill(msPerRow);
    return this.times;
  }

  private isStale(rows: number): boolean {
    return this.passes - this.seenAt[rows]! > STALE_AFTER_PASSES;
  }

  private fill(msPerRow: number): void {
    this.isOld = false;
    const { times } = this;
    let known = -1;
    for (let rows = 1; rows <= MOST_ROWS; rows++) {
      if (this.samples[rows]! < ENOUGH || this.isStale(rows)) continue;
      if (known < 0) for (let i = 0; i < rows; i++) times[i] = this.ms[rows]! - msPerRow * (rows - i);
      // Noise does not make more rows cheaper.
      times[rows] = known < 0 ? this.ms[rows]! : Math.max(times[known]!, this.ms[rows]!);
      for (let i = known + 1; known >= 0 && i < rows; i++) {
        times[i] = times[known]! + ((times[rows]! - times[known]!) * (i - known)) / (rows - known);
      }
      known = rows;
    }
    if (known < 0) times[0] = 0;
    for (let i = Math.max(0, known) + 1; i <= MOST_ROWS; i++) times[i] = times[i - 1]! + msPerRow;
  }
}

/**
 * What a pass of `rows` takes more than one of `before`, ms.
 * @param table of a curve; past its end, and where it is empty, it goes on with `msPerRow`
 */
export function extraRowsMs(table: Float64Array, msPerRow: number, before: number, rows: number): number {
  const last = Math.max(0, table.length - 1);
  const at = (count: number) =>
    count <= last ? table[count]! : (table[last] ?? 0) + msPerRow * (count - last);
  return at(rows) - at(before);
}
