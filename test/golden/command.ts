import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { PicoSpecError } from "../../src/node.ts";
import { DRAWS_FILE, type Draws, goodnessOfFit, sameDistribution, sampleDraws } from "./draws.ts";
import { PAIR_FILE, type PairGolden, pairAnswers, pairDifferences } from "./pair.ts";
import { GOLDEN_SEEDS, WORLDS_FILE, worldDifferences, worldLine } from "./worlds.ts";

/** `npm run golden`: makes the golden tables, or compares with them. */

const USAGE = `npm run golden -- --check | --write [options]
  --check            compare with the tables (exit code 1 on a difference)
  --write            make them anew; of the bundled pair only the entry of the CPU build at hand
  --only PART        worlds, draws or pair
  --cpu-build NAME   load this CPU build of llama.cpp instead of the best for the processor, such as
                     haswell: entries of several builds from one machine (--only pair)`;

const PARTS = ["worlds", "draws", "pair"];

export const readLines = (file: string): string[] => readFileSync(file, "utf8").trimEnd().split("\n");
export const readJson = <T>(file: string): T => JSON.parse(readFileSync(file, "utf8"));

export const allWorldLines = (): string[] =>
  Array.from({ length: GOLDEN_SEEDS }, (_, seed) => worldLine(seed));

/** @returns the exit code */
export async function golden(args: readonly string[]): Promise<number> {
  const flag = { type: "boolean", default: false } as const;
  const text = { type: "string" } as const;
  const options = { check: flag, write: flag, help: flag, only: text, "cpu-build": text };
  let values: ReturnType<typeof parseArgs<{ options: typeof options }>>["values"];
  try {
    values = parseArgs({ args: [...args], options }).values;
  } catch (error) {
    return misused((error as Error).message.split("\n")[0]!);
  }
  const { check, write, help, only, "cpu-build": cpuBuild } = values;
  if (help) console.log(USAGE);
  if (help) return 0;
  if (check === write) return misused("give one of --check and --write");
  if (only !== undefined && !PARTS.includes(only)) return misused(`--only is one of ${PARTS.join(", ")}`);
  if (cpuBuild !== undefined) process.env.PICOSPEC_CPU_BUILD = cpuBuild;
  const wanted = (part: string) => only === undefined || only === part;
  let differences = 0;
  if (wanted("worlds")) differences += worlds(write);
  if (wanted("draws")) differences += drawn(write);
  try {
    if (wanted("pair")) differences += await pair(write);
  } catch (error) {
    // Such as a CPU build that this processor cannot run.
    if (!(error instanceof PicoSpecError)) throw error;
    console.error(error.message);
    return 1;
  }
  return differences > 0 ? 1 : 0;
}

function misused(message: string): number {
  console.error(`${message.replace(/\.$/, "")}; see npm run golden -- --help`);
  return 2;
}

function worlds(write: boolean): number {
  const lines = allWorldLines();
  if (write) writeFileSync(WORLDS_FILE, `${lines.join("\n")}\n`);
  const { plans, texts } = worldDifferences(lines, readLines(WORLDS_FILE));
  console.log(`worlds: ${lines.length} seeds, ${texts.length} with other texts, ${plans.length} other plans`);
  if (texts.length > 0) console.log(`  other texts: ${texts.slice(0, 20).join(", ")}`);
  if (plans.length > 0) console.log(`  other plans: ${plans.slice(0, 20).join(", ")}`);
  return texts.length + plans.length;
}

/** Below this p-value a difference counts; tests have the same one. */
export const ALPHA = 1e-4;

function drawn(write: boolean): number {
  const found = sampleDraws(GOLDEN_SEEDS);
  if (write) writeFileSync(DRAWS_FILE, `${JSON.stringify(found)}\n`);
  const same = sameDistribution(found, readJson<Draws>(DRAWS_FILE));
  const values = Object.entries(goodnessOfFit(found)).map(
    ([order, { pValue }]) => [order, pValue, same[order]!] as const,
  );
  for (const [order, fits, equal] of values)
    console.log(
      `draws, by ${order}: p-value ${fits.toPrecision(3)}, against the table ${equal.toPrecision(3)}`,
    );
  const { sessions, tokens, impossible, cutOff } = found;
  console.log(
    `  ${sessions} sessions, ${tokens} tokens, ${impossible} impossible, ${cutOff} sessions cut off`,
  );
  return impossible + cutOff + values.filter(([, fits, equal]) => Math.min(fits, equal) < ALPHA).length;
}

async function pair(write: boolean): Promise<number> {
  const answers = await pairAnswers(true);
  const { kernel, hashes, problems } = answers;
  const before = readJson<PairGolden>(PAIR_FILE);
  if (write && problems.length === 0)
    writeFileSync(PAIR_FILE, `${JSON.stringify({ ...before, [kernel]: hashes }, null, 2)}\n`);
  const differences = pairDifferences(answers, readJson<PairGolden>(PAIR_FILE));
  for (const line of [...problems, ...(differences ?? [])]) console.log(`  ${line}`);
  console.log(`pair, ${kernel}: ${differences === null ? noEntry(kernel) : `${differences.length} differ`}`);
  return problems.length + (differences?.length ?? 1);
}

/** What to do about a kernel that the table does not know. */
export function noEntry(kernel: string): string {
  return `no golden entry for ${kernel}; add one from a commit whose texts are right: npm run golden -- --write --only pair`;
}
