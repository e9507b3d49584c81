import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Argument, Command, Option } from "commander";
import { benchEngine, type EngineTiming } from "../../lab/bench/engine.ts";
import { GRID_LEVELS } from "../../lab/bench/grid.ts";
import { gridCharts } from "../../lab/bench/grid-charts.ts";
import { type GridReport, gridReport } from "../../lab/bench/grid-report.ts";
import type { JsonTiming } from "../../lab/bench/json-task.ts";
import type { Timing } from "../../lab/bench/measure.ts";
import { benchOwnCode, type OwnCodeTiming } from "../../lab/bench/own-code.ts";
import { type PaperReport, paperReport } from "../../lab/bench/paper-report.ts";
import { paperChart } from "../../lab/bench/paper-report-chart.ts";
import { type Prediction, predict } from "../../lab/bench/predict.ts";
import { BENCH_PROMPTS } from "../../lab/bench/prompts.ts";
import { benchRollback, type RollbackTiming } from "../../lab/bench/rollback.ts";
import { benchRows, type RowTimings } from "../../lab/bench/rows.ts";
import { scaleCharts } from "../../lab/bench/scale-charts.ts";
import { type ScaleReport, scaleReport } from "../../lab/bench/scale-report.ts";
import { loadDrawing } from "../../lab/plots/page.ts";
import { POLICIES } from "../decoding/policy.ts";
import { PicoSpecError } from "../util/errors.ts";
import { gridText } from "./bench-grid.ts";
import { benchJson, jsonText } from "./bench-json.ts";
import { paperText } from "./bench-paper.ts";
import { benchRealAll, type RealSuite, realText } from "./bench-real.ts";
import { scaleText } from "./bench-scale.ts";
import {
  addVllmOptions,
  type BenchVllmValues,
  benchRealVllm,
  type VllmSuite,
  vllmText,
} from "./bench-vllm.ts";
import { checkedModelPath, MODEL } from "./model-path.ts";
import { BUNDLED_DRAFTER, BUNDLED_TARGET } from "./node.ts";
import { whole } from "./options.ts";
import { progressBar, table } from "./output.ts";
import { wrapped } from "./text.ts";

/** The object that `bench --json` prints; what was not asked for is missing. */
interface BenchReport {
  ownCode?: OwnCodeTiming[];
  rows?: RowTimings;
  rollback?: RollbackTiming;
  engine?: EngineTiming[];
  predict?: Prediction[];
  json?: JsonTiming[];
  real?: RealSuite;
  realVllm?: VllmSuite;
  grid?: GridReport;
  paper?: PaperReport;
  scale?: ScaleReport;
}

const SUITES = [
  "own-code",
  "rows",
  "engine",
  "rollback",
  "predict",
  "json",
  "real",
  "grid",
  "paper",
  "scale",
] as const;
/** What runs unless something is asked for: measurements of seconds, and not minutes. */
const QUICK: readonly Suite[] = ["own-code", "rows", "engine"];
type Suite = (typeof SUITES)[number];

/** Of each answer of the suite real, at most. */
const REAL_TOKENS = 150;

/** Emulated networks and hardware for the suite predict. */
const SETTINGS = [
  { rttMs: 20, passMs: 30, draftMs: 4 },
  { rttMs: 60, passMs: 30, draftMs: 4 },
  { rttMs: 120, passMs: 40, draftMs: 3 },
  { rttMs: 40, passMs: 60, draftMs: 8 },
  { rttMs: 80, passMs: 50, draftMs: 12 },
  { rttMs: 10, passMs: 20, draftMs: 6 },
];

interface BenchValues extends BenchVllmValues {
  readonly model: string;
  readonly drafter: string;
  readonly tokens: number;
  readonly rounds: number;
  readonly cells: keyof typeof GRID_LEVELS;
  readonly svg?: string;
  readonly json?: true;
}

