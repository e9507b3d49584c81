import { readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";
import { Command, Option } from "commander";
import { parseScenario, type Scenario, scenarioFields } from "../../lab/models/scenario.ts";
import { SCENARIOS, scenarioNamed } from "../../lab/models/scenarios.ts";
import {
  type NamedPolicy,
  type SimulatedPolicy,
  type SimulateOptions,
  simulate,
} from "../../lab/sim/simulate.ts";
import {
  checkPolicies,
  fieldNamed,
  parseSetting,
  parseSweep,
  type Setting,
  type Sweep,
  type SweepPoint,
  simulateSweep,
  withSettings,
} from "../../lab/sim/sweep.ts";
import { TIMELINE_TOKENS, type Timeline, timeline } from "../../lab/sim/timeline.ts";
import { POLICIES, type PolicyName } from "../decoding/policy.ts";
import { type Seed, seedText, toSeed } from "../sampling/random.ts";
import { messageOf, PicoSpecError, SettingError } from "../util/errors.ts";
import { checked, policyListOption, whole } from "./options.ts";
import { progressBar } from "./output.ts";
import { policyChart, sweepChart } from "./simulate-charts.ts";
import { timelineText } from "./simulate-timeline.ts";
import {
  policyCsv,
  policyTable,
  type SimulatedRun,
  scenarioList,
  sweepCsv,
  sweepTable,
} from "./simulate-view.ts";

/** Most answers of one run, all edges together: each is kept until the end. */
const MOST_ANSWERS = 1_000_000;

interface SimulateValues extends SetValue {
  readonly scenario: string;
  readonly policy: readonly NamedPolicy[];
  readonly edges: number;
  readonly answers?: number;
  readonly seed: Seed;
  readonly sweep?: Sweep;
  readonly json?: true;
  readonly csv?: true;
  readonly svg?: string;
  readonly timeline?: true;
  readonly scenarios?: true;
}

/** All but ablations, which are named after what they leave out of another, and what needs no cloud. */
export function defaultPolicies(): NamedPolicy[] {
  const names = Object.keys(POLICIES) as PolicyName[];
  const isAblation = (name: string) => names.some((base) => name.startsWith(`${base}-no-`));
  return names
    .filter((name) => POLICIES[name].target && !isAblation(name))
    .map((name) => ({ name, policy: POLICIES[name] }));
}

export interface SetValue {
  readonly set?: readonly Setting[];
}

export function setOption(): Option {
  const setting = checked(parseSetting);
  return new Option(
    "--set <field=value>",
    "change a field of the scenario; null: no limit; may be given again",
  ).argParser((text, before: readonly Setting[] = []) => [...before, setting(text)]);
}

export function simulateCommand(): Command {
  const policies = defaultPolicies();
  return new Command("simulate")
    .description("simulate policies on a network and machines that you describe, in virtual time")
    .addOption(
      new Option("--scenario <file|name>", "a JSON file, or one of those that --scenarios lists").default(
        "laptop-gpu",
      ),
    )
    .addOption(policyListOption("cloud").default(policies, policies.map(({ name }) => name).join(",")))
    .addOption(
      new Option("--edges <n>", "devices that share the cloud").argParser(whole(1, 10_000)).default(1),
    )
    .addOption(
      new Option(
        "--answers <n>",
        "of each edge, one after the other (default: 100 of all edges together; 30 a value of a sweep)",
      ).argParser(whole(1, 100_000)),
    )
    .addOption(
      new Option("--seed <number>", "64-bit seed of all random draws")
        .argParser(checked(toSeed))
        .default(toSeed(1), "1"),
    )
    .addOption(setOption())
    .addOption(
      new Option("--sweep <field=from:to:step>", "run at each value of a field").argParser(
        checked(parseSweep),
      ),
    )
    .addOption(new Option("--json", "print one JSON object and nothing else"))
    .addOption(new Option("--csv", "print a line a policy, with commas").conflicts("json"))
    .addOption(new Option("--svg <file>", "write a chart as well"))
    .addOption(
      new Option("--timeline", "one short answer of each policy, event by event").conflicts([
        ...["edges", "answers", "sweep", "csv", "svg"],
      ]),
    )
    .addOption(new Option("--scenarios", "list the scenarios by name, and the fields that they have"))
    .addHelpText("after", NOTES)
    .action(run);
}

const NOTES = `
The code that decides is the one that ships; engines and network are modelled. Nothing here was measured.
Fields may go without their unit: rtt is rttMs. Policies with Gumbel coupling take acceptanceCoupled, the others
acceptance.

Examples:
  $ picospec simulate --scenario transatlantic
  $ picospec simulate --scenario laptop-gpu --set rtt=120 --set acceptance=0.6 --edges 20
  $ picospec simulate --scenario laptop-gpu --sweep rtt=10:300:10 --svg speedup.svg
  $ picospec simulate --scenario mine.json --policy picospec --timeline
  $ picospec simulate --scenario phone-4g --json
  $ picospec simulate --scenarios`;

async function run(values: SimulateValues): Promise<void> {
  if (values.scenarios) {
    const described = scenarioFields();
    if (values.json) printJson({ scenarios: Object.values(SCENARIOS), fields: described });
    else console.log(scenarioList(Object.values(SCENARIOS), described));
    return;
  }
  const { set = [] } = values;
  const policies = cloudFirst(values.policy);
  const given = readScenario(values.scenario);
  const scenario = withSettings(given, set);
  if (!values.sweep) checkPolicies(scenario, policies);
  const changes = set.map(({ field, value }) => `${field}=${value}`).join(", ");
  const title = changes === "" ? given.name : `${given.name} with ${changes}`;
  if (values.timeline) {
    printTimelines({ title, scenario, seed: seedText(values.seed), edges: 1, answers: 1 }, values);
    return;
  }
  const { edges, sweep } = values;
  const answers = values.answers ?? Math.max(4, Math.ceil((sweep ? 30 : 100) / edges));
  if (edges * answers > MOST_ANSWERS) {
    const message = `${edges} edges with ${answers} answers each are too many: ${MOST_ANSWERS} answers at most`;
    throw new SettingError("answers", message);
  }
  const about: SimulatedRun = { title, scenario, seed: seedText(values.seed), edges, answers };
  const options: SimulateOptions = { seed: seed32(values.seed), edges, answers };
  if (sweep) await reportSweep(about, sweep, sweepWithBar(scenario, sweep, policies, options), values);
  else await reportPolicies(about, simulate(scenario, policies, options), values);
}

function sweepWithBar(
  scenario: Scenario,
  sweep: Sweep,
  policies: readonly NamedPolicy[],
  options: SimulateOptions,
): SweepPoint[] {
  const bar = progressBar(`simulating ${sweep.values.length} values of ${sweep.field}`);
  try {
    return simulateSweep(scenario, sweep, policies, options, bar.update);
  } finally {
    bar.end();
  }
}

async function reportPolicies(
  about: SimulatedRun,
  results: readonly SimulatedPolicy[],
  { json, csv, svg }: SimulateValues,
): Promise<void> {
  if (svg !== undefined) writeChart(svg, await policyChart(about, results));
  const { scenario, seed } = about;
  if (json) printJson({ scenario, seed, results });
  else console.log(csv ? policyCsv(about, results) : policyTable(about, results));
}

async function reportSweep(
  about: SimulatedRun,
  sweep: Sweep,
  points: readonly SweepPoint[],
  { json, csv, svg }: SimulateValues,
): Promise<void> {
  if (svg !== undefined) writeChart(svg, await sweepChart(about, sweep, points));
  const { scenario, seed } = about;
  if (json) printJson({ scenario, seed, sweep, points });
  else console.log(csv ? sweepCsv(about, sweep, points) : sweepTable(about, sweep, points));
}

function printTimelines(run: SimulatedRun, { policy, seed, set = [], json }: SimulateValues): void {
  const wanted = set.some(({ field }) => field === "answerTokens");
  const { answerTokens } = run.scenario;
  const scenario = {
    ...run.scenario,
    answerTokens: wanted ? answerTokens : Math.min(TIMELINE_TOKENS, answerTokens),
  };
  const chosen = [...new Map(policy.map((one) => [one.name, one])).values()];
  const timelines: Timeline[] = chosen.map((one) => timeline(scenario, one, seed32(seed)));
  if (json) printJson({ scenario, seed: run.seed, timelines });
  else console.log(timelineText({ ...run, scenario }, timelines));
}

function printJson(value: unknown): void {
  console.log(JSON.stringify(value, null, 2));
}

/** Speed-ups are over the cloud alone: it always runs, first, and nothing runs twice. */
function cloudFirst(policies: readonly NamedPolicy[]): NamedPolicy[] {
  const byName = new Map([
    ["cloud", POLICIES.cloud],
    ...policies.map((one) => [one.name, one.policy] as const),
  ]);
  return [...byName].map(([name, policy]) => ({ name, policy }));
}

/** The simulator numbers its answers in the other half of a seed. */
function seed32({ low, high }: Seed): number {
  return (low ^ high) >>> 0;
}

/** @throws SettingError for a name that there is not; PicoSpecError `bad_file` for a file that is no scenario */
export function readScenario(given: string): Scenario {
  if (Object.hasOwn(SCENARIOS, given) || !/[./\\]/.test(given)) return scenarioNamed(given);
  const text = readText(given);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    // The message quotes the file, and that may have more lines than one.
    throw badFile(`${given} is no JSON: ${messageOf(error).replaceAll(/\s+/g, " ")}`, error);
  }
  try {
    return scenarioOf(given, value);
  } catch (error) {
    if (error instanceof SettingError) throw badFile(error.message, error);
    throw error;
  }
}

/** @throws SettingError for fields that cannot be */
function scenarioOf(given: string, value: unknown): Scenario {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return parseScenario(value);
  for (const key of Object.keys(value)) {
    const { name } = fieldNamed(key);
    if (name !== key) throw new SettingError("scenario", `${given}: write the field "${key}" as ${name}`);
  }
  return parseScenario({ name: basename(given, ".json"), ...value });
}

function badFile(message: string, cause: unknown): PicoSpecError {
  return new PicoSpecError("bad_file", message, { cause });
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code;
    const message =
      reason === "ENOENT"
        ? `there is no scenario file at ${path}; picospec simulate --scenarios lists those with a name`
        : `cannot read ${path} (${reason})`;
    throw new PicoSpecError("bad_file", message, { cause });
  }
}

function writeChart(path: string, svg: string): void {
  try {
    writeFileSync(path, svg);
  } catch (cause) {
    const reason = (cause as NodeJS.ErrnoException).code;
    throw new PicoSpecError("bad_file", `cannot write the chart to ${path} (${reason})`, { cause });
  }
  console.error(`chart: ${path}`);
}
