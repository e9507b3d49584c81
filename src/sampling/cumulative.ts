/** Running sums over weights: the two steps of every inverse-CDF draw. */

type Weights = Float64Array | Float32Array;

export function sum(weights: Weights): number {
  let total = 0;
  for (let i = 0; i < weights.length; i++) total += weights[i]!;
  return total;
}

/**
 * First index whose running sum exceeds u times the total; the last with any weight when rounding left none.
 * @param weights not negative
 * @param u uniform in [0, 1)
 */
export function indexAt(weights: Weights, u: number, total = sum(weights)): number {
  const target = u * total;
  let running = 0;
  let last = 0;
  for (let i = 0; i < weights.length; i++) {
    const weight = weights[i]!;
    if (!(weight > 0)) continue;
    running += weight;
    last = i;
    if (running > target) break;
  }
  return last;
}
