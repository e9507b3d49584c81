import { assert } from "../util/assert.ts";
import { NOISE_CHUNK, nextLoud, shortfalls } from "./noise.ts";
import { gumbel, type Seed } from "./random.ts";
import { applySampler, historyTokens, type SamplerSettings, SamplerWorkspace } from "./sampler.ts";
import { badLogits } from "./select.ts";
import { expNonPositive } from "./softmax.ts";

/**
 * Gumbel coupling: at each position both sides take the token of largest log-probability plus noise, with the
 * same noise, so that they mostly say the same token. M. Daliri, C. Musco, A. T. Suresh, "Coupling without
 * communication and drafter-invariant speculative decoding", arXiv 2408.07978 (2024).
 */

type Probabilities = Float32Array | Float64Array;

/** Largest difference in probability of any event: half the sum of |p - q|. Both have V elements. */
export function totalVariation(p: Probabilities, q: Probabilities): number {
  assert(p.length === q.length, "both distributions are over one vocabulary");
  let difference = 0;
  for (let x = 0; x < p.length; x++) difference += Math.abs(p[x]! - q[x]!);
  return difference / 2;
}

/** What no pair so far apart agrees less often than: (1 - TV) / (1 + TV), arXiv 2408.07978. */
export function leastAgreement(p: Probabilities, q: Probabilities): number {
  const distance = totalVariation(p, q);
  return (1 - distance) / (1 + distance);
}

/**
 * Probability that both say the same token: the sum over x with p_x, q_x > 0 of
 * 1 / sum over y of max(p_y / p_x, q_y / q_x). With E_y = exp(-noise_y), which are exponential, x wins on both
 * sides when E_y / E_x > max(p_y / p_x, q_y / q_x) for every other y: the smallest of exponentials with these
 * rates. O(V log V): in order of p / q the first argument of the maximum is the larger one from x on.
 * @param p Float32Array[V] or Float64Array[V]; it and q need not add up to 1
 */
export function agreementProbability(p: Probabilities, q: Probabilities): number {
  assert(p.length === q.length, "both distributions are over one vocabulary");
  const order = Array.from(p.keys()).filter((x) => p[x]! > 0 || q[x]! > 0);
  const leaning = (x: number) => p[x]! / (p[x]! + q[x]!);
  order.sort((x, y) => leaning(x) - leaning(y));
  const mass = new Float64Array(order.length + 1);
  for (let i = order.length - 1; i >= 0; i--) mass[i] = mass[i + 1]! + p[order[i]!]!;
  let below = 0;
  let agreement = 0;
  for (const [i, x] of order.entries()) {
    if (p[x]! > 0 && q[x]! > 0) agreement += 1 / (mass[i]! / p[x]! + below / q[x]!);
    below += q[x]!;
  }
  return agreement;
}

/** Tokens by falling noise, equals by rising id: Int32Array[m] and Float64Array[m]. */
export interface Loudest {
  readonly ids: Int32Array;
  readonly noise: Float64Array;
}

/**
 * The `count` tokens of largest noise at a position: what an engine that gives single logits is asked for next to
 * its likeliest tokens. O(V) once or twice, without a logarithm for the others.
 * @param count 1 to V
 */
export function loudest(seed: Seed, position: number, vocabularySize: number, count: number): Loudest {
  assert(count >= 1 && count <= vocabularySize, `cannot take ${count} of ${vocabularySize} tokens`);
  // Uniforms within `share` of 1 belong to that share of the tokens; a little more is seldom too few.
  let share = (count + 3 * Math.sqrt(count)) / vocabularySize;
  let found = louderThan(seed, position, vocabularySize, share);
  while (found.length < count) {
    share *= 2;
    found = louderThan(seed, position, vocabularySize, share);
  }
  const candidates = found.map((id) => ({ id, noise: gumbel(seed, position, id) }));
  candidates.sort((a, b) => b.noise - a.noise || a.id - b.id);
  candidates.length = count;
  return {
    ids: Int32Array.from(candidates, ({ id }) => id),
    noise: Float64Array.from(candidates, ({ noise }) => noise),
  };
}

