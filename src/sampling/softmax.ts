import { badLogits } from "./bad-logits.ts";

/**
 * exp and softmax over rows of V numbers. Math.exp is slow over a whole vocabulary and not specified to the
 * bit; this one uses only additions and multiplications, so that every platform gets the same dense weights.
 */

export const LOG2_E = Math.LOG2E;
export const LN_2 = Math.LN2;
/** exp(x) below this is 0 as a 32-bit float, denormals included. */
export const UNDERFLOW = -103.5;

const powersOfTwo = new Float64Array(152);
for (let k = 0; k < powersOfTwo.length; k++) powersOfTwo[k] = 2 ** -k;

/** Of exp(r), the constant term last: what `expNonPositive` has written out. */
export const TAYLOR = [1 / 5040, 1 / 720, 1 / 120, 1 / 24, 1 / 6, 1 / 2, 1, 1] as const;

/**
 * exp(x) for x <= 0 to a relative error of 1e-8, and 0 below -103.5.
 * x = -k ln 2 + r with |r| <= ln(2)/2, exp(r) by its Taylor polynomial of degree 7.
 */
export function expNonPositive(x: number): number {
  if (!(x >= UNDERFLOW)) return 0;
  const k = (0.5 - x * LOG2_E) | 0;
  const r = x + k * LN_2;
  const p =
    1 + r * (1 + r * (1 / 2 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120 + r * (1 / 720 + r * (1 / 5040)))))));
  return p * powersOfTwo[k]!;
}

/**
 * weights[i] = exp((row[i] - maximum) * inverseTemperature), as 32-bit floats.
 * @param row Float32Array[V], logits
 * @param weights Float32Array[V], written
 * @returns the sum of the weights as they are stored, so that weight / sum is a distribution
 * @throws PicoSpecError `model_output` when the row holds no finite number
 */
export function softmaxWeights(
  row: Float32Array,
  maximum: number,
  inverseTemperature: number,
  weights: Float32Array,
): number {
  // Two elements a turn: the chains of multiplications of both run side by side in the processor.
  let sumEven = 0;
  let sumOdd = 0;
  const pairs = row.length & ~1;
  for (let i = 0; i < pairs; i += 2) {
    const even = Math.fround(expNonPositive((row[i]! - maximum) * inverseTemperature));
    const odd = Math.fround(expNonPositive((row[i + 1]! - maximum) * inverseTemperature));
    weights[i] = even;
    weights[i + 1] = odd;
    sumEven += even;
    sumOdd += odd;
  }
  if (pairs < row.length) {
    const last = Math.fround(expNonPositive((row[pairs]! - maximum) * inverseTemperature));
    weights[pairs] = last;
    sumEven += last;
  }
  const total = sumEven + sumOdd;
  if (!(total > 0)) {
    throw badLogits();
  }
  return total;
}

/** Sum of exp((row[i] - maximum) * inverseTemperature) without storing the terms. Row is Float32Array[V]. */
export function softmaxTotal(row: Float32Array, maximum: number, inverseTemperature: number): number {
  let sumEven = 0;
  let sumOdd = 0;
  const pairs = row.length & ~1;
  for (let i = 0; i < pairs; i += 2) {
    sumEven += expNonPositive((row[i]! - maximum) * inverseTemperature);
    sumOdd += expNonPositive((row[i + 1]! - maximum) * inverseTemperature);
  }
  if (pairs < row.length) sumEven += expNonPositive((row[pairs]! - maximum) * inverseTemperature);
  return sumEven + sumOdd;
}
