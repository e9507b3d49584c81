import { Argument, Command, Option } from "commander";
import { benchEngine, type EngineTiming } from "../bench/engine.ts";
import type { Timing } from "../bench/measure.ts";
import { benchOwnCode, type OwnCodeTiming } from "../bench/own-code.ts";
import { type Prediction, predict } from "../bench/predict.ts";
import { BENCH_PROMPTS } from "../bench/prompts.ts";
import { benchRows, type RowTiming } from "../bench/rows.ts";
import { POLICIES } from "../decoding/policy.ts";
import { BUNDLED_DRAFTER, BUNDLED_TARGET } from "./node.ts";
import { whole } from "./options.ts";
import { table } from "./output.ts";

/** The object that `bench --json` prints; what was not asked for is missing. */
interface BenchReport {
  ownCode?: OwnCodeTiming[];
  rows?: RowTiming[];
  engine?: EngineTiming[];
  predict?: Prediction[];
}

const SUITES = ["own-code", "rows", "engine", "predict"] as const;
/** What is measured unless something is asked for: seconds, and not minutes. */
const QUICK: readonly Suite[] = ["own-code", "rows", "engine"];
type Suite = (typeof SUITES)[number];

/** Emulated networks and hardware for the suite predict. */
const SETTINGS = [
  { rttMs: 20, passMs: 30, draftMs: 4 },
  { rttMs: 60, passMs: 30, draftMs: 4 },
  { rttMs: 120, passMs: 40, draftMs: 3 },
  { rttMs: 40, passMs: 60, draftMs: 8 },
  { rttMs: 80, passMs: 50, draftMs: 12 },
  { rttMs: 10, passMs: 20, draftMs: 6 },
];

interface BenchValues {
  readonly model: string;
  readonly drafter: string;
  readonly tokens: number;
  readonly json?: true;
}

export function benchCommand(): Command {
  return new Command("bench")
    .description(
      "measure PicoSpec's own cost on this machine: its code, row extraction, its way into llama.cpp",
    )
    .addArgument(new Argument("[suites...]", `what to measure (default: ${QUICK.join(" ")})`).choices(SUITES))
    .addOption(new Option("--model <file>", "target for the suite engine").default(BUNDLED_TARGET, "bundled"))
    .addOption(
      new Option("--drafter <file>", "drafter for the suite engine").default(BUNDLED_DRAFTER, "bundled"),
    )
    .addOption(
      new Option("--tokens <n>", "of each policy in each setting, for the suite predict")
        .argParser(whole(1, 1_000_000))
        .default(1000),
    )
    .addOption(new Option("--json", "print one JSON object"))
    .addHelpText(
      "after",
      `
Medians, with the least and the most; times differ from machine to machine, so compare within one run.

Examples:
  $ picospec bench
  $ picospec bench rows own-code --json
  $ picospec bench predict                        (the simulator against real runs: some ten minutes)
  $ picospec bench engine --model target.gguf --drafter drafter.gguf`,
    )
    .action(bench);
}

async function bench(suites: readonly Suite[], values: BenchValues): Promise<void> {
  const wanted = (suite: Suite) => (suites.length === 0 ? QUICK : suites).includes(suite);
  const report: BenchReport = {};
  if (wanted("own-code")) report.ownCode = benchOwnCode();
  if (wanted("rows")) report.rows = benchRows();
  if (wanted("engine")) report.engine = await benchEngine(values.model, values.drafter);
  if (wanted("predict")) report.predict = await predictAll(values);
  console.log(values.json ? JSON.stringify(report, null, 2) : tables(report).join("\n\n"));
}

/** Every policy, 1,000 tokens and more each: minutes, so each result is told as it comes. */
function predictAll({ model, drafter, tokens }: BenchValues): Promise<Prediction[]> {
  return predict({
    settings: SETTINGS,
    policies: Object.entries(POLICIES).map(([name, policy]) => ({ name, policy })),
    prompts: BENCH_PROMPTS,
    tokens,
    temperature: 1,
    targetFile: model,
    drafterFile: drafter,
    progress: ({ setting, policy, tokensPerSecond, fromTrace, traceError }) => {
      const at = `RTT ${setting.rttMs} pass ${setting.passMs} draft ${setting.draftMs} ms, ${policy}`;
      const error = `${(100 * traceError).toFixed(1)}%`;
      console.error(
        `${at}: ${tokensPerSecond.toFixed(2)} tokens/s, simulated ${fromTrace.toFixed(2)} (${error})`,
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

function tables({ ownCode, rows, engine, predict: predicted }: BenchReport): string[] {
  const parts: string[] = [];
  if (ownCode) {
    const lines = ownCode.map((row) => [row.policy, ms(row.edgeMsPerToken), ms(row.cloudMsPerToken)]);
    parts.push(table([["own code, ms a token", "edge", "cloud"], ...lines]));
  }
  if (rows) {
    const lines = rows.map((row) => [`V = ${row.vocabularySize}`, ms(row.ms)]);
    parts.push(table([["row extraction, ms a row", `top-${rows[0]!.topK} and normaliser`], ...lines]));
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
  if (predicted) parts.push(predictionTable(predicted));
  return parts;
}

function ms({ median, least, most }: Timing): string {
  const digits = (value: number) => value.toFixed(3);
  return `${digits(median)} (${digits(least)} to ${digits(most)})`;
}