export function benchCommand(): Command {
  const command = new Command("bench")
    .description(
      "measure PicoSpec's own cost on this machine: its code, row extraction, its way into llama.cpp; or simulate it against other ways, the paper, and many users",
    )
    .addArgument(new Argument("[suites...]", `what to measure (default: ${QUICK.join(" ")})`).choices(SUITES))
    .addOption(
      new Option("--model <model>", `target for the suite engine: ${MODEL}`).default(
        BUNDLED_TARGET,
        "bundled",
      ),
    )
    .addOption(
      new Option("--drafter <model>", `drafter for the suite engine: ${MODEL}`).default(
        BUNDLED_DRAFTER,
        "bundled",
      ),
    )
    .addOption(
      new Option("--tokens <n>", "of each policy in each setting, for the suite predict")
        .argParser(whole(1, 1_000_000))
        .default(1000),
    )
    .addOption(
      new Option("--rounds <n>", "in which all ways take turns, for the suite real")
        .argParser(whole(2, 10_000))
        .default(12),
    )
    .addOption(
      new Option("--cells <grid>", "how fine the suite grid is")
        .choices(Object.keys(GRID_LEVELS))
        .default("coarse"),
    )
    .addOption(new Option("--svg <folder>", "write the charts of grid, paper and scale there as well"))
    .addOption(new Option("--json", "print one JSON object"));
  return addVllmOptions(command)
    .addHelpText(
      "after",
      `
Medians, with the least and the most; times differ from machine to machine, so compare within one run.

Examples:
  $ picospec bench
  $ picospec bench rows own-code --json
  $ picospec bench predict                        (the simulator against real runs: some ten minutes)
  $ picospec bench real                           (race against the cloud alone on this machine as it is)
  $ picospec bench real --engine vllm --url http://127.0.0.1:8000 --mailbox unix:/run/picospec.sock \\
      --plain-url http://127.0.0.1:8001 --ngram-url http://127.0.0.1:8002 --drafter small.gguf
  $ picospec bench json                           (answers in JSON, with and without what their grammar dictates)
  $ picospec bench engine --model target.gguf --drafter drafter.gguf
  $ picospec bench rollback --model hybrid.gguf   (what a rollback costs next to a pass)

Simulated, not measured:
  $ picospec bench grid                           (race against its rivals everywhere: two minutes)
  $ picospec bench grid --cells full --svg charts (the same, finer: twenty minutes)
  $ picospec bench paper                          (what was published, its formulas and our simulator)
  $ picospec bench scale                          (up to 10,000 users of one server: some minutes)`,
    )
    .action(bench);
}

async function bench(suites: readonly Suite[], values: BenchValues): Promise<void> {
  const wanted = (suite: Suite) => (suites.length === 0 ? QUICK : suites).includes(suite);
  const report: BenchReport = {};
  // What a chart needs is missing now, and not in twenty minutes.
  if (values.svg !== undefined) await prepareCharts(values.svg);
  if (wanted("own-code")) report.ownCode = benchOwnCode();
  if (wanted("rows")) report.rows = benchRows();
  if (wanted("engine")) {
    report.engine = await benchEngine(
      await checkedModelPath(values.model),
      await checkedModelPath(values.drafter),
    );
  }
  if (wanted("rollback")) report.rollback = await benchRollback(await checkedModelPath(values.model));
  if (wanted("predict")) report.predict = await predictAll(values);
  if (wanted("json")) {
    report.json = await benchJson(
      await checkedModelPath(values.model),
      await checkedModelPath(values.drafter),
    );
  }
  if (wanted("real") && values.engine === "vllm") {
    report.realVllm = await benchRealVllm(values, values.drafter, values.rounds);
  } else if (wanted("real")) {
    report.real = await benchRealAll({
      targetFile: await checkedModelPath(values.model),
      drafterFile: await checkedModelPath(values.drafter),
      rounds: values.rounds,
      maxTokens: REAL_TOKENS,
    });
  }
  if (wanted("grid")) report.grid = gridWithBar(values);
  if (wanted("paper")) report.paper = paperReport();
  if (wanted("scale")) report.scale = scaleAll();
  if (values.svg !== undefined) writeCharts(values.svg, await charts(report));
  console.log(values.json ? JSON.stringify(report, null, 2) : tables(report).join("\n\n"));
}

function gridWithBar({ cells }: BenchValues): GridReport {
  const bar = progressBar(`simulating the ${cells} grid`);
  try {
    return gridReport(GRID_LEVELS[cells], bar.update);
  } finally {
    bar.end();
  }
}

/** Minutes, so each load is told as it comes. */
function scaleAll(): ScaleReport {
  return scaleReport(undefined, (policy, { edges, tokensPerSecond }) => {
    console.error(`${edges} edges, ${policy}: simulated ${tokensPerSecond.toFixed(2)} tokens/s each`);
  });
}

async function charts({ grid, paper, scale }: BenchReport): Promise<Record<string, string>> {
  return {
    ...(grid && (await gridCharts(grid))),
    ...(paper && { "paper.svg": await paperChart(paper) }),
    ...(scale && (await scaleCharts(scale))),
  };
}

async function prepareCharts(folder: string): Promise<void> {
  await loadDrawing();
  writing(folder, () => mkdirSync(folder, { recursive: true }));
}

function writeCharts(folder: string, files: Record<string, string>): void {
  for (const [name, svg] of Object.entries(files)) {
    const path = join(folder, name);
    writing(path, () => writeFileSync(path, svg));
    console.error(`chart: ${path}`);
  }
}

function writing(path: string, work: () => void): void {
  try {
    work();
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code;
    throw new PicoSpecError("bad_file", `cannot write ${path} (${reason})`, { cause });
  }
}

