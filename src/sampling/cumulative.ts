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

/** `indexAt` for many draws in one run over the weights. @returns Int32Array[us.length], in the order of `us` */
export function indicesAt(weights: Weights, us: readonly number[], total = sum(weights)): Int32Array {
  const order = Array.from(us.keys()).sort((a, b) => us[a]! - us[b]!);
  const found = new Int32Array(us.length);
  let next = 0;
  let running = 0;
  let last = 0;
  for (let i = 0; i < weights.length && next < order.length; i++) {
    const weight = weights[i]!;
    if (!(weight > 0)) continue;
    running += weight;
    last = i;
    while (next < order.length && running > us[order[next]!]! * total) found[order[next++]!] = i;
  }
  while (next < order.length) found[order[next++]!] = last;
  return found;
}
