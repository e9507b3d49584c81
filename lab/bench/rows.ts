import { answer } from "../../src/sampling/answer.ts";
import { propose } from "../../src/sampling/propose.ts";
import type { Coupling, DecideQuestion } from "../../src/sampling/question.ts";
import { Purpose, toSeed, uniform } from "../../src/sampling/random.ts";
import { applySampler, SamplerWorkspace, samplerSettings } from "../../src/sampling/sampler.ts";
import { selectTop } from "../../src/sampling/select.ts";
import { softmaxTotal } from "../../src/sampling/softmax.ts";
import { type Timing, timeOf, timing } from "./measure.ts";

/** What a row of logits costs each side, without the engine that computed it. */
export interface RowTimings {
  readonly extraction: readonly ExtractionTiming[];
  readonly topP: readonly TopPTiming[];
}

/** The K largest logits of a row and its normaliser. */
export interface ExtractionTiming {
  readonly vocabularySize: number;
  readonly topK: number;
  readonly ms: Timing;
}

/** Top-p and the draw after it, with a nucleus of so many tokens. */
export interface TopPTiming {
  readonly vocabularySize: number;
  readonly nucleusTokens: number;
  readonly coupling: Coupling;
  /** the cloud's answer about a draft that it rejects, with what it sends of p then */
  readonly cloudMs: Timing;
  /** the edge's draft */
  readonly edgeMs: Timing;
}

const VOCABULARIES = [2048, 151_936];
const TOP_K = 64;
const SAMPLES = 301;
const WARM_UP = 50;

/** The largest vocabulary of 2026, and nuclei from a sure model's to that of one at a high temperature. */
const LARGEST_VOCABULARY = 262_144;
const NUCLEI = [10, 100, 1000, 10_000, 100_000];
const COUPLINGS: readonly Coupling[] = ["gumbel", "rejection"];
const TOP_P = 0.95;
const TOP_P_SAMPLES = 101;

export function benchRows(): RowTimings {
  const topP = NUCLEI.flatMap((tokens) => {
    const row = rowWithNucleus(LARGEST_VOCABULARY, tokens);
    return COUPLINGS.map((coupling) => benchTopP(row, coupling));
  });
  return { extraction: VOCABULARIES.map(benchExtraction), topP };
}

function benchExtraction(vocabularySize: number): ExtractionTiming {
  const row = syntheticRow(vocabularySize);
  const ms = measured(SAMPLES, () => {
    const top = selectTop(row, TOP_K);
    softmaxTotal(row, row[top[0]!]!, 1);
  });
  return { vocabularySize, topK: TOP_K, ms };
}

/** A temperature is part of it: a token's weight is then another one than the nucleus was cut by. */
const SAMPLER = samplerSettings({ topP: TOP_P, temperature: 0.8 });
const SEED = toSeed(7);
const HISTORY = new Int32Array(0);

function benchTopP(row: Float32Array, coupling: Coupling): TopPTiming {
  const workspace = new SamplerWorkspace();
  let position = 0;
  const question: DecideQuestion = {
    ...{ ask: "decide", coupling, exchange: "sparse", topK: TOP_K, sampler: SAMPLER, seed: SEED },
    ...{ position, lineage: 0, history: HISTORY },
    // Outside of the nucleus, so that it is rejected.
    ...{ draft: row.indexOf(Math.min(...row.subarray(0, 1000))), q: 1 },
  };
  return {
    vocabularySize: row.length,
    nucleusTokens: nucleusTokens(row),
    coupling,
    cloudMs: measured(TOP_P_SAMPLES, () => answer(row, { ...question, position: position++ }, workspace)),
    edgeMs: measured(TOP_P_SAMPLES, () => propose(row, SAMPLER, HISTORY, coupling, SEED, position++, 0)),
  };
}

function measured(samples: number, work: () => void): Timing {
  for (let i = 0; i < WARM_UP; i++) work();
  return timing(Array.from({ length: samples }, () => timeOf(work)));
}

/** A row that looks like a model's: a bell of small logits, and a few large ones. */
function syntheticRow(vocabularySize: number): Float32Array {
  const seed = toSeed(vocabularySize);
  const draw = (token: number, index: number) => uniform(seed, Purpose.draft, token, 0, index);
  return Float32Array.from({ length: vocabularySize }, (_, token) => {
    const bell = draw(token, 0) + draw(token, 1) + draw(token, 2) - 1.5;
    return 4 * bell + (draw(token, 3) < 0.0005 ? 10 * draw(token, 4) : 0);
  });
}

/** Probabilities by Zipf's law, p of rank r in proportion to r^-a, in any order; a is that which gives the nucleus. */
function rowWithNucleus(vocabularySize: number, tokens: number): Float32Array {
  let [flat, steep] = [0, 8];
  for (let i = 0; i < 40; i++) {
    const exponent = (flat + steep) / 2;
    if (zipfNucleus(vocabularySize, exponent) > tokens) flat = exponent;
    else steep = exponent;
  }
  const seed = toSeed(tokens);
  const places = Float64Array.from({ length: vocabularySize }, (_, i) =>
    uniform(seed, Purpose.draft, i, 0, 0),
  );
  const ranks = Array.from(places.keys()).sort((a, b) => places[a]! - places[b]!);
  return Float32Array.from(ranks, (rank) => -flat * Math.log(rank + 1));
}

function zipfNucleus(vocabularySize: number, exponent: number): number {
  const weights = Float64Array.from({ length: vocabularySize }, (_, rank) => (rank + 1) ** -exponent);
  let missing = TOP_P * weights.reduce((a, b) => a + b, 0);
  let count = 0;
  while (missing > 0) missing -= weights[count++]!;
  return count;
}

function nucleusTokens(row: Float32Array): number {
  const dense = applySampler(row, SAMPLER, HISTORY, new SamplerWorkspace()).dense(row.length);
  return dense.reduce((count, p) => count + (p > 0 ? 1 : 0), 0);
}
