import { Command, Option } from "commander";
import { measurePays, type Pays } from "../../lab/bench/pays.ts";
import { probe } from "../../lab/bench/probe.ts";
import { type Sample, timedDrafter } from "../../lab/bench/real-world.ts";
import { type Estimate, type FittedScenario, fitScenario, type RateEstimate } from "../../lab/models/fit.ts";
import { parseScenario } from "../../lab/models/scenario.ts";
import { type PayoffReport, payoffReport } from "../../lab/sim/payoff.ts";
import { withSettings } from "../../lab/sim/sweep.ts";
import { POLICIES } from "../decoding/policy.ts";
import { defaultThreads, isLoopback } from "../device/cores.ts";
import { loadDrafter } from "../device/drafter.ts";
import { freshSeed, software } from "../device/node.ts";
import { Pairings } from "../device/pairing.ts";
import { connectEdge } from "../edge/connect.ts";
import { Edge } from "../edge/edge.ts";
import { checkCompute, computeOf } from "../engine/llama/compute.ts";
import { systemClock } from "../transport/node/clock.ts";
import { connect } from "../transport/node/connect.ts";
import { SettingError } from "../util/errors.ts";
import { addCredentialOptions, type CredentialValues, credentialsOf } from "./credentials.ts";
import { MODEL, modelPath } from "./model-path.ts";
import { addComputeOptions, type GpuValue, number, whole } from "./options.ts";
import { figure, progressBar, table } from "./output.ts";
import { defaultPolicies, readScenario, type SetValue, setOption } from "./simulate.ts";
import { shortened, wrapped } from "./text.ts";

interface PlanValues extends GpuValue, SetValue, CredentialValues {
  readonly cloud?: string;
  readonly model?: string;
  readonly scenario?: string;
  readonly prompt: string;
  readonly temperature: number;
  readonly threads?: number;
  readonly answers: number;
  readonly json?: true;
}

/** Scenarios drawn from what was measured: enough to see a range, few enough to take seconds. */
const DRAWS = 12;
const SEED = 1;

export function planCommand(): Command {
  const command = new Command("plan")
    .description(
      "whether PicoSpec pays off here, and which policy to take: from a short look at a real cloud, or a scenario",
    )
    .addOption(new Option("--cloud <url>", "measure this cloud for some thirty seconds: needs --model"));
  addComputeOptions(addCredentialOptions(command));
  return command
    .addOption(
      new Option("--model <model>", `the drafter, a GGUF model with the target's tokenizer: ${MODEL}`),
    )
    .addOption(
      new Option("--scenario <file|name>", "plan for this instead of measuring").conflicts([
        "cloud",
        "model",
      ]),
    )
    .addOption(
      new Option("--prompt <text>", "what is asked while measuring").default(
        "Tell me a story about a frog and a lantern.",
      ),
    )
    .addOption(
      new Option("--temperature <t>", "of the answers that you plan for")
        .argParser(number(0, 100))
        .default(0.7),
    )
    .addOption(
      new Option(
        "--threads <n>",
        "of the CPU, for the drafter (default: this machine's cores but one, or half where the cloud is here too)",
      ).argParser(whole(1, 512)),
    )
    .addOption(
      new Option("--answers <n>", "simulated for each policy").argParser(whole(4, 10_000)).default(20),
    )
    .addOption(setOption())
    .addOption(new Option("--json", "print one JSON object and nothing else"))
    .addHelpText(
      "after",
      `
Measured: round trip, bandwidth, times of passes and drafts, acceptance; then race and the cloud alone in turns. The
speed of each policy is simulated from these numbers, and from assumptions where the measurements do not settle one.

Examples:
  $ picospec plan --cloud ws://127.0.0.1:4747 --model drafter.gguf
  $ picospec plan --scenario transatlantic
  $ picospec plan --scenario laptop-gpu --set rtt=150 --set acceptance=0.5 --json`,
    )
    .action(run);
}

async function run(values: PlanValues): Promise<void> {
  const known: Measured =
    values.scenario === undefined
      ? await measured(values)
      : { scenario: readScenario(values.scenario), intervals: {}, pays: null };
  const { intervals } = known;
  const fitted: FittedScenario = { intervals, scenario: withSettings(known.scenario, values.set ?? []) };
  // What was changed by hand was not measured.
  const pays = (values.set ?? []).length === 0 ? known.pays : null;
  const certain = Object.keys(fitted.intervals).length === 0;
  const simulated = payoffReport(fitted, {
    policies: defaultPolicies(),
    seed: SEED,
    draws: certain ? 0 : DRAWS,
    answers: values.answers,
  });
  const report = pays ? seenReport(simulated, pays) : simulated;
  if (values.json) {
    const { policies, choice, advice } = report;
    const told = { scenario: fitted.scenario, measured: fitted.intervals, policies, choice, advice };
    const { ratio, low, high, pairs, verdict } = pays ?? {};
    const seen = pays ? { raceOverCloud: { ratio, low, high, pairs, verdict } } : {};
    console.log(JSON.stringify({ ...told, ...seen }, null, 2));
    return;
  }
  console.log(
    [measurementTable(fitted), planTable(report), wrapped(report.advice.join("\n"))]
      .filter(Boolean)
      .join("\n\n"),
  );
}

