import { benchFollowed, CHANGED_PASSES_MS, type Followed } from "../../lab/bench/followed.ts";
import { frameCost, pings } from "../../lab/bench/probe.ts";
import { BENCH_PROMPTS } from "../../lab/bench/prompts.ts";
import { benchReal, type RealTiming, rowCost } from "../../lab/bench/real.ts";
import { passTimes, predictReal } from "../../lab/bench/real-prediction.ts";
import { quantile } from "../../lab/models/fit.ts";
import { halvesOfCpus, keepToCpus } from "../device/cpus.ts";
import { createEdge } from "../device/edge.ts";
import { software } from "../device/node.ts";
import { connectEdge } from "../edge/connect.ts";
import type { Edge } from "../edge/edge.ts";
import type { PassEngine } from "../engine/engine.ts";
import { LlamaModel } from "../engine/llama/model.ts";
import { llamaTargetModel } from "../engine/llama/models.ts";
import { LlamaTokenizer } from "../engine/llama/tokenizer.ts";
import { samplerSettings } from "../sampling/settings.ts";
import { chatPrompt } from "../text/chat-template.ts";
import { systemClock } from "../transport/node/clock.ts";
import { connect } from "../transport/node/connect.ts";
import { besideBusy } from "./busy.ts";
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

/** A cloud that runs, an edge, and the models of both sides. */
interface Pair extends BenchRealOptions {
  readonly edge: Edge;
  readonly bare: PassEngine;
  readonly prompts: readonly Int32Array[];
  readonly url: string;
  /** that the cloud keeps to; null: any */
  readonly cpus: string | null;
}

interface Simulated {
  /** of one token and more, the draws included: medians, ms */
  readonly passesMs: readonly number[];
  /** what a further row adds while drafts come in */
  readonly rowMs: number;
  readonly rttMs: number;
  readonly draftMs: number;
  readonly frameMs: number;
  readonly acceptance: number;
  /** tokens/s */
  readonly cloud: number;
  readonly race: number;
}

export interface RealReport extends RealTiming {
  /** by the simulator, fed with times of this machine; null: of several clients */
  readonly simulated: Simulated | null;
}

export interface RealSuite {
  readonly timings: readonly RealReport[];
  readonly followed: Followed;
}

export async function benchRealAll(options: BenchRealOptions): Promise<RealSuite> {
  const timings: RealReport[] = [];
  const halves = halvesOfCpus();
  if (halves) keepToCpus(halves[1]);
  for (const clients of CLIENTS) timings.push(await benchClients(clients, halves?.[0] ?? null, options));
  const bar = progressBar("a target that changes (emulated)");
  const asked = { ...options, prompts: BENCH_PROMPTS, temperature: TEMPERATURE };
  const followed = await benchFollowed({ ...asked, progress: bar.update }).finally(bar.end);
  return { timings, followed };
}

/** @param cloudCpus what the cloud keeps to; null: what it may */
async function benchClients(
  clients: number,
  cloudCpus: string | null,
  options: BenchRealOptions,
): Promise<RealReport> {
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
    const prompts = promptsFor(model);
    const timing = await inTurns(edge, bare, model, prompts, clients, options);
    // Of several clients the drafter is one, which the simulator does not know of.
    const simulated =
      clients > 1
        ? null
        : await predicted(timing, { edge, bare, prompts, url: cloud.url, cpus: cloudCpus, ...options });
    return { ...timing, simulated };
  } finally {
    for (const close of opened.reverse()) await close();
  }
}

function promptsFor(model: LlamaModel): Int32Array[] {
  const tokenizer = new LlamaTokenizer(model);
  return BENCH_PROMPTS.map((content) =>
    chatPrompt(
      model.file.chatTemplate,
      [
        { role: "system", content: SYSTEM },
        { role: "user", content },
      ],
      tokenizer,
    ),
  );
}

