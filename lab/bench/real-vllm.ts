import { POLICIES } from "../../src/decoding/policy.ts";
import type { Edge } from "../../src/edge/edge.ts";
import { quantile } from "../models/fit.ts";
import { type PairedRatio, pairedRatio } from "./grid-paired.ts";
import { type Counters, counted, NOTHING, vllmCounters } from "./vllm-counters.ts";

/**
 * vLLM alone, with its own n-gram drafts, and with an edge's: real servers and models, the network emulated. In turns: each
 * round asks all ways the same question. How many tokens a step of the engine gives is by vLLM's own counters.
 */

/** How a drafter is known to agree with the target. */
export type DrafterKind = "full" | "weak" | "useless";

export interface VllmWay {
  readonly policy: "cloud" | "race";
  /** "plain": vLLM without the plugin, which the others are compared with */
  readonly server: "plain" | "ngram" | "plugin";
  /** null: none drafts on the edge */
  readonly drafter: DrafterKind | null;
  /** connected to a gateway before that server, which no other client asks */
  readonly edge: Edge;
  /** of that server: the text of its /metrics */
  readonly metrics: () => Promise<string>;
}

export interface VllmTiming {
  readonly server: VllmWay["server"];
  readonly drafter: DrafterKind | null;
  /** median over the answers */
  readonly tokensPerSecond: number;
  /** with its 95% interval */
  readonly overPlain: PairedRatio;
  /** null: there is no such server */
  readonly overNgram: PairedRatio | null;
  /** of the engine, prefills included */
  readonly tokensPerStep: number;
  readonly draftsPerStep: number;
  /** of the drafts that the engine verified, [0, 1]; null: it verified none */
  readonly accepted: number | null;
  /** answers with the tokens of vLLM alone */
  readonly sameText: number;
  readonly answers: number;
}

export interface VllmOptions {
  readonly ways: readonly VllmWay[];
  readonly prompts: readonly string[];
  readonly rounds: number;
  readonly maxTokens: number;
  readonly progress: (fraction: number) => void;
}

/** Questions whose answers are long. */
export const VLLM_PROMPTS: readonly string[] = [
  "List five fruits and say one sentence about each.",
  "Write a short story about a fox and a ring.",
  "Explain why the sky is blue.",
  "What are the steps to bake bread?",
  "Describe a day at the sea to a child.",
  "Why do leaves change their colour in autumn?",
];

/** Before the clock starts: connections, compiled code, what is learnt of acceptance and of steps. */
const WARM_TOKENS = 48;

interface Answer {
  readonly ms: number;
  readonly tokens: readonly number[];
}

interface Kept {
  readonly answers: Answer[];
  counters: Counters;
}

export async function benchVllm(options: VllmOptions): Promise<VllmTiming[]> {
  const { ways, rounds, prompts, maxTokens, progress } = options;
  const kept: Kept[] = ways.map(() => ({ answers: [], counters: NOTHING }));
  for (const way of ways) await ask(way, prompts.at(-1)!, Math.min(WARM_TOKENS, maxTokens));
  for (let round = 0; round < rounds; round++) {
    const prompt = prompts[round % prompts.length]!;
    for (let i = 0; i < ways.length; i++) {
      const at = (i + round) % ways.length;
      const [way, own] = [ways[at]!, kept[at]!];
      // The prompt is fed before: the rate is that of answers.
      await ask(way, prompt, 1);
      const before = vllmCounters(await way.metrics());
      own.answers.push(await ask(way, prompt, maxTokens));
      own.counters = counted(own.counters, before, vllmCounters(await way.metrics()));
      progress((round * ways.length + i + 1) / (rounds * ways.length));
    }
  }
  return ways.map((way, i) => timing(way, kept[i]!, ways, kept));
}

/** Tokens/s of the drafter alone, the median over the prompts: no way with it can be much faster. */
export async function drafterRate(
  edge: Edge,
  prompts: readonly string[],
  maxTokens: number,
): Promise<number> {
  const rates: number[] = [];
  for (const prompt of prompts) {
    await ask({ edge, policy: "edge" }, prompt, 1);
    const { ms, tokens } = await ask({ edge, policy: "edge" }, prompt, maxTokens);
    rates.push((1000 * tokens.length) / ms);
  }
  return median(rates);
}

interface Asked {
  readonly edge: Edge;
  readonly policy: VllmWay["policy"] | "edge";
}

async function ask({ edge, policy }: Asked, content: string, maxTokens: number): Promise<Answer> {
  const startMs = performance.now();
  const { tokens } = await edge.ask({
    prompt: [{ role: "user", content }],
    policy: POLICIES[policy],
    sampler: { temperature: 0 },
    seed: 1,
    maxTokens,
  });
  return { ms: performance.now() - startMs, tokens: tokens.map(({ token }) => token) };
}

function timing(way: VllmWay, own: Kept, ways: readonly VllmWay[], kept: readonly Kept[]): VllmTiming {
  const of = (server: VllmWay["server"]) => kept[ways.findIndex((one) => one.server === server)];
  const perToken = ({ answers }: Kept) => answers.map(({ ms, tokens }) => ms / Math.max(1, tokens.length));
  const over = (other: Kept) => pairedRatio(perToken(own), perToken(other));
  const [plain, ngram] = [of("plain")!, of("ngram")];
  const { steps, tokens, drafts, accepted } = own.counters;
  const rates = perToken(own).map((ms) => 1000 / ms);
  const same = own.answers.filter((answer, i) => answer.tokens.join() === plain.answers[i]!.tokens.join());
  return {
    server: way.server,
    drafter: way.drafter,
    tokensPerSecond: median(rates),
    overPlain: over(plain),
    overNgram: ngram ? over(ngram) : null,
    tokensPerStep: tokens / Math.max(1, steps),
    draftsPerStep: drafts / Math.max(1, steps),
    accepted: drafts > 0 ? accepted / drafts : null,
    sameText: same.length,
    answers: own.answers.length,
  };
}

const median = (values: readonly number[]) =>
  quantile(
    [...values].sort((a, b) => a - b),
    0.5,
  );
