import { type Bar, barChart, lineChart, type Series } from "../plots/plot.ts";
import type { ScaleReport } from "./scale-report.ts";

/** The charts of the suite scale: file names and the texts of SVGs. */

const NOTE = "Simulated, not measured, on a server that is our estimate; co-location by its closed form.";

export async function scaleCharts(report: ScaleReport): Promise<Record<string, string>> {
  return {
    "scale-sessions.svg": await curveChart(report),
    "scale-capacity.svg": await capacityChart(report),
  };
}

function curveChart({ curves, colocated }: ScaleReport): Promise<string> {
  const series: Series[] = [
    ...curves.map(({ policy, loads }) => ({
      name: policy === "cloud" ? "cloud alone" : policy,
      points: loads.map(({ edges, tokensPerSecond }) => ({ x: edges, y: tokensPerSecond })),
    })),
    {
      name: "co-located speculation",
      points: colocated.map(({ edges, tokensPerSecond }) => ({ x: edges, y: tokensPerSecond })),
    },
  ];
  return lineChart(series, {
    title: "Simulated: many edges on one server",
    subtitle: "Tokens/s of each session. A pass takes 25 ms, and 0.1 ms more for each row past 32.",
    xLabel: "edges that decode at the same time",
    yLabel: "tokens/s of each",
    xLog: true,
    yLog: true,
    note: NOTE,
  });
}

function capacityChart({ demands }: ScaleReport): Promise<string> {
  const bars = demands.flatMap(({ tokensPerSecond, simulated, closed }): Bar[] => {
    const group = `${tokensPerSecond} tokens/s each`;
    return [
      ...simulated.map(({ policy, sessions }) => ({
        group,
        name: policy === "cloud" ? "cloud alone" : policy,
        value: sessions,
      })),
      { group, name: "co-located speculation", value: Math.floor(closed.colocated.sessions) },
    ];
  });
  return barChart(bars, {
    title: "Simulated: sessions that one server carries",
    subtitle: "As many as still have the demanded rate, on average.",
    xLabel: "what each session is to have",
    yLabel: "sessions",
    note: NOTE,
  });
}
