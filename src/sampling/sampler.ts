import { assert } from "../util/assert.ts";
import { badLogits } from "./bad-logits.ts";
import { DenseDistribution, type Distribution, SparseDistribution } from "./distribution.ts";
import { nucleus } from "./nucleus.ts";
import { argmax, selectTop } from "./select.ts";
import type { SamplerSettings } from "./settings.ts";
import { softmaxWeights } from "./softmax.ts";
import { rowKernel } from "./whole-row.ts";

export { DEFAULT_SAMPLER, type SamplerSettings, samplerSettings } from "./settings.ts";

/** How many tokens before a position its question has to bring along. */
export function historyTokens(settings: SamplerSettings): number {
  return penalises(settings) ? settings.penaltyLastN : 0;
}

function penalises(settings: SamplerSettings): boolean {
  return (
    settings.penaltyLastN > 0 &&
    (settings.repetitionPenalty !== 1 || settings.presencePenalty !== 0 || settings.frequencyPenalty !== 0)
  );
}

/** Arrays of V numbers that are used again from row to row. One for each place that samples. */
export class SamplerWorkspace {
  private adjusted = new Float32Array(0);
  private weights = new Float32Array(0);

  adjustedRow(size: number): Float32Array {
    if (this.adjusted.length !== size) this.adjusted = new Float32Array(size);
    return this.adjusted;
  }

  weightRow(size: number): Float32Array {
    if (this.weights.length !== size) this.weights = new Float32Array(size);
    return this.weights;
  }
}

/** A set of tokens: bit t % 32 of word t / 32, Int32Array[ceil(V / 32)]. */
export type TokenSet = Int32Array;

/** The one token of a set; -1 where it has none, or more. */
export function onlyToken(set: TokenSet): number {
  let only = -1;
  for (let word = 0; word < set.length; word++) {
    const bits = set[word]!;
    if (bits === 0) continue;
    if (only >= 0 || (bits & (bits - 1)) !== 0) return -1;
    only = word * 32 + 31 - Math.clz32(bits);
  }
  return only;
}

export function inTokenSet(set: TokenSet, token: number): boolean {
  return ((set[token >>> 5] ?? 0) & (1 << (token & 31))) !== 0;
}

/**
 * What the sampler chain leaves of a row.
 * @param row logits, Float32Array[V]; not changed
 * @param history the tokens before the position, at least `historyTokens(settings)` of them where there are so many
 * @param workspace a dense result lives in it and is valid until its next use
 * @param allowed by a grammar, before everything else of the chain; null: all tokens are
 * @throws PicoSpecError `model_output` when the row holds no finite number for a token that is allowed
 */
export function applySampler(
  row: Float32Array,
  settings: SamplerSettings,
  history: Int32Array,
  workspace: SamplerWorkspace,
  allowed: TokenSet | null = null,
): Distribution {
  const logits = adjust(row, settings, history, workspace, allowed);
  if (settings.temperature === 0) return SparseDistribution.point(argmax(logits));
  const inverseTemperature = 1 / settings.temperature;
  const kept = candidates(logits, settings);
  if (kept) return fromCandidates(logits, kept, inverseTemperature);
  const maximum = logits[argmax(logits)]!;
  const weights = workspace.weightRow(row.length);
  return new DenseDistribution(weights, softmaxWeights(logits, maximum, inverseTemperature, weights));
}

/** What is allowed, bias and penalties; the row itself when there are none. */
function adjust(
  row: Float32Array,
  settings: SamplerSettings,
  history: Int32Array,
  workspace: SamplerWorkspace,
  allowed: TokenSet | null,
): Float32Array {
  if (settings.logitBias.length === 0 && !penalises(settings) && !allowed) return row;
  const logits = workspace.adjustedRow(row.length);
  logits.set(row);
  if (allowed) {
    for (let token = 0; token < logits.length; token++) {
      if (!inTokenSet(allowed, token)) logits[token] = Number.NEGATIVE_INFINITY;
    }
  }
  for (const [token, bias] of settings.logitBias) {
    if (token < logits.length) logits[token] = logits[token]! + bias;
  }
  if (penalises(settings)) {
    for (const [token, count] of tokenCounts(history, settings.penaltyLastN)) {
      const logit = logits[token]!;
      const repeated = logit <= 0 ? logit * settings.repetitionPenalty : logit / settings.repetitionPenalty;
      logits[token] = repeated - count * settings.frequencyPenalty - settings.presencePenalty;
    }
  }
  return logits;
}