/** At least all tokens whose uniform is above 1 - share, and none much below. */
function louderThan(seed: Seed, position: number, vocabularySize: number, share: number): number[] {
  const most = Math.ceil(share * 2 ** 27);
  const ids: number[] = [];
  for (let from = 0; from < vocabularySize; from += NOISE_CHUNK) {
    const count = Math.min(NOISE_CHUNK, vocabularySize - from);
    const short = shortfalls(seed, position, from, count);
    for (let i = 0; ; i++) {
      i = nextLoud(short, i, count, most);
      if (i === count) break;
      ids.push(from + i);
    }
  }
  return ids;
}

/** The largest noise of any token that `excluded` does not have; -Infinity when it has all of them. */
export function loudestNoise(
  seed: Seed,
  position: number,
  vocabularySize: number,
  excluded: { has(token: number): boolean },
): number {
  let best = -Infinity;
  let mostShort = 2 ** 27;
  for (let from = 0; from < vocabularySize; from += NOISE_CHUNK) {
    const count = Math.min(NOISE_CHUNK, vocabularySize - from);
    const short = shortfalls(seed, position, from, count);
    for (let i = 0; ; i++) {
      i = nextLoud(short, i, count, mostShort);
      if (i === count) break;
      if (excluded.has(from + i)) continue;
      mostShort = short[i]!;
      best = Math.max(best, gumbel(seed, position, from + i));
    }
  }
  return best;
}

// The winner from a part of the row

/** Logits of some tokens, before the sampler: Int32Array[n] and Float32Array[n], no NaN. */
export interface SomeLogits {
  readonly ids: Int32Array;
  readonly logits: Float32Array;
}

/**
 * What an engine without rows knows of one. A constant may be missing from all logits, as from log-probabilities,
 * unless there is a repetition penalty, which looks at their sign.
 */
export interface Knowledge {
  readonly vocabularySize: number;
  /** the likeliest tokens by falling logit, equals by rising id */
  readonly top: SomeLogits;
  /** further tokens that were asked for, in any order; tokens of the top may be among them */
  readonly others: SomeLogits;
}

export type Certificate =
  | { readonly kind: "certain"; readonly token: number }
  /** What to ask for: more of the likeliest tokens, more of the loudest, or all of `touchedTokens`. */
  | { readonly kind: "unknown"; readonly need: "more top" | "more noise" | "touched tokens" };

/** Tokens that bias or penalties move: their logits have to be known, since the top says nothing about them. */
export function touchedTokens(settings: SamplerSettings, history: Int32Array): Set<number> {
  return new Set([...settings.logitBias.map(([token]) => token), ...penalised(settings, history)]);
}

/**
 * The target's token at a position from a part of its row, without a normaliser: the winner is the argmax of
 * logit / T + noise over what top-k, top-p and min-p leave. It is certain when it surely is in that support, and
 * no other token that may be in it scores as much: an unknown token has at most the last logit of the top and the
 * largest noise of unknown tokens. (Our derivation.) A certain token is the one that `applySampler(row).winner`
 * gives. Once all V logits are known it always is.
 * @param history the tokens before the position, as many as the penalties look back on
 * @throws PicoSpecError `model_output` when the known logits hold no finite number
 */
