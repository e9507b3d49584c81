/** What charts are made of: data and options. */

export interface Series {
  readonly name: string;
  readonly points: readonly Point[];
}

/** `low` and `high` are the ends of an interval around y, such as a confidence interval. */
export interface Point {
  readonly x: number;
  readonly y: number;
  readonly low?: number;
  readonly high?: number;
}

export interface ChartOptions {
  readonly title: string;
  readonly subtitle?: string;
  /** with the unit: "round trip (ms)" */
  readonly xLabel: string;
  readonly yLabel: string;
  readonly xLog?: boolean;
  readonly yLog?: boolean;
  /** the y axis contains 0; a linear bar chart always does, a logarithmic axis never */
  readonly yZero?: boolean;
  /** y of a horizontal line of reference, such as speed-up 1 */
  readonly rule?: number;
  /** printed small under the chart, such as "emulated network and hardware" */
  readonly note?: string;
  /** px, 800 unless said */
  readonly width?: number;
  /** px, 460 unless said */
  readonly height?: number;
}

export interface Cell {
  readonly x: number;
  readonly y: number;
  readonly value: number;
}

export interface Bar {
  readonly group: string;
  readonly name: string;
  readonly value: number;
  readonly low?: number;
  readonly high?: number;
}

export type BarOptions = Omit<ChartOptions, "xLog">;

export interface HeatmapOptions extends ChartOptions {
  readonly valueLabel: string;
  /** the value that is neither good nor bad, such as speed-up 1: colours diverge from it */
  readonly midpoint?: number;
}
