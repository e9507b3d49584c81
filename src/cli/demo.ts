import { Command, Option } from "commander";
import { POLICIES } from "../decoding/policy.ts";
import { freshSeed } from "../device/node.ts";
import type { Edge } from "../edge/edge.ts";
import { type RunReport, runReport } from "../edge/report.ts";
import { type Seed, seedText } from "../sampling/random.ts";
import type { DemoReport, DemoValues } from "./demo-report.ts";
import { demoTable, LiveAnswer } from "./demo-view.ts";
import { withLocalPair } from "./local-pair.ts";
import { BUNDLED_DRAFTER, BUNDLED_TARGET } from "./node.ts";
import {
  addHardwareOption,
  maxTokensOption,
  type NamedPolicy,
  number,
  policyListOption,
  seedOption,
} from "./options.ts";

/** Bundled models only know arithmetic word problems, small functions and short stories; this one they know well. */
const PROMPT = "Tell me a story about a frog and a lantern.";

export function demoCommand(): Command {
  const command = new Command("demo")
    .description(
      "one prompt, answered by the cloud alone, by the paper's pipeline and by race, on the bundled models",
    )
    .addOption(policyListOption("picospec,race"))
    .addOption(new Option("--prompt <text>", "the question").default(PROMPT))
    .addOption(
      new Option("--rtt <ms>", "round trip of the emulated network").argParser(number(0, 10_000)).default(60),
    )
    .addOption(
      new Option("--jitter <ms>", "up to this much more delay a message")
        .argParser(number(0, 10_000))
        .default(0),
    )
    .addOption(
      new Option("--mbps <rate>", "bandwidth of the emulated network")
        .argParser(number(0.001))
        .default(Number.POSITIVE_INFINITY, "no limit"),
    );
  return addHardwareOption(command, "standard")
    .addOption(maxTokensOption(400, 160))
    .addOption(new Option("--temperature <t>", "0: greedy").argParser(number(0, 100)).default(0))
    .addOption(seedOption())
    .addOption(new Option("--json", "print one JSON object and nothing else"))
    .addHelpText(
      "after",
      `
Accepted drafts are green, corrections yellow, the target's own tokens plain, and discarded drafts red.

Examples:
  $ picospec demo
  $ picospec demo --policy vanilla,picospec,race --rtt 120
  $ picospec demo --prompt "Tell me a story about a fox and a ring." --temperature 0.7 --seed 7
  $ picospec demo --hardware off --rtt 0          (no emulation: the bundled models as fast as they are)
  $ picospec demo --json --policy vanilla,picospec,edge`,
    )
    .action(demo);
}

async function demo(values: DemoValues): Promise<void> {
  const seed = values.seed ?? freshSeed();
  const report = await compare(values, seed);
  if (values.json) console.log(JSON.stringify(report, null, 2));
  else console.log(`\n${demoTable(report)}`);
}

/** Cloud alone first, then each policy, over one emulated network. */
function compare(values: DemoValues, seed: Seed): Promise<DemoReport> {
  const { rtt, jitter, mbps, hardware } = values;
  const options = { target: BUNDLED_TARGET, drafter: BUNDLED_DRAFTER, rtt, jitter, mbps, hardware };
  return withLocalPair(options, (edge) => runAll(values, seed, edge));
}

async function runAll(values: DemoValues, seed: Seed, edge: Edge): Promise<DemoReport> {
  const live = values.json ? null : new LiveAnswer(process.stdout);
  live?.intro(values, seedText(seed));
  const runs: RunReport[] = [];
  const policies: NamedPolicy[] = [{ name: "cloud", policy: POLICIES.cloud }, ...values.policy];
  const { temperature, maxTokens } = values;
  for (const { name, policy } of policies) {
    live?.begin(name);
    const { text, statistics } = await edge.ask(
      {
        prompt: [{ role: "user", content: values.prompt }],
        sampler: { temperature },
        ...{ policy, seed, maxTokens },
      },
      live?.event,
    );
    live?.end();
    runs.push(runReport(name, text, statistics));
  }
  const speedup = runs.at(-1)!.tokensPerSecond / runs[0]!.tokensPerSecond;
  return {
    prompt: values.prompt,
    seed: seedText(seed),
    emulated: { rttMs: values.rtt, pace: values.hardware?.name ?? null },
    runs,
    speedup: Math.round(speedup * 1000) / 1000,
  };
}