export function certifiedWinner(
  knowledge: Knowledge,
  settings: SamplerSettings,
  history: Int32Array,
  seed: Seed,
  position: number,
): Certificate {
  const known = new Map<number, number>();
  for (const { ids, logits } of [knowledge.others, knowledge.top]) {
    for (const [i, id] of ids.entries()) known.set(id, logits[i]!);
  }
  const { vocabularySize } = knowledge;
  assert(known.size <= vocabularySize, "more tokens are known than there are");
  if (known.size === vocabularySize) {
    const row = Float32Array.from({ length: vocabularySize }, (_, id) => known.get(id)!);
    const distribution = applySampler(row, settings, history, new SamplerWorkspace());
    return { kind: "certain", token: distribution.winner(seed, position) };
  }
  for (const token of touchedTokens(settings, history)) {
    if (token < vocabularySize && !known.has(token)) return { kind: "unknown", need: "touched tokens" };
  }
  adjust(known, settings, history);
  const order = orderOf(known, knowledge);
  if (order.settled === 0) return { kind: "unknown", need: "more top" };
  if (settings.temperature === 0) return { kind: "certain", token: order.ids[0]! };
  const support = supportOf(order, settings, vocabularySize);
  const logWeight = support.filtered ? logWeightOfFew : logWeightOfAll;
  const inverseTemperature = 1 / settings.temperature;
  const score = (logit: number, noise: number) =>
    logWeight((logit - order.logits[0]!) * inverseTemperature) + noise;
  const best = bestKnown(order, support, (i) =>
    score(order.logits[i]!, gumbel(seed, position, order.ids[i]!)),
  );
  if (!best.surelyIn) return { kind: "unknown", need: "more top" };
  if (order.settled < support.most && order.ceiling >= support.leastLogit) {
    const noise = loudestNoise(seed, position, vocabularySize, known);
    if (!(best.score > score(order.ceiling, noise) + SCORE_ROUNDING)) {
      return { kind: "unknown", need: cheapest(knowledge.top.logits, settings) };
    }
  }
  return { kind: "certain", token: best.token };
}

/** Weights are rounded to 32 bits in a dense row, which moves a score by 1e-7 at most. */
const SCORE_ROUNDING = 1e-6;
/** Of a sum of weights: the sampler's exponential over rows is good to 1e-8. */
const SUM_ROUNDING = 1e-7;

/** Tokens of the history that penalties count, Int32Array. */
function penalised(settings: SamplerSettings, history: Int32Array): Int32Array {
  return history.subarray(Math.max(0, history.length - historyTokens(settings)));
}

/** Bias and penalties as in the sampler, with its rounding to 32 bits after each step. */
function adjust(known: Map<number, number>, settings: SamplerSettings, history: Int32Array): void {
  for (const [token, bias] of settings.logitBias) {
    const logit = known.get(token);
    if (logit !== undefined) known.set(token, Math.fround(logit + bias));
  }
  const counts = new Map<number, number>();
  for (const token of penalised(settings, history)) counts.set(token, (counts.get(token) ?? 0) + 1);
  const { repetitionPenalty, frequencyPenalty, presencePenalty } = settings;
  for (const [token, count] of counts) {
    const logit = known.get(token);
    if (logit === undefined) continue;
    const repeated = logit <= 0 ? logit * repetitionPenalty : logit / repetitionPenalty;
    known.set(token, Math.fround(repeated - count * frequencyPenalty - presencePenalty));
  }
}

interface Order {
  /** known tokens by falling adjusted logit, equals by rising id: Int32Array[n] and Float32Array[n] */
  readonly ids: Int32Array;
  readonly logits: Float32Array;
  /** so many of the first come before every unknown token */
  readonly settled: number;
  /** how many tokens are unknown, and the largest logit that one may have */
  readonly unknown: number;
  readonly ceiling: number;
}

function orderOf(known: ReadonlyMap<number, number>, { top, vocabularySize }: Knowledge): Order {
  const sorted = [...known].sort(([a, x], [b, y]) => (x === y ? a - b : x < y ? 1 : -1));
  if (!sorted.every(([, logit]) => logit < Number.POSITIVE_INFINITY)) throw badLogits();
  if (sorted[0]?.[1] === -Infinity) throw badLogits();
  const ceiling = top.logits.at(-1) ?? Number.POSITIVE_INFINITY;
  // An unknown token as likely as the last of the top has a higher id than that one.
  const lastId = top.ids.at(-1) ?? -1;
  const isSettled = ([id, logit]: [number, number]) => logit > ceiling || (logit === ceiling && id <= lastId);
  const unsettled = sorted.findIndex((entry) => !isSettled(entry));
  return {
    ids: Int32Array.from(sorted, ([id]) => id),
    logits: Float32Array.from(sorted, ([, logit]) => logit),
    settled: unsettled < 0 ? sorted.length : unsettled,
    unknown: vocabularySize - sorted.length,
    ceiling,
  };
}