function tokenCounts(history: Int32Array, lastN: number): Map<number, number> {
  const counts = new Map<number, number>();
  for (let i = Math.max(0, history.length - lastN); i < history.length; i++) {
    const token = history[i]!;
    counts.set(token, (counts.get(token) ?? 0) + 1);
  }
  return counts;
}

/** Tokens that top-n-sigma, top-k, top-p and min-p keep, by falling logit; null when all of the vocabulary stays. */
function candidates(logits: Float32Array, settings: SamplerSettings): Int32Array | null {
  const vocabularySize = logits.length;
  let kept: Int32Array | null = null;
  if (settings.topK > 0 && settings.topK < vocabularySize) kept = selectTop(logits, settings.topK);
  if (settings.topNSigma > 0) {
    // It comes first, but both keep the head of one order: what they leave is the same either way.
    const least = leastWithinSigma(logits, settings.topNSigma);
    kept = kept ? kept.filter((id) => logits[id]! >= least) : atLeast(logits, least);
  }
  if (settings.topP < 1) kept = kept ? cutTopP(logits, kept, settings.topP) : nucleus(logits, settings.topP);
  if (settings.minP > 0) {
    const maximum = kept ? logits[kept[0]!]! : logits[argmax(logits)]!;
    const least = maximum + Math.log(settings.minP);
    if (kept) kept = kept.filter((id) => logits[id]! >= least);
    else kept = atLeast(logits, least);
  }
  return kept;
}

/**
 * The largest logit less n standard deviations. Impossible tokens (-Infinity) do not count, as in llama.cpp: a
 * grammar's mask would make every deviation infinite.
 * @throws PicoSpecError `model_output` when the row holds no finite number, or an infinite one
 */
function leastWithinSigma(logits: Float32Array, n: number): number {
  const maximum = logits[argmax(logits)]!;
  let count = 0;
  let total = 0;
  for (let id = 0; id < logits.length; id++) {
    if (!(logits[id]! > Number.NEGATIVE_INFINITY)) continue;
    total += logits[id]!;
    count++;
  }
  const mean = total / count;
  let squares = 0;
  for (let id = 0; id < logits.length; id++) {
    const difference = logits[id]! - mean;
    if (difference > Number.NEGATIVE_INFINITY) squares += difference * difference;
  }
  const least = maximum - n * Math.sqrt(squares / count);
  if (!Number.isFinite(least)) throw badLogits();
  return least;
}

/** Top-p within sorted candidates, whose own mass counts as 1 (as in llama.cpp, where top-n-sigma and top-k come before). */
function cutTopP(logits: Float32Array, kept: Int32Array, p: number): Int32Array {
  const maximum = logits[kept[0]!]!;
  const weights = Float64Array.from(kept, (id) => Math.exp(logits[id]! - maximum));
  const target = p * weights.reduce((a, b) => a + b, 0);
  let running = 0;
  for (let i = 0; i < weights.length; i++) {
    running += weights[i]!;
    if (running >= target) return kept.slice(0, i + 1);
  }
  return kept;
}

/** Tokens with at least this logit, sorted. */
function atLeast(logits: Float32Array, least: number): Int32Array {
  const ids = rowKernel().ordered(logits, least);
  // What is no number is at either end.
  let [from, to] = [0, ids.length];
  while (from < to && Number.isNaN(logits[ids[from]!])) from++;
  while (from < to && Number.isNaN(logits[ids[to - 1]!])) to--;
  assert(from < to, "a cut keeps at least the likeliest token");
  return ids.subarray(from, to);
}

function fromCandidates(
  logits: Float32Array,
  kept: Int32Array,
  inverseTemperature: number,
): SparseDistribution {
  const maximum = logits[kept[0]!]!;
  const weights = new Float64Array(kept.length);
  let total = 0;
  for (let i = 0; i < kept.length; i++) {
    total += weights[i] = Math.exp((logits[kept[i]!]! - maximum) * inverseTemperature);
  }
  if (!Number.isFinite(total)) throw badLogits();
  return new SparseDistribution(kept, weights, total);
}
