/**
 * Charts for reports: data in, the text of a standalone SVG out, without a browser. The same data give the
 * same text. Drawing needs @observablehq/plot and linkedom, which are optional; without them every function
 * here fails with the code `no_plot`.
 *
 * A value that is not finite is missing: a gap in a line, a bar or cell without a value. Data without any
 * value fail with `empty_chart`; what cannot be shown (0 on a logarithmic axis, two values in one place, no
 * room) fails with `bad_chart`.
 */

export { barChart } from "./bars.ts";
export type { Bar, Cell, ChartOptions, Series } from "./chart.ts";
export { heatmap } from "./heatmap.ts";
export { lineChart } from "./lines.ts";
