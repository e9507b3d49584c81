import type { Scenario } from "../../lab/models/scenario.ts";
import { barChart, type ChartOptions, lineChart, type Series } from "../../lab/plots/plot.ts";
import type { SimulatedPolicy } from "../../lab/sim/simulate.ts";
import { fieldNamed, type Sweep, type SweepPoint, speedupError, unitOf } from "../../lab/sim/sweep.ts";
import { extent, mainNumbers, type SimulatedRun } from "./simulate-view.ts";

/** The charts of simulate, as the text of an SVG. */

/** Speed-ups over the field, with their intervals, and a rule where the cloud alone is. */
export function sweepChart(run: SimulatedRun, sweep: Sweep, points: readonly SweepPoint[]): Promise<string> {
  const all = points[0]!.results.map(({ policy }) => policy);
  // The cloud is the rule at 1, and only a line where there is no other.
  const shown = all.length > 1 ? all.slice(1) : all;
  const series: Series[] = shown.map((name) => ({
    name,
    points: points.map(({ value, results }) => {
      const result = results.find(({ policy }) => policy === name)!;
      const error = speedupError(result, results[0]!);
      return { x: value, y: result.speedup, low: result.speedup - error, high: result.speedup + error };
    }),
  }));
  const field = fieldNamed(sweep.field);
  const unit = unitOf(field);
  const meaning = unit ? field.meaning.slice(unit.length + 2) : field.meaning;
  return lineChart(series, {
    ...options(run, `Simulated speed-up over ${sweep.field}`, "bands are 95% intervals", sweep.field),
    xLabel: unit ? `${sweep.field}: ${meaning} (${unit})` : `${sweep.field}: ${meaning}`,
    yLabel: "simulated tokens/s over those of the cloud alone",
    yZero: true,
    rule: 1,
  });
}

/** Tokens/s of one edge under each policy. */
export function policyChart(run: SimulatedRun, results: readonly SimulatedPolicy[]): Promise<string> {
  const bars = results.map(({ policy, tokensPerSecond, tokensPerSecondError: error }) => ({
    group: policy,
    name: "tokens over the time from asking to the last of them",
    value: tokensPerSecond,
    ...(error > 0 ? { low: tokensPerSecond - error, high: tokensPerSecond + error } : {}),
  }));
  return barChart(bars, {
    ...options(run, "Simulated tokens/s", "whiskers are 95% intervals"),
    xLabel: "policy",
    yLabel: run.edges === 1 ? "simulated tokens/s" : "simulated tokens/s of each edge",
  });
}

function options(
  run: SimulatedRun,
  what: string,
  intervals: string,
  swept?: keyof Scenario,
): Pick<ChartOptions, "title" | "subtitle" | "note"> {
  const { description } = run.scenario;
  return {
    title: `${what}: ${run.title}`,
    subtitle: `${description} ${mainNumbers(run.scenario, swept)}`.trim(),
    note: `Simulated, not measured: ${extent(run)}; ${intervals}.`,
  };
}
