import type { RunReport } from "../edge/report.ts";
import { figure } from "./output.ts";

const ROWS: readonly (readonly [string, (run: RunReport) => string])[] = [
  ["tokens", (run) => String(run.tokens)],
  ["tokens/s", (run) => figure(run.tokensPerSecond)],
  ["time to first token, ms", (run) => figure(run.timeToFirstTokenMs, 0)],
  ["drafts accepted, %", (run) => figure(run.acceptanceRate === null ? null : 100 * run.acceptanceRate, 1)],
  ["accepted tokens a round", (run) => figure(run.acceptedPerRound)],
  ["rounds", (run) => String(run.rounds)],
  ["rollbacks", (run) => String(run.rollbacks)],
  ["target passes a token", (run) => figure(run.targetPassesPerToken)],
  ["bytes up a token", (run) => figure(run.uplinkBytesPerToken, 1)],
  ["bytes down a token", (run) => figure(run.downlinkBytesPerToken, 1)],
];

/** Statistics of answers, for a table: a row for each figure, which begins with its label, and a column for each answer. */
export function reportRows(runs: readonly RunReport[]): string[][] {
  return ROWS.map(([label, value]) => [label, ...runs.map(value)]);
}
