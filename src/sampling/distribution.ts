import { assert } from "../util/assert.ts";
import { indexAt, indicesAt, sum } from "./cumulative.ts";
import { NOISE_CHUNK, SHORTFALL_UNIT, shortfalls, shortfallsOf } from "./noise.ts";
import { gumbel, type Seed } from "./random.ts";
import { selectTop } from "./select.ts";

/** Leaves room for the rounding of logarithms where noise is only bounded. */
const ROUNDING = 1 - 1e-9;

/** The K likeliest tokens and what they leave. Probabilities are rounded to 32 bits, as they travel. */
export interface Head {
  /** token ids, Int32Array[k], by falling probability */
  readonly ids: Int32Array;
  /** their probabilities, Float32Array[k] */
  readonly probabilities: Float32Array;
  /** mass of all other tokens, summed over them; exactly 0 when the support ends with the head */
  readonly tailMass: number;
}

/** A distribution over the vocabulary: what the sampler chain leaves of a row, ready to draw from. */
export interface Distribution {
  /** p(token) rounded to 32 bits; 0 outside of the support. */
  probability(token: number): number;
  /** The token at `u` in [0, 1) of the cumulative distribution. */
  sample(u: number): number;
  /** argmax over the support of log p + Gumbel noise: an exact sample that depends on the seed alone. */
  winner(seed: Seed, position: number): number;
  /** The `count` likeliest tokens, fewer when the support is smaller. */
  head(count: number): Head;
  /** Tokens of the tail behind `head`, one for each u in [0, 1), each drawn in proportion to p. */
  sampleTail(head: Head, us: readonly number[]): Int32Array;
  /** Every probability, Float32Array[V]. */
  dense(vocabularySize: number): Float32Array;
}

/** Few tokens: what is left after top-k, top-p or min-p, or a point mass. */
export class SparseDistribution implements Distribution {
  /** token ids, Int32Array[k], by falling weight */
  readonly ids: Int32Array;
  private readonly weights: Float64Array;
  private readonly total: number;
  /** of each id up to the largest, one more than its index; made where there are many, to be asked about often */
  private indices: Int32Array | null = null;
  private asked = false;

  /**
   * @param weights Float64Array[k], not negative, not all 0; they need not add up to 1
   * @param total their sum
   */
  constructor(ids: Int32Array, weights: Float64Array, total = sum(weights)) {
    assert(ids.length > 0 && ids.length === weights.length, "a distribution needs as many weights as ids");
    this.ids = ids;
    this.weights = weights;
    this.total = total;
    assert(total > 0, "a distribution needs some mass");
  }

  /** All mass on one token: greedy decoding, and a proposal without randomness. */
  static point(token: number): SparseDistribution {
    return new SparseDistribution(Int32Array.of(token), Float64Array.of(1));
  }

  probability(token: number): number {
    const index = this.indexOf(token);
    return index < 0 ? 0 : Math.fround(this.weights[index]! / this.total);
  }

  private indexOf(token: number): number {
    // A draft is asked about once, and where it is accepted nothing else is.
    if (this.ids.length < MANY || !this.asked) {
      this.asked = true;
      return this.ids.indexOf(token);
    }
    this.indices ??= indicesById(this.ids);
    return (this.indices[token] ?? 0) - 1;
  }

  sample(u: number): number {
    return this.ids[indexAt(this.weights, u, this.total)]!;
  }

  winner(seed: Seed, position: number): number {
    if (this.ids.length === 1) return this.ids[0]!;
    let best = -1;
    let bestScore = -Infinity;
    let unitToBeat = 0;
    for (let from = 0; from < this.ids.length; from += NOISE_CHUNK) {
      const ids = this.ids.subarray(from, from + NOISE_CHUNK);
      const weights = this.weights.subarray(from, from + NOISE_CHUNK);
      const short = shortfallsOf(seed, position, ids);
      for (let i = 0; ; i++) {
        i = nextContender(weights, short, i, unitToBeat);
        if (i === ids.length) break;
        const token = ids[i]!;
        const score = Math.log(weights[i]!) + gumbel(seed, position, token);
        if (score > bestScore || (score === bestScore && token < best)) {
          best = token;
          bestScore = score;
          unitToBeat = Math.exp(score) * SHORTFALL_UNIT * ROUNDING;
        }
      }
    }
    return best;
  }

  head(count: number): Head {
    const size = Math.min(count, this.ids.length);
    const probabilities = new Float32Array(size);
    for (let i = 0; i < size; i++) probabilities[i] = this.weights[i]! / this.total;
    const tailMass = Math.fround(sum(this.weights.subarray(size)) / this.total);
    return { ids: this.ids.slice(0, size), probabilities, tailMass };
  }

