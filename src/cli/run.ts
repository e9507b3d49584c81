import { Command, Option } from "commander";
import type { DeviceEdge } from "../device/edge.ts";
import { freshSeed } from "../device/node.ts";
import type { WholeAnswer } from "../edge/edge.ts";
import type { AnswerObserver } from "../edge/observer.ts";
import { type RunReport, runReport } from "../edge/report.ts";
import { seedText } from "../sampling/random.ts";
import { unlessAborted } from "../util/abort.ts";
import { type AskValues, addAskOptions, openEdge, standInNotice } from "./ask.ts";
import { Exit, INTERRUPTED } from "./exit.ts";
import { openTrace, type TraceValue, traceOption } from "./operations.ts";
import { samplerFrom } from "./options.ts";
import { colours, figure } from "./output.ts";
import { printable, wrapped } from "./text.ts";

interface RunValues extends AskValues, TraceValue {
  readonly json?: true;
}

export function runCommand(): Command {
  const command = new Command("run")
    .description("answer one prompt: the text to stdout, the statistics to stderr")
    .argument("<prompt>", "the question; - reads it from stdin");
  return addAskOptions(command)
    .addOption(new Option("--json", "print one JSON object instead of the text"))
    .addOption(traceOption("draft steps and frames of the answer"))
    .addHelpText(
      "after",
      `
Examples:
  $ picospec run "Tell me a story about a fox and a ring." --cloud ws://127.0.0.1:4747 --model drafter.gguf
  $ picospec run "2 + 2?" --cloud wss://gpu.example.org --model drafter.gguf --temperature 0 --json
  $ picospec run "Tell me a story about a fox and a ring." --model drafter.gguf --policy edge      (the small model alone, offline)
  $ picospec run "Say it again." --cloud ws://127.0.0.1:4747 --drafter lookup      (no model on this device)
  $ cat question.txt | picospec run - --cloud ws://127.0.0.1:4747 --model drafter.gguf`,
    )
    .action(run);
}

async function run(prompt: string, values: RunValues): Promise<void> {
  const trace = openTrace(values);
  try {
    const edge = await openEdge(values);
    try {
      const question = prompt === "-" ? await stdin() : prompt;
      await answer(question, values, edge, trace?.edge.observer() ?? null);
    } finally {
      await edge.close();
    }
  } finally {
    trace?.close();
  }
}

async function answer(
  question: string,
  values: RunValues,
  edge: DeviceEdge,
  observer: AnswerObserver | null,
): Promise<void> {
  const { policy, json, maxTokens, raw = false } = values;
  const system = values.system === undefined ? [] : [{ role: "system", content: values.system } as const];
  const messages = [...system, { role: "user", content: question } as const];
  const seed = values.seed ?? freshSeed();
  const interrupt = new AbortController();
  const onInterrupt = () => interrupt.abort();
  process.once("SIGINT", onInterrupt);
  let written = false;
  let whole: WholeAnswer;
  try {
    const sampler = samplerFrom(values);
    const { signal } = interrupt;
    const answerer = await unlessAborted(edge.answerer(), signal);
    const notice = answerer && standInNotice(answerer);
    if (notice !== null) console.error(colours(process.stderr).dim(notice));
    const more = { ...(answerer ? { answerer } : {}), ...(observer ? { observer } : {}) };
    whole = await edge.ask({ prompt: messages, raw, sampler, seed, maxTokens, signal, ...more }, (event) => {
      if (json || event.type !== "text") return;
      // Into a file or a pipe as it is.
      process.stdout.write(process.stdout.isTTY ? printable(event.text) : event.text);
      written = true;
    });
  } finally {
    process.removeListener("SIGINT", onInterrupt);
    if (written) process.stdout.write("\n");
  }
  const answered = whole.answeredBy === "edge" ? "edge" : policy.name;
  const report = runReport(answered, whole.text, whole.statistics);
  if (json) console.log(JSON.stringify({ ...report, seed: seedText(seed) }, null, 2));
  else console.error(summary(report, whole, seedText(seed)));
  if (whole.reason === "cancelled") throw new Exit(INTERRUPTED);
}

function summary(report: RunReport, { reason }: WholeAnswer, seed: string): string {
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
  return wrapped(`[${report.policy}: ${parts.join(", ")}]`);
}

async function stdin(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8").trim();
}
