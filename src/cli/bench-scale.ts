import { SCALE_POLICIES, type ScaleReport } from "../../lab/bench/scale-report.ts";
import { table } from "./output.ts";
import { wrapped } from "./text.ts";

/** The suite scale as text. */

export function scaleText(report: ScaleReport): string {
  const { description, rttMs, acceptance } = report.scenario;
  return [
    wrapped(
      `Many edges on one server. Simulated. ${description} Round trip ${rttMs} ms, acceptance ${acceptance}.`,
    ),
    curves(report),
    capacities(report),
    gains(report),
  ].join("\n\n");
}

function curves({ curves, colocated }: ScaleReport): string {
  const head = [
    "tokens/s of each of",
    ...SCALE_POLICIES.map(String),
    "slowest 5% of race",
    "race rows/token",
  ];
  const race = curves.find(({ policy }) => policy === "race")!;
  const lines = colocated.map(({ edges, tokensPerSecond, gamma }, i) => [
    `${edges} edges`,
    ...curves.map(({ loads }) => loads[i]!.tokensPerSecond.toFixed(2)),
    race.loads[i]!.slowTokensPerSecond.toFixed(2),
    race.loads[i]!.rowsPerToken.toFixed(2),
    `${tokensPerSecond.toFixed(2)} (n = ${gamma})`,
  ]);
  return table([[...head, "co-located, closed form"], ...lines]);
}

function capacities({ demands }: ScaleReport): string {
  const head = [
    "sessions that have",
    ...SCALE_POLICIES.map(String),
    "cloud, closed form",
    "co-located, closed form",
    "stop-and-wait, closed form",
  ];
  const lines = demands.map(({ tokensPerSecond, simulated, closed }) => [
    `${tokensPerSecond} tokens/s`,
    ...simulated.map(({ sessions }) => String(sessions)),
    ...[closed.plain, closed.colocated, closed.edgeDrafted].map(({ sessions, gamma }) =>
      sessions === 0 ? "0" : `${Math.floor(sessions)}${gamma > 0 ? ` (n = ${gamma})` : ""}`,
    ),
  ]);
  return table([head, ...lines]);
}

function gains({ gains }: ScaleReport): string {
  const head = [
    "vanilla over co-location with drafts of 4",
    "rows in a pass",
    "pass, ms",
    "tokens/s, simulated over closed form",
    "1 + n t_d / t_v of that pass",
    "of an idle pass",
  ];
  const lines = gains.map((gain) => [
    `${gain.edges} edges`,
    gain.rowsPerPass.toFixed(0),
    gain.passMs.toFixed(1),
    gain.simulated.toFixed(3),
    gain.formula.toFixed(3),
    gain.idleFormula.toFixed(3),
  ]);
  return table([head, ...lines]);
}
