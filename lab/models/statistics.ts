/** Goodness of fit for the tests that say that a distribution is exact. */

export interface ChiSquare {
  readonly statistic: number;
  readonly degreesOfFreedom: number;
  /** probability of a statistic at least this large when the hypothesis holds */
  readonly pValue: number;
}

/**
 * Pearson's chi-square of observed counts against expected probabilities. Cells that expect fewer than 5 are
 * pooled into one (and that one into the smallest other cell, if it still expects fewer).
 * @param observed counts by outcome
 * @param expected probabilities by outcome; they add up to 1
 */
export function chiSquare(observed: Map<string, number>, expected: Map<string, number>): ChiSquare {
  let draws = 0;
  for (const count of observed.values()) draws += count;
  const cells: { observed: number; expected: number }[] = [];
  const pooled = { observed: 0, expected: 0 };
  for (const [outcome, probability] of expected) {
    const cell = { observed: observed.get(outcome) ?? 0, expected: probability * draws };
    if (cell.expected >= 5) cells.push(cell);
    else {
      pooled.observed += cell.observed;
      pooled.expected += cell.expected;
    }
  }
  // An outcome that cannot be counts against the fit: it must not vanish from the sum.
  for (const [outcome, count] of observed) if (!expected.has(outcome)) pooled.observed += count;
  if (pooled.expected >= 5) cells.push(pooled);
  else if (pooled.observed > 0 || pooled.expected > 0) {
    const smallest = cells.reduce((a, b) => (b.expected < a.expected ? b : a));
    smallest.observed += pooled.observed;
    smallest.expected += pooled.expected;
  }
  const statistic = cells.reduce(
    (sum, cell) => sum + (cell.observed - cell.expected) ** 2 / cell.expected,
    0,
  );
  const degreesOfFreedom = cells.length - 1;
  return { statistic, degreesOfFreedom, pValue: upperGamma(degreesOfFreedom / 2, statistic / 2) };
}

/**
 * Pearson's chi-square test of homogeneity: whether two samples come from one distribution, whatever it is. Outcomes that
 * are expected fewer than 5 times in either are pooled.
 * @param first counts by outcome
 * @param second counts by outcome, of any other number of draws
 */
export function sameFrequencies(
  first: ReadonlyMap<string, number>,
  second: ReadonlyMap<string, number>,
): ChiSquare {
  const samples = [first, second];
  const draws = samples.map((sample) => [...sample.values()].reduce((a, b) => a + b, 0));
  const all = draws.reduce((a, b) => a + b, 0);
  const rare = [0, 0];
  const cells: number[][] = [];
  for (const outcome of new Set([...first.keys(), ...second.keys()])) {
    const counts = samples.map((sample) => sample.get(outcome) ?? 0);
    const total = counts[0]! + counts[1]!;
    if ((total * Math.min(...draws)) / all >= 5) cells.push(counts);
    else
      counts.forEach((count, i) => {
        rare[i]! += count;
      });
  }
  if (rare[0]! + rare[1]! > 0) cells.push(rare);
  let statistic = 0;
  for (const counts of cells) {
    const share = (counts[0]! + counts[1]!) / all;
    counts.forEach((count, i) => {
      statistic += (count - share * draws[i]!) ** 2 / (share * draws[i]!);
    });
  }
  const degreesOfFreedom = cells.length - 1;
  return { statistic, degreesOfFreedom, pValue: upperGamma(degreesOfFreedom / 2, statistic / 2) };
}

/** Regularised upper incomplete gamma function Q(a, x): series below a + 1, Lentz's continued fraction above. */
export function upperGamma(a: number, x: number): number {
  if (x <= 0) return 1;
  const scale = Math.exp(-x + a * Math.log(x) - logGamma(a));
  if (x < a + 1) {
    let term = 1 / a;
    let total = term;
    for (let n = 1; n < 10_000 && term > total * 1e-15; n++) total += term *= x / (a + n);
    return Math.max(0, 1 - total * scale);
  }
  let b = x + 1 - a;
  let c = 1e300;
  let d = 1 / b;
  let h = d;
  for (let n = 1; n < 10_000; n++) {
    const an = -n * (n - a);
    b += 2;
    d = 1 / (an * d + b);
    c = b + an / c;
    const delta = d * c;
    h *= delta;
    if (Math.abs(delta - 1) < 1e-15) break;
  }
  return scale * h;
}

/** log of the gamma function by Stirling's series, shifted up to where it is good to 1e-12. */
function logGamma(x: number): number {
  let shift = 0;
  let z = x;
  while (z < 12) shift -= Math.log(z++);
  const inverse = 1 / (z * z);
  const series = (1 / 12 - inverse * (1 / 360 - inverse * (1 / 1260 - inverse / 1680))) / z;
  return shift + (z - 0.5) * Math.log(z) - z + 0.5 * Math.log(2 * Math.PI) + series;
}

/** Counts outcomes by name. */
export function tally(outcomes: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const outcome of outcomes) counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  return counts;
}
