import { POLICIES } from "../../src/decoding/policy.ts";
import type { Edge } from "../../src/edge/edge.ts";
import type { PassEngine } from "../../src/engine/engine.ts";
import { toSeed } from "../../src/sampling/random.ts";
import { samplerSettings } from "../../src/sampling/sampler.ts";
import { quantile } from "../models/fit.ts";
import { bareLoop } from "./bare-loop.ts";
import { type PairedRatio, pairedRatio } from "./grid-paired.ts";

/**
 * Nothing emulated: a cloud in a process of its own, the drafter in this one, and a loop over the target's engine with
 * nothing around it. In turns: each round asks the same questions of all, in another order.
 */

const REAL_WAYS = ["bare", "cloud", "race"] as const;
export type RealWay = (typeof REAL_WAYS)[number];

export interface RealTiming {
  readonly clients: number;
  readonly rounds: number;
  /** medians over the rounds, of all clients together */
  readonly tokensPerSecond: Readonly<Record<RealWay, number>>;
  /** ratios of the rounds' rates, with their 95% intervals */
  readonly raceOverCloud: PairedRatio;
  readonly cloudOverBare: PairedRatio;
  /** of race's answers: passes of the target for each token; drafts that were judged, and of them accepted */
  readonly passesPerToken: number;
  readonly accepted: number;
  readonly judged: number;
  /** mean, of race */
  readonly answerTokens: number;
  /** answers that were the same from all */
  readonly sameText: number;
  readonly answers: number;
}

export interface RealOptions {
  /** connected to the cloud, which nobody else asks */
  readonly edge: Edge;
  /** over the same file as the cloud's, with a thread of its own */
  readonly bare: PassEngine;
  readonly endTokens: readonly number[];
  /** token ids, Int32Array[n] each; as many as clients at least */
  readonly prompts: readonly Int32Array[];
  readonly clients: number;
  readonly rounds: number;
  readonly maxTokens: number;
  readonly temperature: number;
  readonly progress?: (fraction: number) => void;
}

/** What is compiled and learnt at first takes so many tokens of each way, or so long. */
const WARM_TOKENS = 4000;
const MOST_WARM_MS = 60_000;

interface Turn {
  readonly tokens: number;
  readonly ms: number;
  readonly answers: readonly (readonly number[])[];
}

interface Counts {
  passes: number;
  tokens: number;
  accepted: number;
  judged: number;
}

export async function benchReal(options: RealOptions): Promise<RealTiming> {
  const { clients, rounds, progress = () => {} } = options;
  const rates: Record<RealWay, number[]> = { bare: [], cloud: [], race: [] };
  const counts: Counts = { passes: 0, tokens: 0, accepted: 0, judged: 0 };
  let [same, answers] = [0, 0];
  for (const way of REAL_WAYS) await warmUp(way, options);
  for (let round = 1; round <= rounds; round++) {
    const turns: Partial<Record<RealWay, Turn>> = {};
    for (let i = 0; i < REAL_WAYS.length; i++) {
      const way = REAL_WAYS[(i + round) % REAL_WAYS.length]!;
      turns[way] = await turn(way, round, options, counts);
    }
    progress(round / rounds);
    const { bare, cloud, race } = turns as Record<RealWay, Turn>;
    for (const way of REAL_WAYS) rates[way].push((1000 * turns[way]!.tokens) / turns[way]!.ms);
    for (let i = 0; i < clients; i++) {
      const texts = [bare, cloud, race].map(({ answers: all }) =>
        all[i]!.filter((token) => !options.endTokens.includes(token)).join(),
      );
      answers++;
      if (new Set(texts).size === 1) same++;
    }
  }
  const median = (way: RealWay) =>
    quantile(
      [...rates[way]].sort((a, b) => a - b),
      0.5,
    );
  const times = (all: readonly number[]) => all.map((rate) => 1 / rate);
  return {
    clients,
    rounds,
    tokensPerSecond: { bare: median("bare"), cloud: median("cloud"), race: median("race") },
    raceOverCloud: pairedRatio(times(rates.race), times(rates.cloud)),
    cloudOverBare: pairedRatio(times(rates.cloud), times(rates.bare)),
    passesPerToken: counts.passes / Math.max(1, counts.tokens),
    accepted: counts.accepted,
    judged: counts.judged,
    answerTokens: counts.tokens / Math.max(1, answers),
    sameText: same,
    answers,
  };
}

/** Windows of drafts that give passes of different sizes. */
const FORCED_WINDOWS = [1, 2, 3, 4];
const FORCED_ROUNDS = 4;

/**
 * What a further row adds to a pass, ms, where drafts come in while it runs: frames, draws, and whatever waits for the
 * processor. Answers of one client, with drafts whether they pay or not.
 * @param passMs of one row, the same included
 */
export async function rowCost(options: RealOptions, passMs: number): Promise<number> {
  const { edge, prompts, maxTokens, temperature } = options;
  let [ms, passes, rows] = [0, 0, 0];
  for (let round = 0; round < FORCED_ROUNDS; round++) {
    for (const windowTokens of FORCED_WINDOWS) {
      const policy = { ...POLICIES.race, adaptive: false, windowTokens, segmentTokens: 1 };
      const prompt = prompts[round % prompts.length]!;
      const asked = { prompt, seed: toSeed(round), sampler: samplerSettings({ temperature }), policy };
      await edge.ask({ ...asked, maxTokens: 1 });
      const startMs = performance.now();
      const { statistics } = await edge.ask({ ...asked, maxTokens });
      ms += performance.now() - startMs;
      passes += statistics.usage?.targetPasses ?? 0;
      rows += statistics.usage?.targetRows ?? 0;
    }
  }
  return rows > passes ? Math.max(0, (ms - passes * passMs) / (rows - passes)) : 0;
}

async function warmUp(way: RealWay, options: RealOptions): Promise<void> {
  let [tokens, ms] = [0, 0];
  for (let round = 0; tokens < WARM_TOKENS && ms < MOST_WARM_MS; round++) {
    const one = await turn(way, round, options, null);
    tokens += one.tokens;
    ms += one.ms;
  }
}

async function turn(way: RealWay, round: number, options: RealOptions, counts: Counts | null): Promise<Turn> {
  const { bare, endTokens, prompts, clients, maxTokens, temperature, edge } = options;
  const sampler = samplerSettings({ temperature });
  const asked = Array.from({ length: clients }, (_, client) => {
    const prompt = prompts[(round * clients + client) % prompts.length]!;
    return { prompt, seed: toSeed(1000 * round + client) };
  });
  if (way === "bare") return bareLoop(bare, asked, sampler, maxTokens, endTokens);
  const ask = ({ prompt, seed }: (typeof asked)[number], tokens: number) =>
    edge.ask({ prompt, seed, sampler, policy: way, maxTokens: tokens });
  // The prompts are fed before: the rate is that of answers.
  for (const one of asked) await ask(one, 1);
  const startMs = performance.now();
  const told = await Promise.all(asked.map((one) => ask(one, maxTokens)));
  const ms = performance.now() - startMs;
  const tokens = told.reduce((sum, { statistics }) => sum + statistics.tokens, 0);
  if (way === "race" && counts) {
    for (const { statistics } of told) {
      counts.passes += statistics.usage?.targetPasses ?? 0;
      counts.tokens += statistics.tokens;
      counts.accepted += statistics.accepted;
      counts.judged += statistics.accepted + statistics.rejected;
    }
  }
  return {
    tokens,
    ms,
    answers: told.map(({ tokens: all }) => all.map(({ token }) => token)),
  };
}