/** The first n of the whole vocabulary's order with at least this logit, n from `least` to `most`. */
interface Support {
  readonly least: number;
  readonly most: number;
  readonly leastLogit: number;
  /** whether any filter is on: the sampler weighs a whole row with another exponential than a few candidates */
  readonly filtered: boolean;
}

function supportOf(order: Order, settings: SamplerSettings, vocabularySize: number): Support {
  const { topK, topP, minP } = settings;
  const limited = topK > 0 && topK < vocabularySize;
  const limit = limited ? topK : vocabularySize;
  const [least, most] = topP < 1 ? nucleus(order, topP, limit, limited) : [limit, limit];
  const leastLogit = minP > 0 ? order.logits[0]! + Math.log(minP) : -Infinity;
  return { least, most, leastLogit, filtered: limited || topP < 1 || minP > 0 };
}

/**
 * How many tokens top-p keeps of the first `limit`, at least and at most. Their mass is not known whole: at least
 * it is that of known tokens, and at most the places that are not settled go to unknown ones at the ceiling.
 */
function nucleus(order: Order, topP: number, limit: number, limited: boolean): [number, number] {
  const { logits, settled, unknown } = order;
  const weight = (logit: number) => Math.exp(logit - logits[0]!);
  const mass = (count: number) =>
    logits.subarray(0, count).reduce((total, logit) => total + weight(logit), 0);
  const open = Math.max(0, limit - settled);
  const strangers = Math.min(open, unknown);
  const most = mass(limit - strangers) + strangers * weight(order.ceiling);
  const rounding = limited && open === 0 ? 0 : SUM_ROUNDING;
  const atLeast = topP * mass(limit) * (1 - rounding);
  const atMost = topP * most * (1 + rounding);
  let running = 0;
  let least = 0;
  for (let i = 0; i < Math.min(limit, settled); i++) {
    running += weight(logits[i]!);
    if (least === 0 && running >= atLeast) least = i + 1;
    if (running >= atMost) return [least, i + 1];
  }
  return [least || Math.min(limit, settled + 1), limit];
}

interface Best {
  readonly token: number;
  readonly score: number;
  /** in the support whatever the unknown logits are */
  readonly surelyIn: boolean;
}

/** The best of the known tokens that may be in the support; the lowest id of equals. */
function bestKnown(order: Order, support: Support, scoreAt: (index: number) => number): Best {
  let best: Best = { token: -1, score: -Infinity, surelyIn: false };
  for (let i = 0; i < Math.min(order.ids.length, support.most); i++) {
    if (order.logits[i]! < support.leastLogit) break;
    const token = order.ids[i]!;
    const score = scoreAt(i);
    if (score < best.score || (score === best.score && token > best.token)) continue;
    const lastPlace = i < order.settled ? i : i + order.unknown;
    best = { token, score, surelyIn: lastPlace < support.least };
  }
  return best;
}

/** log of the weight that the sampler gives a token of a whole row, x = (logit - maximum) / T. */
function logWeightOfAll(x: number): number {
  return Math.log(Math.fround(expNonPositive(x)));
}

/** The same for candidates that filters left. */
function logWeightOfFew(x: number): number {
  return Math.log(Math.exp(x));
}

/**
 * What lowers the bound of unknown tokens more when it is doubled: the top, by what its second half has fallen, or
 * the noise, by log 2. Noise cannot tell what is in a nucleus.
 */
function cheapest(top: Float32Array, settings: SamplerSettings): "more top" | "more noise" {
  if (settings.topK > 0 || settings.topP < 1) return "more top";
  const fall = top[Math.max(0, (top.length >> 1) - 1)]! - top.at(-1)!;
  return fall > Math.LN2 * settings.temperature ? "more top" : "more noise";
}
