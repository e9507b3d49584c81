/** Ratios of rates over answers that met the same random numbers. */

export interface PairedRatio {
  readonly ratio: number;
  /** ends of the 95% interval */
  readonly low: number;
  readonly high: number;
}

/**
 * The rate of A over that of B, for answers of the same length in pairs under one seed each, by the time that each
 * took: sum of B's over sum of A's. The interval is that of the
 * logarithm of a ratio of sums (the delta method) with Student's t: it ends above 0.
 * @param ofA seconds (or any unit), one for each answer; as many of B
 */
export function pairedRatio(ofA: readonly number[], ofB: readonly number[]): PairedRatio {
  const n = ofA.length;
  const total = sum(ofA);
  const ratio = sum(ofB) / total;
  if (n < 2) return { ratio, low: ratio, high: ratio };
  const squares = sum(ofA.map((a, i) => (ofB[i]! - ratio * a) ** 2));
  const half = (studentT95(n - 1) * Math.sqrt((squares * n) / (n - 1))) / (total * ratio);
  return { ratio, low: ratio * Math.exp(-half), high: ratio * Math.exp(half) };
}

/** Of 1, 2 and 3 degrees. */
const FEW_DEGREES = [12.7062, 4.3027, 3.1824] as const;

/** Two-sided 95% quantile; from 4 degrees on by the expansion of Abramowitz and Stegun 26.7.5, to 1%. */
export function studentT95(degrees: number): number {
  const few = FEW_DEGREES[degrees - 1];
  if (few !== undefined) return few;
  const z = 1.959964;
  const first = (z ** 3 + z) / 4;
  const second = (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96;
  const third = (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384;
  return z + first / degrees + second / degrees ** 2 + third / degrees ** 3;
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
