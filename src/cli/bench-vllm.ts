import { type Command, Option } from "commander";
import {
  benchVllm,
  type DrafterKind,
  drafterRate,
  VLLM_PROMPTS,
  type VllmTiming,
  type VllmWay,
} from "../../lab/bench/real-vllm.ts";
import { symmetricWan } from "../transport/wan.ts";
import { PicoSpecError, SettingError } from "../util/errors.ts";
import { startCloudProcess } from "./cloud-process.ts";
import { WanEdges } from "./local-pair.ts";
import { checkedModelPath, MODEL } from "./model-path.ts";
import { figure, progressBar, table } from "./output.ts";
import { wrapped } from "./text.ts";

/** The suite real before vLLM: servers that run already, gateways of our own before them, edges over an emulated WAN. */

const RTTS_MS = [0, 30, 80];
const MAX_TOKENS = 100;

export interface BenchVllmValues {
  readonly engine: string;
  readonly url?: string;
  readonly mailbox?: string;
  readonly mailboxSecretFile?: string;
  readonly plainUrl?: string;
  readonly ngramUrl?: string;
  readonly weakDrafter?: string;
  readonly uselessDrafter?: string;
  readonly sameWeights?: true;
  readonly cloudCpus?: string;
}

/** The object that `bench --json` prints of it. */
export interface VllmSuite {
  /** the drafter has the target's weights, so that it agrees more than one of its size would */
  readonly sameWeights: boolean;
  readonly maxTokens: number;
  /** tokens/s of the full drafter by itself, for each round trip, while vLLM idles */
  readonly drafterAlone: readonly number[];
  readonly timings: readonly (VllmTiming & { readonly rttMs: number })[];
}

export function addVllmOptions(command: Command): Command {
  const model = (flags: string, what: string) =>
    new Option(flags, `${what}, for the suite real with vllm: ${MODEL}`);
  return command
    .addOption(
      new Option("--engine <name>", "what runs the target of the suite real")
        .choices(["llama", "vllm"])
        .default("llama"),
    )
    .addOption(new Option("--url <url>", "of a vLLM server with the plugin"))
    .addOption(new Option("--mailbox <address>", "where its plugin takes drafts, unix:/PATH or HOST:PORT"))
    .addOption(
      new Option(
        "--mailbox-secret-file <file>",
        "with the plugin's secret (PICOSPEC_SECRET_FILE; or PICOSPEC_SECRET with the secret itself)",
      ),
    )
    .addOption(new Option("--plain-url <url>", "of a vLLM server without it, to compare with"))
    .addOption(new Option("--ngram-url <url>", "of a vLLM server with its own n-gram drafts (default: none)"))
    .addOption(model("--weak-drafter <model>", "a drafter that agrees less"))
    .addOption(model("--useless-drafter <model>", "a drafter that never agrees"))
    .addOption(new Option("--same-weights", "say that the drafter has the target's weights"))
    .addOption(new Option("--cloud-cpus <list>", "processors of the gateways, such as 0-3; Linux alone"));
}

/** A server and the gateway before it. */
interface Served {
  readonly cloudUrl: string;
  readonly metrics: () => Promise<string>;
}

interface Opened {
  readonly plain: Served;
  readonly ngram: Served | null;
  readonly plugin: Served;
  readonly full: WanEdges;
  /** `full` among them */
  readonly drafters: readonly (readonly [DrafterKind, WanEdges])[];
}

/** @throws SettingError for servers that are not given; PicoSpecError; what edges and gateways throw */
export async function benchRealVllm(
  values: BenchVllmValues,
  drafterFile: string,
  rounds: number,
): Promise<VllmSuite> {
  const closers: (() => unknown)[] = [];
  const timings: VllmSuite["timings"][number][] = [];
  const drafterAlone: number[] = [];
  try {
    const opened = await open(values, drafterFile, closers);
    for (const rttMs of RTTS_MS) {
      const ways = await waysOver(rttMs, opened);
      const bar = progressBar(`vLLM, round trips of ${rttMs} ms (emulated)`);
      const asked = { ways, prompts: VLLM_PROMPTS, rounds, maxTokens: MAX_TOKENS, progress: bar.update };
      const found = await benchVllm(asked).finally(bar.end);
      const { edge } = ways.find(({ drafter }) => drafter === "full")!;
      drafterAlone.push(await drafterRate(edge, VLLM_PROMPTS, MAX_TOKENS));
      timings.push(...found.map((one) => ({ rttMs, ...one })));
      // Minutes, so each round trip is told as it comes.
      for (const one of found) console.error(wrapped(line(rttMs, one), "  "));
    }
  } finally {
    for (const close of closers.reverse()) await close();
  }
  return { sameWeights: values.sameWeights === true, maxTokens: MAX_TOKENS, drafterAlone, timings };
}