interface Measured extends FittedScenario {
  /** null: there is no cloud, or its answers are too slow or too short to tell */
  readonly pays: Pays | null;
}

/** Answers in turns are asked for so long, ms. */
const PAYS_MS = 20_000;

async function measured(values: PlanValues): Promise<Measured> {
  const { cloud, model, threads, gpu, prompt, temperature } = values;
  checkCompute(values, gpu);
  if (cloud === undefined || model === undefined) {
    throw new SettingError(
      "cloud",
      "give --cloud URL and --model FILE to measure, or --scenario NAME to plan without a cloud",
    );
  }
  const samples: Sample[] = [];
  const bar = progressBar(`loading ${model}`);
  const drafter = await loadDrafter({
    file: await modelPath(model),
    threads: threads ?? defaultThreads(isLoopback(cloud)),
    gpu,
    ...computeOf(values),
    hardware: null,
    watch: (one) => timedDrafter(one, samples),
    progress: bar.update,
  }).finally(bar.end);
  const pairings = new Pairings(drafter);
  try {
    const client = await pairings.open(async (pairing) =>
      connectEdge({
        transport: await connect(cloud, credentialsOf(values, [cloud])),
        tokenizer: { fingerprint: "" },
        drafter: pairing.drafter,
        clock: systemClock,
        client: software(),
      }),
    );
    const { tokenizer } = pairings.of(client);
    try {
      const edge = new Edge({
        ...{ remote: client, local: null, tokenizer, chatTemplate: drafter.chatTemplate },
        ...{ freshSeed, policy: POLICIES.race },
      });
      const measurements = await probe({ client, edge, prompt, temperature, progress: tell });
      tell("race and the cloud alone, in turns");
      const passMs = measurements.passes?.[0]?.ms ?? 100;
      const pays = await measurePays({ edge, prompt, temperature, passMs, withinMs: PAYS_MS });
      const single = samples.filter(({ rows, prefill }) => rows === 1 && prefill === 0).map(({ ms }) => ms);
      const base = parseScenario({
        name: client.target.name,
        description: `measured at ${cloud}`,
        ...{ rttMs: 0, draftMs: 1, passMs: 1, acceptance: 0.7, acceptanceCoupled: 0.7 },
        vocabularySize: client.target.vocabularySize,
      });
      const drafts = single.length > 2 ? { draftsMs: single } : {};
      const passes = [...(measurements.passes ?? []), ...(pays?.passes ?? [])];
      const coupled = pays && pays.coupled.judged > 0 ? { coupled: pays.coupled } : {};
      return { ...fitScenario(base, { ...measurements, passes, ...coupled, ...drafts }), pays };
    } finally {
      client.close();
    }
  } finally {
    pairings.close();
    drafter.close();
  }
}

function tell(what: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r${shortened(`measuring: ${what}`, 79).padEnd(79)}\r`);
}

/** What was seen counts for more than what is simulated. */
function seenReport(report: PayoffReport, { ratio, low, high, pairs, verdict }: Pays): PayoffReport {
  const simulated = report.choice === "cloud" ? "cloud" : "race";
  const choice = verdict === null || verdict === simulated ? report.choice : verdict;
  const says = {
    race: "PicoSpec pays off here",
    cloud: "PicoSpec does not pay off here",
    null: "It cannot be told whether PicoSpec pays off here; measure again when both machines are less busy",
  }[`${verdict}`];
  const seen = `${says}: in turns race was ${ratio.toFixed(2)} times (${low.toFixed(2)} to ${high.toFixed(2)}) as fast as the cloud alone, over ${pairs} pairs of answers.`;
  // What the simulation advises holds where it agrees; what it assumed is told last.
  const rest =
    choice === report.choice && verdict !== null ? report.advice.slice(1) : report.advice.slice(-1);
  return { ...report, choice, advice: [seen, ...rest] };
}

function measurementTable({ scenario, intervals }: FittedScenario): string {
  const rows = Object.entries(intervals).map(([field, interval]) => {
    const { value, low, high } = interval as Estimate | RateEstimate;
    return [field, figure(value, 3), `${figure(low, 3)} to ${high === null ? "no limit" : figure(high, 3)}`];
  });
  if (rows.length === 0) return wrapped(`${scenario.name}: ${scenario.description}`);
  return `${scenario.name}, ${scenario.description}\n${table([["measured", "value", "95%"], ...rows])}`;
}

function planTable({ policies, choice }: PayoffReport): string {
  const rows = policies.map(({ policy, tokensPerSecond, speedup, targetPassesPerToken }) => [
    policy === choice ? `${policy} (take this)` : policy,
    `${figure(tokensPerSecond.value, 1)} (${figure(tokensPerSecond.low, 1)} to ${figure(tokensPerSecond.high, 1)})`,
    `${figure(speedup.value, 2, "x")} (${figure(speedup.low, 2)} to ${figure(speedup.high, 2)})`,
    figure(targetPassesPerToken),
  ]);
  return table([["simulated", "tokens/s", "over the cloud alone", "target passes a token"], ...rows]);
}
