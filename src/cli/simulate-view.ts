import type { Scenario, ScenarioField } from "../../lab/models/scenario.ts";
import type { SimulatedPolicy } from "../../lab/sim/simulate.ts";
import { type Sweep, type SweepPoint, speedupError, unitOf } from "../../lab/sim/sweep.ts";
import { figure, table } from "./output.ts";
import { wrapped } from "./text.ts";

/** What simulate prints: tables for people, and CSV. */

/** What a run was asked for, with everything that it depends on. */
export interface SimulatedRun {
  /** the scenario's name, and what was changed in it */
  readonly title: string;
  readonly scenario: Scenario;
  readonly seed: string;
  readonly edges: number;
  /** of each edge */
  readonly answers: number;
}

/** What is simulated: what it describes, and its main numbers. @param swept a field that has many values */
export function heading({ title, scenario }: SimulatedRun, swept?: keyof Scenario): string {
  const what = scenario.description ? `${title}. ${scenario.description}` : title;
  return wrapped(`Simulated: ${what}\n${mainNumbers(scenario, swept)}`);
}

/** A sentence. */
export function mainNumbers(scenario: Scenario, swept?: keyof Scenario): string {
  const { rttMs, jitterMs, draftMs, passMs, acceptance, acceptanceCoupled } = scenario;
  const numbers: [keyof Scenario, string][] = [
    ["rttMs", `round trip ${rttMs} ms`],
    ["jitterMs", jitterMs > 0 ? `jitter up to ${jitterMs} ms` : ""],
    ["draftMs", `a draft takes ${draftMs} ms`],
    ["passMs", `a pass ${passMs} ms`],
    ["acceptance", `drafts are accepted with probability ${acceptance}`],
    ["acceptanceCoupled", acceptanceCoupled === acceptance ? "" : `coupled ones with ${acceptanceCoupled}`],
  ];
  const shown = numbers.filter(([field, text]) => field !== swept && text !== "").map(([, text]) => text);
  return `${sentence(shown.join(", "))}.`;
}

/** How much was run. */
export function extent({ scenario, edges, answers, seed }: SimulatedRun): string {
  const each = edges === 1 ? "" : ", each";
  return `${count(edges, "edge")}${each} with ${count(answers, "answer")} of ${count(scenario.answerTokens, "token")}; seed ${seed}`;
}

/** A title, and the cell of a policy. */
type Column = readonly [string, (one: SimulatedPolicy) => string];

export function policyTable(run: SimulatedRun, results: readonly SimulatedPolicy[]): string {
  const cloud = results[0]!;
  const all: Column[] =
    run.edges === 1 ? [] : [["of all edges", (one) => figure(one.totalTokensPerSecond, 0)]];
  const columns: Column[] = [
    ["simulated", (one) => one.policy],
    ["speed-up", (one) => withError(one.speedup, speedupError(one, cloud), 2, "x")],
    ["tokens/s", (one) => withError(one.tokensPerSecond, one.tokensPerSecondError, 1)],
    ...all,
    ["accepted", (one) => percent(one.acceptanceRate)],
    ["passes/token", (one) => figure(one.targetPassesPerToken)],
    ["bytes up/token", (one) => figure(one.uplinkBytesPerToken, 1)],
    ["down/token", (one) => figure(one.downlinkBytesPerToken, 1)],
    ["wasted drafts/token", (one) => figure(one.wastedDraftsPerToken)],
    ["first token", (one) => figure(one.timeToFirstTokenMs, 0, " ms")],
  ];
  const rows = [
    columns.map(([title]) => title),
    ...results.map((one) => columns.map(([, cell]) => cell(one))),
  ];
  const notes = [
    `Simulated, not measured: ${extent(run)}. ± is half of the 95% interval.`,
    ...(results.some(({ policy }) => policy === "edge")
      ? ["The text of edge is the small model's own; all others give the large model's."]
      : []),
  ];
  return [heading(run), "", table(rows), "", wrapped(notes.join("\n"))].join("\n");
}

export function sweepTable(run: SimulatedRun, sweep: Sweep, points: readonly SweepPoint[]): string {
  const policies = points[0]!.results.map(({ policy }) => policy).slice(1);
  const titles = [sweep.field, "cloud, tokens/s", ...policies.map((policy) => `${policy}, speed-up`)];
  const rows = points.map(({ value, results }) => {
    const cloud = results[0]!;
    const others = results.slice(1);
    return [
      String(value),
      withError(cloud.tokensPerSecond, cloud.tokensPerSecondError, 1),
      ...others.map((result) => withError(result.speedup, speedupError(result, cloud), 2, "x")),
    ];
  });
  const note = `Simulated, not measured: ${extent(run)}, at each ${sweep.field}. ± is half of the 95% interval.`;
  return [heading(run, sweep.field), "", table([titles, ...rows]), "", wrapped(note)].join("\n");
}

/** One line a policy, after a line of names; those of JSON. */
export function policyCsv(run: SimulatedRun, results: readonly SimulatedPolicy[]): string {
  return csv(results.map((result) => ({ ...columnsOf(run), ...result })));
}

export function sweepCsv(run: SimulatedRun, sweep: Sweep, points: readonly SweepPoint[]): string {
  return csv(
    points.flatMap(({ value, results }) =>
      results.map((result) => ({ ...columnsOf(run), [sweep.field]: value, ...result })),
    ),
  );
}

function columnsOf({ title, seed, edges, answers }: SimulatedRun) {
  return { simulated: title, seed, edges, answers };
}

function csv(rows: readonly object[]): string {
  const lines = [Object.keys(rows[0]!), ...rows.map((row) => Object.values(row))];
  return lines.map((line) => line.map(csvCell).join(",")).join("\n");
}

/** Empty for what does not apply. */
function csvCell(value: unknown): string {
  const text = value === null || Number.isNaN(value) ? "" : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function scenarioList(scenarios: readonly Scenario[], fields: readonly ScenarioField[]): string {
  const named = scenarios.map(({ name, description }) => [name, description]);
  const described = fields.map((field) => {
    const { name, meaning, fallback } = field;
    const unit = unitOf(field);
    const what = unit ? meaning.slice(unit.length + 2) : meaning;
    const otherwise = fallback === undefined ? "required" : fallback === "" ? "empty" : String(fallback);
    return [name, unit, otherwise, what];
  });
  return [
    "Scenarios:",
    leftTable(named),
    "",
    "Fields of a scenario, for --set, --sweep and JSON files:",
    leftTable([["field", "unit", "default", "what it is"], ...described]),
  ].join("\n");
}

/** Texts: all columns begin at their left. */
function leftTable(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const last = rows[0]!.length - 1;
  const before = widths.slice(0, last).reduce((sum, width) => sum + width + 3, 2);
  return rows
    .map((row) => `  ${row.map((cell, i) => cell.padEnd(widths[i]!)).join("   ")}`.trimEnd())
    .map((line) => wrapped(line, " ".repeat(before)))
    .join("\n");
}

function withError(value: number, error: number, digits: number, unit = ""): string {
  return `${figure(value, digits, unit)} ±${error.toFixed(digits)}`;
}

function percent(share: number | null): string {
  return figure(share === null ? null : 100 * share, 1, "%");
}

export function count(n: number, thing: string, things = `${thing}s`): string {
  return `${n} ${n === 1 ? thing : things}`;
}

function sentence(text: string): string {
  return `${text[0]!.toUpperCase()}${text.slice(1)}`;
}
