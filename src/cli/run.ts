import { availableParallelism } from "node:os";
import { Command, Option } from "commander";
import type { EdgeClient } from "../edge/client.ts";
import type { Drafter } from "../edge/drafter.ts";
import {
  connectEdge,
  type Generated,
  type GenerateOptions,
  generate,
  generateAlone,
} from "../edge/generate.ts";
import { LookupDrafter } from "../edge/lookup-drafter.ts";
import { type RunReport, runReport } from "../edge/report.ts";
import { seedText } from "../sampling/random.ts";
import { chatPrompt } from "../text/chat-template.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { systemClock } from "../transport/node/clock.ts";
import { connect } from "../transport/node/socket.ts";
import { SettingError } from "../util/errors.ts";
import { cloudTokenizer, type DrafterKind, type LoadedDrafter, loadDrafter } from "./edge.ts";
import { Exit, INTERRUPTED } from "./exit.ts";
import { MODEL, modelPath } from "./model-path.ts";
import { freshSecret, freshSeed, software } from "./node.ts";
import {
  addSamplerOptions,
  type GpuValue,
  gpuOption,
  type NamedPolicy,
  number,
  policyOption,
  type SamplerOptionValues,
  type SeedValue,
  samplerFrom,
  seedOption,
  whole,
} from "./options.ts";
import { figure } from "./output.ts";

interface RunValues extends GpuValue, SeedValue, SamplerOptionValues {
  readonly cloud?: string;
  readonly model?: string;
  readonly policy: NamedPolicy;
  readonly drafter: DrafterKind;
  readonly system?: string;
  readonly raw?: true;
  readonly maxTokens: number;
  readonly threads: number;
  readonly reconnect: number;
  readonly json?: true;
}

export function runCommand(): Command {
  const command = new Command("run")
    .description("answer one prompt: the text to stdout, the statistics to stderr")
    .argument("<prompt>", "the question; - reads it from stdin")
    .addOption(new Option("--cloud <url>", "the cloud, ws:// or wss:// (not needed for --policy edge)"))
    .addOption(
      new Option(
        "--model <model>",
        `the drafter, a GGUF model with the target's tokenizer: ${MODEL}; --drafter lookup can do without`,
      ),
    )
    .addOption(
      new Option("--drafter <kind>", "who drafts: the model, a look into the text, or the likelier of both")
        .choices(["model", "lookup", "both"])
        .default("both"),
    )
    .addOption(policyOption("race"))
    .addOption(new Option("--system <text>", "a system message before the prompt"))
    .addOption(new Option("--raw", "send the prompt as it is, without the model's chat template"))
    .addOption(
      new Option("--max-tokens <n>", "end the answer after so many")
        .argParser(whole(1, 1_000_000))
        .default(512),
    )
    .addOption(seedOption());
  return addSamplerOptions(command, 0.7)
    .addOption(
      new Option("--threads <n>", "of the CPU, for the drafter")
        .argParser(whole(1, 512))
        .default(Math.max(1, availableParallelism() >> 1)),
    )
    .addOption(gpuOption())
    .addOption(
      new Option(
        "--reconnect <seconds>",
        "how long to try when the link breaks; the answer goes on where it was",
      )
        .argParser(number(0, 86_400))
        .default(30),
    )
    .addOption(new Option("--json", "print one JSON object instead of the text"))
    .addHelpText(
      "after",
      `
Examples:
  $ picospec run "Tell me a story." --cloud ws://127.0.0.1:4747 --model drafter.gguf
  $ picospec run "2 + 2?" --cloud wss://gpu.example.org --model drafter.gguf --temperature 0 --json
  $ picospec run "Tell me a story." --model drafter.gguf --policy edge      (the small model alone, offline)
  $ picospec run "Say it again." --cloud ws://127.0.0.1:4747 --drafter lookup      (no model on this device)
  $ cat question.txt | picospec run - --cloud ws://127.0.0.1:4747 --model drafter.gguf`,
    )
    .action(run);
}

async function run(prompt: string, values: RunValues): Promise<void> {
  const { policy, model, cloud } = values;
  if (policy.policy.target && cloud === undefined) {
    throw new SettingError("cloud", `policy ${policy.name} needs a cloud: give --cloud ws://HOST:PORT`);
  }
  const question = prompt === "-" ? await stdin() : prompt;
  if (model === undefined) await runWithoutModel(question, values);
  else await runWithModel(question, await modelPath(model), values);
}