/** Every policy, 1,000 tokens and more each: minutes, so each result is told as it comes. */
async function predictAll({ model, drafter, tokens }: BenchValues): Promise<Prediction[]> {
  return predict({
    settings: SETTINGS,
    policies: Object.entries(POLICIES).map(([name, policy]) => ({ name, policy })),
    prompts: BENCH_PROMPTS,
    tokens,
    temperature: 1,
    targetFile: await checkedModelPath(model),
    drafterFile: await checkedModelPath(drafter),
    progress: ({ setting, policy, tokensPerSecond, fromTrace, traceError }) => {
      const at = `RTT ${setting.rttMs} pass ${setting.passMs} draft ${setting.draftMs} ms, ${policy}`;
      const error = `${(100 * traceError).toFixed(1)}%`;
      console.error(
        wrapped(
          `${at}: ${tokensPerSecond.toFixed(2)} tokens/s, simulated ${fromTrace.toFixed(2)} (${error})`,
          "  ",
        ),
      );
    },
  });
}

function predictionTable(predictions: readonly Prediction[]): string {
  const head = [
    "emulated RTT/pass/draft, ms",
    "policy",
    "tokens/s",
    "simulated from its trace",
    "from acceptance alone",
  ];
  const lines = predictions.map((row) => {
    const { rttMs, passMs, draftMs } = row.setting;
    return [
      `${rttMs}/${passMs}/${draftMs}`,
      row.policy,
      row.tokensPerSecond.toFixed(2),
      `${row.fromTrace.toFixed(2)} (${(100 * row.traceError).toFixed(1)}%)`,
      `${row.fromRate.toFixed(2)} ± ${row.fromRateError.toFixed(2)}`,
    ];
  });
  const worst = Math.max(...predictions.map(({ traceError }) => Math.abs(traceError)));
  return `${table([head, ...lines])}\n\nlargest error from a trace: ${(100 * worst).toFixed(1)}%`;
}

function rowTables({ extraction, topP }: RowTimings): string[] {
  const heads = extraction.map((row) => [`V = ${row.vocabularySize}`, ms(row.ms)]);
  const nuclei = topP.map((row) => [
    `${row.nucleusTokens} of ${row.vocabularySize}`,
    row.coupling,
    ms(row.cloudMs),
    ms(row.edgeMs),
  ]);
  return [
    table([["row extraction, ms a row", `top-${extraction[0]!.topK} and normaliser`], ...heads]),
    table([["top-p and draw, ms a row", "coupling", "cloud", "edge's draft"], ...nuclei]),
  ];
}

function rollbackTables({ oneMs, fiveMs, afterRollbackMs, checkpoint }: RollbackTiming): string[] {
  const passes = table([
    ["pass of a target", "ms"],
    ["1 token", ms(oneMs)],
    ["5 tokens", ms(fiveMs)],
    ["5 tokens after a rollback of 4", ms(afterRollbackMs)],
  ]);
  if (!checkpoint) return [passes];
  const { bytes, keepMs, putBackMs } = checkpoint;
  return [
    passes,
    table([
      [`checkpoint of ${(bytes / 1e6).toFixed(2)} MB`, "ms"],
      ["to keep it", ms(keepMs)],
      ["to put it back", ms(putBackMs)],
    ]),
  ];
}

function tables({
  ownCode,
  rows,
  engine,
  rollback,
  predict: predicted,
  json,
  real,
  realVllm,
  grid,
  paper,
  scale,
}: BenchReport): string[] {
  const parts: string[] = [];
  if (ownCode) {
    const lines = ownCode.map((row) => [row.policy, ms(row.edgeMsPerToken), ms(row.cloudMsPerToken)]);
    parts.push(table([["own code, ms a token", "edge", "cloud"], ...lines]));
  }
  if (rows) {
    parts.push(...rowTables(rows));
  }
  if (engine) {
    const lines = engine.map((row) => [
      row.side,
      ms(row.throughInterfaceMs),
      ms(row.bareMs),
      ms(row.bareSyncMs),
      ms(row.extraMs),
    ]);
    const head = [
      "engine, ms a token",
      "interface",
      "bare llama_decode",
      "bare, synchronous",
      "interface - bare",
    ];
    parts.push(table([head, ...lines]));
  }
  if (rollback) parts.push(...rollbackTables(rollback));
  if (predicted) parts.push(predictionTable(predicted));
  if (json) parts.push(jsonText(json));
  if (real) parts.push(realText(real));
  if (realVllm) parts.push(vllmText(realVllm));
  if (grid) parts.push(gridText(grid));
  if (paper) parts.push(paperText(paper));
  if (scale) parts.push(scaleText(scale));
  return parts;
}

function ms({ median, least, most }: Timing): string {
  const digits = (value: number) => value.toFixed(3);
  return `${digits(median)} (${digits(least)} to ${digits(most)})`;
}