  sampleTail(head: Head, us: readonly number[]): Int32Array {
    const tail = this.weights.subarray(head.ids.length);
    const tailTotal = sum(tail);
    return indicesAt(tail, us, tailTotal).map((index) => this.ids[head.ids.length + index]!);
  }

  dense(vocabularySize: number): Float32Array {
    const probabilities = new Float32Array(vocabularySize);
    for (let i = 0; i < this.ids.length; i++) probabilities[this.ids[i]!] = this.weights[i]! / this.total;
    return probabilities;
  }
}

/** The whole vocabulary, one 32-bit weight a token. */
export class DenseDistribution implements Distribution {
  private readonly weights: Float32Array;
  private readonly total: number;

  /**
   * @param weights Float32Array[V], not negative; kept, not copied
   * @param total their sum
   */
  constructor(weights: Float32Array, total: number) {
    assert(total > 0, "a distribution needs some mass");
    this.weights = weights;
    this.total = total;
  }

  /** Of probabilities (or weights) that came over the wire. */
  static of(weights: Float32Array): DenseDistribution {
    return new DenseDistribution(weights, sum(weights));
  }

  probability(token: number): number {
    return Math.fround((this.weights[token] ?? 0) / this.total);
  }

  sample(u: number): number {
    return indexAt(this.weights, u, this.total);
  }

  /** O(V), but logarithms are only taken for tokens that could still win by what is known of their noise. */
  winner(seed: Seed, position: number): number {
    let best = -1;
    let bestScore = -Infinity;
    let unitToBeat = 0;
    for (let from = 0; from < this.weights.length; from += NOISE_CHUNK) {
      const weights = this.weights.subarray(from, from + NOISE_CHUNK);
      const short = shortfalls(seed, position, from, weights.length);
      for (let i = 0; ; i++) {
        i = nextContender(weights, short, i, unitToBeat);
        if (i === weights.length) break;
        if (weights[i] === 0) continue;
        const score = Math.log(weights[i]!) + gumbel(seed, position, from + i);
        if (score > bestScore) {
          best = from + i;
          bestScore = score;
          unitToBeat = Math.exp(score) * SHORTFALL_UNIT * ROUNDING;
        }
      }
    }
    return best;
  }

  head(count: number): Head {
    const top = selectTop(this.weights, Math.min(count, this.weights.length));
    const size = top.findIndex((id) => this.weights[id] === 0);
    const ids = size < 0 ? top : top.slice(0, size);
    const probabilities = Float32Array.from(ids, (id) => this.weights[id]! / this.total);
    const headIds = new Set(ids);
    let tail = 0;
    for (let id = 0; id < this.weights.length; id++) if (!headIds.has(id)) tail += this.weights[id]!;
    return { ids, probabilities, tailMass: Math.fround(tail / this.total) };
  }

  sampleTail(head: Head, us: readonly number[]): Int32Array {
    // The head steps aside for the draw: a copy of all weights for every rejection would be much garbage.
    const tail = this.weights;
    const headWeights = Float32Array.from(head.ids, (id) => tail[id]!);
    for (const id of head.ids) tail[id] = 0;
    const tailTotal = sum(tail);
    const tokens = indicesAt(tail, us, tailTotal);
    for (const [i, id] of head.ids.entries()) tail[id] = headWeights[i]!;
    return tokens;
  }

  dense(vocabularySize: number): Float32Array {
    assert(vocabularySize >= this.weights.length, "the vocabulary is smaller than the distribution");
    const probabilities = new Float32Array(vocabularySize);
    for (let id = 0; id < this.weights.length; id++) probabilities[id] = this.weights[id]! / this.total;
    return probabilities;
  }
}

/** So many that a search among them for each of many questions is felt. */
const MANY = 1024;

function indicesById(ids: Int32Array): Int32Array {
  let largest = 0;
  for (let i = 0; i < ids.length; i++) if (ids[i]! > largest) largest = ids[i]!;
  const indices = new Int32Array(largest + 1);
  for (let i = 0; i < ids.length; i++) indices[ids[i]!] = i + 1;
  return indices;
}

/**
 * First index from `from` on whose score may reach log(unitToBeat / SHORTFALL_UNIT), or the length: weight w with
 * shortfall n scores below log w - log(n * SHORTFALL_UNIT). A loop of its own, which compilers make fast.
 */
function nextContender(
  weights: Float32Array | Float64Array,
  short: Int32Array,
  from: number,
  unitToBeat: number,
): number {
  let i = from;
  while (i < weights.length && weights[i]! < short[i]! * unitToBeat) i++;
  return i;
}