async function runWithModel(question: string, file: string, values: RunValues): Promise<void> {
  const { policy, threads, gpu } = values;
  const kind = policy.policy.target ? values.drafter : "model";
  const loaded = await loadDrafter({ file, threads, gpu, pace: null, kind });
  try {
    const client = policy.policy.target ? await openCloud(values, loaded.tokenizer, loaded.drafter) : null;
    try {
      await answer(question, values, loaded, client);
    } finally {
      client?.close();
    }
  } finally {
    loaded.close();
  }
}

/** The tokenizer comes from the cloud. */
async function runWithoutModel(question: string, values: RunValues): Promise<void> {
  const { policy, drafter: kind } = values;
  const drafts = policy.policy.segmentTokens > 0;
  if (!policy.policy.target || (drafts && kind !== "lookup")) {
    throw new SettingError("model", "give --model FILE, or --drafter lookup to draft without a model");
  }
  const drafter = new LookupDrafter();
  const client = await openCloud(values, { fingerprint: "" }, drafter);
  try {
    const vocabulary = await cloudTokenizer(client);
    try {
      await answer(question, values, { drafter, ...vocabulary }, client);
    } finally {
      vocabulary.close();
    }
  } finally {
    client.close();
  }
}

async function openCloud(
  { cloud, reconnect }: RunValues,
  tokenizer: Pick<Tokenizer, "fingerprint">,
  drafter: Drafter,
): Promise<EdgeClient> {
  const transport = await connect(cloud!);
  const resume = { reconnect: () => connect(cloud!), withinMs: reconnect * 1000, secret: freshSecret };
  return connectEdge({ transport, tokenizer, drafter, clock: systemClock, client: software(), resume });
}

async function answer(
  question: string,
  values: RunValues,
  { drafter, tokenizer, chatTemplate }: LoadedDrafter,
  client: EdgeClient | null,
): Promise<void> {
  const { policy, json, maxTokens } = values;
  const template = values.raw ? null : (client?.target.chatTemplate ?? chatTemplate);
  const system = values.system === undefined ? [] : [{ role: "system", content: values.system } as const];
  const prompt = chatPrompt(template, [...system, { role: "user", content: question }], tokenizer);
  const seed = values.seed ?? freshSeed();
  const interrupt = new AbortController();
  const onInterrupt = () => interrupt.abort();
  process.once("SIGINT", onInterrupt);
  let written = false;
  const options: GenerateOptions = {
    settings: { policy: policy.policy, sampler: samplerFrom(values), seed, maxTokens },
    prompt,
    tokenizer,
    part: ({ text }) => {
      if (json) return;
      process.stdout.write(text);
      written = true;
    },
    signal: interrupt.signal,
  };
  let generated: Generated;
  try {
    generated = client
      ? await generate(client, options)
      : await generateAlone(drafter, tokenizer.endTokens(), systemClock, options);
  } finally {
    process.removeListener("SIGINT", onInterrupt);
    if (written) process.stdout.write("\n");
  }
  const report = runReport(policy.name, generated.text, generated.statistics);
  if (json) console.log(JSON.stringify({ ...report, seed: seedText(seed) }, null, 2));
  else console.error(summary(report, generated, seedText(seed)));
  if (generated.reason === "cancelled") throw new Exit(INTERRUPTED);
}

function summary(report: RunReport, { reason }: Generated, seed: string): string {
  const { tokens, tokensPerSecond, timeToFirstTokenMs, acceptanceRate, targetPassesPerToken } = report;
  const parts = [
    `${tokens} tokens at ${figure(tokensPerSecond)}/s`,
    `first after ${figure(timeToFirstTokenMs, 0, " ms")}`,
    ...(acceptanceRate === null ? [] : [`${figure(100 * acceptanceRate, 0, "%")} of drafts accepted`]),
    ...(targetPassesPerToken === null ? [] : [`${figure(targetPassesPerToken)} target passes a token`]),
    `${figure(report.uplinkBytesPerToken, 0)} bytes up and ${figure(report.downlinkBytesPerToken, 0)} down a token`,
    `ended by ${reason}`,
    `seed ${seed}`,
  ];
  return `[${report.policy}: ${parts.join(", ")}]`;
}

async function stdin(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8").trim();
}