async function open(
  values: BenchVllmValues,
  drafterFile: string,
  closers: (() => unknown)[],
): Promise<Opened> {
  const { url, mailbox, plainUrl, ngramUrl, mailboxSecretFile: secret, cloudCpus } = values;
  if (!url || !mailbox || !plainUrl) {
    const lacking = [
      ...(url ? [] : ["--url, a vLLM server with the plugin"]),
      ...(mailbox ? [] : ["--mailbox, where that plugin takes drafts (unix:/PATH or HOST:PORT)"]),
      ...(plainUrl ? [] : ["--plain-url, a vLLM server without the plugin, to compare with"]),
    ];
    throw new SettingError("engine", `vllm wants servers that run already: give ${lacking.join("; ")}`);
  }
  const gateway = async (server: string, more: readonly string[]): Promise<Served> => {
    const cpus = cloudCpus === undefined ? [] : ["--cpus", cloudCpus];
    const args = ["--engine", "vllm", "--url", server, "--port", "0", ...cpus, ...more];
    const cloud = await startCloudProcess(args);
    closers.push(() => cloud.stop());
    return { cloudUrl: cloud.url, metrics: () => metricsOf(server) };
  };
  const drafter = async (model: string) => {
    const edges = await WanEdges.load(await checkedModelPath(model), null);
    closers.push(() => edges.close());
    return edges;
  };
  const secretArgs = secret === undefined ? [] : ["--mailbox-secret-file", secret];
  const plain = await gateway(plainUrl, []);
  const ngram = ngramUrl === undefined ? null : await gateway(ngramUrl, []);
  const plugin = await gateway(url, ["--mailbox", mailbox, ...secretArgs]);
  const full = await drafter(drafterFile);
  const drafters: [DrafterKind, WanEdges][] = [["full", full]];
  if (values.weakDrafter) drafters.push(["weak", await drafter(values.weakDrafter)]);
  if (values.uselessDrafter) drafters.push(["useless", await drafter(values.uselessDrafter)]);
  return { plain, ngram, plugin, full, drafters };
}

async function waysOver(rttMs: number, { plain, ngram, plugin, full, drafters }: Opened): Promise<VllmWay[]> {
  const network = symmetricWan(rttMs);
  const alone = async (server: "plain" | "ngram", { cloudUrl, metrics }: Served): Promise<VllmWay> => {
    const edge = await full.open(cloudUrl, network);
    return { policy: "cloud", server, drafter: null, edge, metrics };
  };
  const ways = [await alone("plain", plain)];
  if (ngram) ways.push(await alone("ngram", ngram));
  for (const [drafter, edges] of drafters) {
    const edge = await edges.open(plugin.cloudUrl, network);
    ways.push({ policy: "race", server: "plugin", drafter, edge, metrics: plugin.metrics });
  }
  return ways;
}

async function metricsOf(server: string): Promise<string> {
  const url = `${server.replace(/\/+$/, "")}/metrics`;
  const answer = await fetch(url).catch(() => null);
  if (answer?.ok) return answer.text();
  throw new PicoSpecError("no_metrics", `${url} does not answer: the suite counts the engine's steps by it`);
}

const NAMES: Record<DrafterKind, string> = {
  full: "race",
  weak: "race, weaker drafter",
  useless: "race, useless drafter",
};

const nameOf = ({ server, drafter }: VllmTiming) => (drafter === null ? server : NAMES[drafter]);

function line(rttMs: number, one: VllmTiming): string {
  const over = `${figure(one.overPlain.ratio)} of plain`;
  return `RTT ${rttMs} ms, ${nameOf(one)}: ${figure(one.tokensPerSecond, 1)} tokens/s, ${over}, ${figure(one.tokensPerStep)} tokens and ${figure(one.draftsPerStep)} drafts a step, ${figure(one.accepted)} accepted`;
}

export function vllmText({ sameWeights, maxTokens, drafterAlone, timings }: VllmSuite): string {
  const head = [
    ...["RTT, ms", "vLLM", "tokens/s", "over plain", "over n-gram", "tokens/step", "drafts/step"],
    ...["accepted", "same text"],
  ];
  const lines = timings.map((one) => [
    `${one.rttMs}`,
    nameOf(one),
    figure(one.tokensPerSecond, 1),
    one.server === "plain" ? "–" : interval(one.overPlain),
    one.drafter === null || !one.overNgram ? "–" : interval(one.overNgram),
    figure(one.tokensPerStep),
    figure(one.draftsPerStep),
    one.accepted === null ? "–" : `${(100 * one.accepted).toFixed(0)}%`,
    `${one.sameText} of ${one.answers}`,
  ]);
  const shared = sameWeights
    ? "The drafter and the target share their weights, one quantised: they agree more often than a pair of different sizes. The weaker drafter has noise in its weights. "
    : "";
  const alone = drafterAlone.map((rate) => figure(rate, 1)).join(", ");
  const note = `${shared}By itself the drafter makes ${alone} tokens/s. The WAN is emulated (the round trip, no other limit); servers, models and time are real. Greedy answers of ${maxTokens} tokens, in turns, their prompts fed before; 95% intervals of the ratio. Steps and drafts are by vLLM's own /metrics; the plugin's n-gram drafts are among them.`;
  return [table([head, ...lines]), wrapped(note, "")].join("\n\n");
}

function interval({ ratio, low, high }: VllmTiming["overPlain"]): string {
  return `${figure(ratio)} (${figure(low)} to ${figure(high)})`;
}
