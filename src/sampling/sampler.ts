import { assert } from "../util/assert.ts";
import { SettingError } from "../util/errors.ts";
import { DenseDistribution, type Distribution, SparseDistribution } from "./distribution.ts";
import { argmax, badLogits, selectTop, sortByValue } from "./select.ts";
import { softmaxTotal, softmaxWeights } from "./softmax.ts";

/**
 * The sampler settings that users know, in llama.cpp's order: logit bias, penalties, top-k, top-p, min-p,
 * temperature (llama.cpp `common_params_sampling::samplers`). As there, top-p and min-p look at the
 * distribution before the temperature, and the penalties look back over prompt and answer alike.
 */
export interface SamplerSettings {
  /** 0 is greedy, 1 the model's own distribution */
  readonly temperature: number;
  /** keep the k likeliest tokens; 0 is off */
  readonly topK: number;
  /** keep the fewest tokens that hold this much mass; 1 is off */
  readonly topP: number;
  /** keep tokens at least this likely relative to the likeliest; 0 is off */
  readonly minP: number;
  /** divides the positive logit of a token seen lately, multiplies a negative one; 1 is off */
  readonly repetitionPenalty: number;
  /** taken from the logit of every token seen lately */
  readonly presencePenalty: number;
  /** taken from the logit for each time a token was seen lately */
  readonly frequencyPenalty: number;
  /** how many tokens back the three penalties look */
  readonly penaltyLastN: number;
  /** added to logits: [token id, bias] */
  readonly logitBias: readonly (readonly [number, number])[];
}

export const DEFAULT_SAMPLER: SamplerSettings = {
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  penaltyLastN: 64,
  logitBias: [],
};

/** Bounds of what a peer or a user may ask for; each keeps a row's cost or its numbers in hand. */
export const SAMPLER_LIMITS = {
  temperature: 100,
  /** 1 / T times a logit stays far from overflow */
  leastTemperature: 1e-4,
  leastRepetitionPenalty: 0.01,
  penaltyLastN: 4096,
  logitBias: 1e4,
  logitBiasEntries: 1024,
} as const;

/**
 * The defaults with what was given, checked.
 * @throws SettingError that names the setting, its value and what is allowed
 * @example
 * import { samplerSettings } from "picospec";
 *
 * console.log(samplerSettings({ temperature: 0.7, topP: 0.9 }).topK);
 */
export function samplerSettings(given: Partial<SamplerSettings> = {}): SamplerSettings {
  const settings = { ...DEFAULT_SAMPLER, ...given };
  const check = (name: keyof SamplerSettings, allowed: boolean, range: string) => {
    if (!allowed)
      throw new SettingError(name, `${name} must be ${range}, not ${JSON.stringify(settings[name])}`);
  };
  const inRange = (x: number, low: number, high: number) => x >= low && x <= high;
  check(
    "temperature",
    settings.temperature === 0 ||
      inRange(settings.temperature, SAMPLER_LIMITS.leastTemperature, SAMPLER_LIMITS.temperature),
    `0, or from ${SAMPLER_LIMITS.leastTemperature} to ${SAMPLER_LIMITS.temperature}`,
  );
  check(
    "topK",
    Number.isInteger(settings.topK) && inRange(settings.topK, 0, 2 ** 31),
    "a whole number, 0 or more",
  );
  check("topP", settings.topP > 0 && settings.topP <= 1, "above 0 and at most 1");
  check("minP", settings.minP >= 0 && settings.minP <= 1, "from 0 to 1");
  check(
    "repetitionPenalty",
    inRange(settings.repetitionPenalty, SAMPLER_LIMITS.leastRepetitionPenalty, 10),
    `from ${SAMPLER_LIMITS.leastRepetitionPenalty} to 10`,
  );
  check("presencePenalty", inRange(settings.presencePenalty, -10, 10), "from -10 to 10");
  check("frequencyPenalty", inRange(settings.frequencyPenalty, -10, 10), "from -10 to 10");
  check(
    "penaltyLastN",
    Number.isInteger(settings.penaltyLastN) && inRange(settings.penaltyLastN, 0, SAMPLER_LIMITS.penaltyLastN),
    `a whole number from 0 to ${SAMPLER_LIMITS.penaltyLastN}`,
  );
  check(
    "logitBias",
    settings.logitBias.length <= SAMPLER_LIMITS.logitBiasEntries &&
      settings.logitBias.every(
        ([id, bias]) => Number.isInteger(id) && id >= 0 && Math.abs(bias) <= SAMPLER_LIMITS.logitBias,
      ),
    `at most ${SAMPLER_LIMITS.logitBiasEntries} pairs of token id and a number of at most ${SAMPLER_LIMITS.logitBias} either way`,
  );
  return settings;
}

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

/** Tokens that top-k, top-p and min-p keep, by falling logit; null when all of the vocabulary stays. */
function candidates(logits: Float32Array, settings: SamplerSettings): Int32Array | null {
  const vocabularySize = logits.length;
  let kept: Int32Array | null = null;
  if (settings.topK > 0 && settings.topK < vocabularySize) kept = selectTop(logits, settings.topK);
  if (settings.topP < 1) kept = kept ? cutTopP(logits, kept, settings.topP) : topP(logits, settings.topP);
  if (settings.minP > 0) {
    const maximum = kept ? logits[kept[0]!]! : logits[argmax(logits)]!;
    const least = maximum + Math.log(settings.minP);
    if (kept) kept = kept.filter((id) => logits[id]! >= least);
    else kept = atLeast(logits, least);
  }
  return kept;
}

/** Top-p within sorted candidates, whose own mass counts as 1 (as in llama.cpp, where top-k comes before). */
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

/** Top-p over the whole vocabulary: sorts only as many of the largest as it turns out to need. */
function topP(logits: Float32Array, p: number): Int32Array {
  const maximum = logits[argmax(logits)]!;
  const target = p * softmaxTotal(logits, maximum, 1);
  for (let count = Math.min(256, logits.length); ; count = Math.min(count * 16, logits.length)) {
    const sorted = selectTop(logits, count);
    let running = 0;
    for (let i = 0; i < count; i++) {
      running += Math.exp(logits[sorted[i]!]! - maximum);
      if (running >= target) return sorted.slice(0, i + 1);
    }
    if (count === logits.length) return sorted;
  }
}

/** Tokens with at least this logit, sorted. */
function atLeast(logits: Float32Array, least: number): Int32Array {
  const ids: number[] = [];
  for (let id = 0; id < logits.length; id++) if (logits[id]! >= least) ids.push(id);
  assert(ids.length > 0, "min-p keeps at least the likeliest token");
  return sortByValue(logits, Int32Array.from(ids));
}

function fromCandidates(
  logits: Float32Array,
  kept: Int32Array,
  inverseTemperature: number,
): SparseDistribution {
  const maximum = logits[kept[0]!]!;
  const weights = Float64Array.from(kept, (id) => Math.exp((logits[id]! - maximum) * inverseTemperature));
  if (!weights.every(Number.isFinite)) throw badLogits();
  return new SparseDistribution(kept, weights);
}
