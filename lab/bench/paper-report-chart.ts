import { type Bar, barChart } from "../plots/plot.ts";
import type { PaperReport } from "./paper-report.ts";

/** The four columns of the paper: published, simulated, and race. */
export function paperChart({ columns }: PaperReport): Promise<string> {
  const bars = columns.flatMap((column): Bar[] => {
    const group = `${column.pair.split(" ")[0]} ${column.benchmark}`;
    const interval = (value: number, error: number) => ({ value, low: value - error, high: value + error });
    return [
      { group, name: "PicoSpec, published", value: column.published },
      { group, name: "picospec, simulated", ...interval(column.picospec, column.speedUpError) },
      { group, name: "race, simulated", ...interval(column.race, column.raceError) },
    ];
  });
  return barChart(bars, {
    title: "The paper's four columns: speed-up over the cloud alone",
    subtitle:
      "Published: arXiv 2603.19133. Simulated: scenarios whose RTT and acceptance were fitted to them.",
    xLabel: "models and benchmark",
    yLabel: "speed-up over the cloud alone",
    rule: 1,
    note: "Simulated, not measured; whiskers are 95% intervals.",
  });
}