async function inTurns(
  edge: Edge,
  bare: PassEngine,
  model: LlamaModel,
  prompts: readonly Int32Array[],
  clients: number,
  { rounds, maxTokens }: BenchRealOptions,
): Promise<RealTiming> {
  const endTokens = new LlamaTokenizer(model).endTokens();
  const bar = progressBar(`${clients} ${clients === 1 ? "client" : "clients"}`);
  const asked = { clients, rounds, maxTokens, temperature: TEMPERATURE, progress: bar.update };
  return benchReal({ edge, bare, endTokens, prompts, ...asked }).finally(bar.end);
}

/** The simulator's word, from what is measured here without cloud and edge; acceptance alone is race's own. */
async function predicted(timing: RealTiming, pair: Pair): Promise<Simulated> {
  const { edge, bare, prompts, url, cpus, targetFile, drafterFile, rounds, maxTokens } = pair;
  const prompt = prompts[0]!;
  const sampler = samplerSettings({ temperature: TEMPERATURE });
  const passesMs = await passTimes(bare, prompt, sampler);
  const asked = {
    edge,
    bare,
    endTokens: [],
    prompts,
    clients: 1,
    rounds,
    maxTokens,
    temperature: TEMPERATURE,
  };
  const rowMs = await rowCost(asked, passesMs[0]!);
  const model = await LlamaModel.load(drafterFile, { gpu: "off" });
  try {
    const shape = { kvSlots: 1, threads: 1, contextTokens: CONTEXT_TOKENS };
    const drafter = await llamaTargetModel(model, shape);
    const drafts = () => passTimes(drafter, prompt, sampler);
    const [draftMs = 0] = await besideBusy(targetFile, cpus, drafts).finally(() => drafter.close());
    const tokenizer = new LlamaTokenizer(model);
    const link = { transport: await connect(url), tokenizer, drafter: null, clock: systemClock };
    const client = await connectEdge({ ...link, client: software() });
    const measured = async () => [await pings(client), await frameCost(client, cpuMs)] as const;
    const [rtts, frameMs] = await measured().finally(() => client.close());
    const rttMs = quantile(
      [...rtts].sort((a, b) => a - b),
      0.5,
    );
    const { accepted, judged, answerTokens } = timing;
    const facts = {
      passesMs,
      rowMs,
      rttMs,
      draftMs,
      frameMs,
      acceptance: judged > 0 ? accepted / judged : 0.7,
    };
    const promptTokens = prompt.length;
    return {
      ...facts,
      ...predictReal({ ...facts, promptTokens, answerTokens: Math.round(answerTokens) }),
    };
  } finally {
    model.close();
  }
}

export function realText({ timings, followed }: RealSuite): string {
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
  const told = timings.flatMap(({ simulated, tokensPerSecond }) =>
    simulated ? [wrapped(simulatedText(simulated, tokensPerSecond), "")] : [],
  );
  const [fast, slow] = CHANGED_PASSES_MS;
  const change = `Emulated hardware: where passes go from ${fast} to ${slow} ms, drafts are there after ${followed.begun.join(", ")} tokens; and back, they rest after ${followed.rested.join(", ")}.`;
  return [table([head, ...lines]), ...told, wrapped(note, ""), wrapped(change, "")].join("\n\n");
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function simulatedText(one: Simulated, measured: RealTiming["tokensPerSecond"]): string {
  const off = (way: "cloud" | "race") => {
    const error = 100 * (one[way] / measured[way] - 1);
    return `${way} ${figure(one[way], 1)} tokens/s (${error >= 0 ? "+" : ""}${error.toFixed(0)}%)`;
  };
  const passes = one.passesMs.map((ms) => figure(ms)).join(", ");
  return `Simulated for one client: ${off("cloud")}, ${off("race")}; from passes of ${passes} ms for 1 to ${one.passesMs.length} rows, ${figure(one.rowMs)} ms more for a row while drafts come in, ${figure(one.draftMs)} ms a draft beside the target, ${figure(one.frameMs, 3)} ms of processor time a frame, a round trip of ${figure(one.rttMs)} ms and ${figure(one.acceptance)} of the drafts accepted.`;
}

function interval({ ratio, low, high }: RealTiming["raceOverCloud"]): string {
  return `${figure(ratio)} (${figure(low)} to ${figure(high)})`;
}
