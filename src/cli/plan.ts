import { availableParallelism } from "node:os";
import { Command, Option } from "commander";
import { probe } from "../../lab/bench/probe.ts";
import { type Sample, timedDrafter } from "../../lab/bench/real-world.ts";
import { type Estimate, type FittedScenario, fitScenario, type RateEstimate } from "../../lab/models/fit.ts";
import { parseScenario } from "../../lab/models/scenario.ts";
import { type PayoffReport, payoffReport } from "../../lab/sim/payoff.ts";
import { withSettings } from "../../lab/sim/sweep.ts";
import { POLICIES } from "../decoding/policy.ts";
import { loadDrafter } from "../device/drafter.ts";
import { freshSeed, software } from "../device/node.ts";
import { Pairings } from "../device/pairing.ts";
import { connectEdge } from "../edge/connect.ts";
import { Edge } from "../edge/edge.ts";
import { systemClock } from "../transport/node/clock.ts";
import { connect } from "../transport/node/connect.ts";
import { SettingError } from "../util/errors.ts";
import { addCredentialOptions, type CredentialValues, credentialsOf } from "./credentials.ts";
import { MODEL, modelPath } from "./model-path.ts";
import { type GpuValue, gpuOption, number, whole } from "./options.ts";
import { figure, progressBar, table } from "./output.ts";
import { defaultPolicies, readScenario, type SetValue, setOption } from "./simulate.ts";
import { shortened, wrapped } from "./text.ts";

interface PlanValues extends GpuValue, SetValue, CredentialValues {
  readonly cloud?: string;
  readonly model?: string;
  readonly scenario?: string;
  readonly prompt: string;
  readonly temperature: number;
  readonly threads: number;
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
    .addOption(new Option("--cloud <url>", "measure this cloud for less than ten seconds: needs --model"));
  return addCredentialOptions(command)
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
      new Option("--threads <n>", "of the CPU, for the drafter")
        .argParser(whole(1, 512))
        .default(Math.max(1, availableParallelism() >> 1)),
    )
    .addOption(
      new Option("--answers <n>", "simulated for each policy").argParser(whole(4, 10_000)).default(20),
    )
    .addOption(gpuOption())
    .addOption(setOption())
    .addOption(new Option("--json", "print one JSON object and nothing else"))
    .addHelpText(
      "after",
      `
Measured: round trip, bandwidth, times of passes and drafts, acceptance. The speed of each policy is simulated from
these numbers, and from assumptions where the measurements do not settle one.

Examples:
  $ picospec plan --cloud ws://127.0.0.1:4747 --model drafter.gguf
  $ picospec plan --scenario transatlantic
  $ picospec plan --scenario laptop-gpu --set rtt=150 --set acceptance=0.5 --json`,
    )
    .action(run);
}

async function run(values: PlanValues): Promise<void> {
  const known =
    values.scenario === undefined
      ? await measured(values)
      : { scenario: readScenario(values.scenario), intervals: {} };
  const fitted: FittedScenario = { ...known, scenario: withSettings(known.scenario, values.set ?? []) };
  const certain = Object.keys(fitted.intervals).length === 0;
  const report = payoffReport(fitted, {
    policies: defaultPolicies(),
    seed: SEED,
    draws: certain ? 0 : DRAWS,
    answers: values.answers,
  });
  if (values.json) {
    const { policies, choice, advice } = report;
    console.log(
      JSON.stringify(
        { scenario: fitted.scenario, measured: fitted.intervals, policies, choice, advice },
        null,
        2,
      ),
    );
    return;
  }
  console.log(
    [measurementTable(fitted), planTable(report), wrapped(report.advice.join("\n"))]
      .filter(Boolean)
      .join("\n\n"),
  );
}

async function measured(values: PlanValues): Promise<FittedScenario> {
  const { cloud, model, threads, gpu, prompt, temperature } = values;
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
    threads,
    gpu,
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
      const single = samples.filter(({ rows, prefill }) => rows === 1 && prefill === 0).map(({ ms }) => ms);
      const base = parseScenario({
        name: client.target.name,
        description: `measured at ${cloud}`,
        ...{ rttMs: 0, draftMs: 1, passMs: 1, acceptance: 0.7, acceptanceCoupled: 0.7 },
        vocabularySize: client.target.vocabularySize,
      });
      return fitScenario(base, { ...measurements, ...(single.length > 2 ? { draftsMs: single } : {}) });
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
