import { Argument, Command, Option } from "commander";
import { benchEngine, type EngineTiming } from "../bench/engine.ts";
import type { Timing } from "../bench/measure.ts";
import { benchOwnCode, type OwnCodeTiming } from "../bench/own-code.ts";
import { benchRows, type RowTiming } from "../bench/rows.ts";
import { BUNDLED_DRAFTER, BUNDLED_TARGET } from "./node.ts";
import { table } from "./output.ts";

/** The object that `bench --json` prints; what was not asked for is missing. */
interface BenchReport {
  ownCode?: OwnCodeTiming[];
  rows?: RowTiming[];
  engine?: EngineTiming[];
}

const SUITES = ["own-code", "rows", "engine"] as const;

interface BenchValues {
  readonly model: string;
  readonly drafter: string;
  readonly json?: true;
}

export function benchCommand(): Command {
  return new Command("bench")
    .description(
      "measure PicoSpec's own cost on this machine: its code, row extraction, its way into llama.cpp",
    )
    .addArgument(new Argument("[suites...]", "what to measure (default: all)").choices(SUITES))
    .addOption(new Option("--model <file>", "target for the suite engine").default(BUNDLED_TARGET, "bundled"))
    .addOption(
      new Option("--drafter <file>", "drafter for the suite engine").default(BUNDLED_DRAFTER, "bundled"),
    )
    .addOption(new Option("--json", "print one JSON object"))
    .addHelpText(
      "after",
      `
Medians, with the least and the most; times differ from machine to machine, so compare within one run.

Examples:
  $ picospec bench
  $ picospec bench rows own-code --json
  $ picospec bench engine --model target.gguf --drafter drafter.gguf`,
    )
    .action(bench);
}

async function bench(suites: readonly (typeof SUITES)[number][], values: BenchValues): Promise<void> {
  const wanted = (suite: (typeof SUITES)[number]) => suites.length === 0 || suites.includes(suite);
  const report: BenchReport = {};
  if (wanted("own-code")) report.ownCode = benchOwnCode();
  if (wanted("rows")) report.rows = benchRows();
  if (wanted("engine")) report.engine = await benchEngine(values.model, values.drafter);
  console.log(values.json ? JSON.stringify(report, null, 2) : tables(report).join("\n\n"));
}

function tables({ ownCode, rows, engine }: BenchReport): string[] {
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
  return parts;
}

function ms({ median, least, most }: Timing): string {
  const digits = (value: number) => value.toFixed(3);
  return `${digits(median)} (${digits(least)} to ${digits(most)})`;
}
