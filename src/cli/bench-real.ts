import { BENCH_PROMPTS } from "../../lab/bench/prompts.ts";
import { benchReal, type RealTiming } from "../../lab/bench/real.ts";
import { halvesOfCpus, keepToCpus } from "../device/cpus.ts";
import { createEdge } from "../device/edge.ts";
import type { Edge } from "../edge/edge.ts";
import type { PassEngine } from "../engine/engine.ts";
import { LlamaModel } from "../engine/llama/model.ts";
import { llamaTargetModel } from "../engine/llama/models.ts";
import { LlamaTokenizer } from "../engine/llama/tokenizer.ts";
import { chatPrompt } from "../text/chat-template.ts";
import { startCloudProcess } from "./cloud-process.ts";
import { figure, progressBar, table } from "./output.ts";
import { wrapped } from "./text.ts";

/** The suite real: race, the cloud alone and a bare loop over the engine, on this machine as it is. */

const CLIENTS = [1, 8];
const TEMPERATURE = 0.7;
const CONTEXT_TOKENS = 1024;
/** Prompts are long enough for their KV to be kept, so that it is there when the clock starts. */
const SYSTEM = "You are a helpful assistant.";

export interface BenchRealOptions {
  readonly targetFile: string;
  readonly drafterFile: string;
  readonly rounds: number;
  /** of each answer, at most */
  readonly maxTokens: number;
}

export async function benchRealAll(options: BenchRealOptions): Promise<RealTiming[]> {
  const timings: RealTiming[] = [];
  const halves = halvesOfCpus();
  if (halves) keepToCpus(halves[1]);
  for (const clients of CLIENTS) timings.push(await benchClients(clients, halves?.[0] ?? null, options));
  return timings;
}

/** @param cloudCpus what the cloud keeps to; null: what it may */
async function benchClients(
  clients: number,
  cloudCpus: string | null,
  options: BenchRealOptions,
): Promise<RealTiming> {
  const { targetFile, drafterFile } = options;
  const opened: (() => unknown)[] = [];
  try {
    // ggml's threads spin: with both sides on one machine each gets one.
    const cloud = await startCloudProcess([
      ...["--model", targetFile, "--port", "0", "--gpu", "off", "--threads", "1"],
      ...["--kv-slots", `${clients}`, "--context", `${CONTEXT_TOKENS}`],
      ...(cloudCpus === null ? [] : ["--cpus", cloudCpus]),
    ]);
    opened.push(() => cloud.stop());
    const model = await LlamaModel.load(targetFile, { gpu: "off" });
    opened.push(() => model.close());
    const shape = { kvSlots: clients, threads: 1, contextTokens: CONTEXT_TOKENS };
    const bare = await llamaTargetModel(model, shape);
    opened.push(() => bare.close());
    const edge = await createEdge({ cloud: cloud.url, model: drafterFile, threads: 1, gpu: "off" });
    opened.push(() => edge.close());
    return await inTurns(edge, bare, model, clients, options);
  } finally {
    for (const close of opened.reverse()) await close();
  }
}

async function inTurns(
  edge: Edge,
  bare: PassEngine,
  model: LlamaModel,
  clients: number,
  { rounds, maxTokens }: BenchRealOptions,
): Promise<RealTiming> {
  const tokenizer = new LlamaTokenizer(model);
  const prompts = BENCH_PROMPTS.map((content) =>
    chatPrompt(
      model.file.chatTemplate,
      [
        { role: "system", content: SYSTEM },
        { role: "user", content },
      ],
      tokenizer,
    ),
  );
  const endTokens = tokenizer.endTokens();
  const bar = progressBar(`${clients} ${clients === 1 ? "client" : "clients"}`);
  const asked = { clients, rounds, maxTokens, temperature: TEMPERATURE, progress: bar.update };
  return benchReal({ edge, bare, endTokens, prompts, ...asked }).finally(bar.end);
}

export function realText(timings: readonly RealTiming[]): string {
  const head = [
    "clients",
    "bare loop, tokens/s",
    "cloud",
    "race",
    "cloud over bare",
    "race over cloud",
    "passes/token",
    "accepted",
    "same text",
  ];
  const lines = timings.map((one) => [
    `${one.clients}`,
    ...(["bare", "cloud", "race"] as const).map((way) => figure(one.tokensPerSecond[way], 1)),
    interval(one.cloudOverBare),
    interval(one.raceOverCloud),
    figure(one.passesPerToken),
    one.judged === 0 ? "–" : `${((100 * one.accepted) / one.judged).toFixed(0)}%`,
    `${one.sameText} of ${one.answers}`,
  ]);
  const note =
    "Nothing is emulated: cloud and edge are processes of this machine, over loopback, with a thread and half of the processors each. After a warm-up, in turns; 95% intervals of the ratio. The bare loop asks the same engine for the same draws, and does nothing else.";
  return `${table([head, ...lines])}\n\n${wrapped(note, "")}`;
}

function interval({ ratio, low, high }: RealTiming["raceOverCloud"]): string {
  return `${figure(ratio)} (${figure(low)} to ${figure(high)})`;
}
