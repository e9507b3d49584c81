import { SettingError } from "../../src/util/errors.ts";
import { parseScenario, type Scenario } from "./scenario.ts";

/** From measurements to a scenario: least squares, quantiles and intervals. */

/** Two-sided 95% of the normal distribution. */
const Z_95 = 1.959963984540054;

/** An estimate and its 95% interval. */
export interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** A line y = intercept + slope x by least squares, with standard errors. */
export interface Line {
  readonly intercept: number;
  readonly slope: number;
  readonly interceptError: number;
  readonly slopeError: number;
}

/**
 * Ordinary least squares, and the textbook's standard errors from the residuals (n - 2 degrees of freedom).
 * @throws SettingError with fewer than three points or only one x
 */
export function fitLine(points: readonly (readonly [x: number, y: number])[], what = "points"): Line {
  const n = points.length;
  const mean = (of: (point: readonly [number, number]) => number) =>
    points.reduce((sum, point) => sum + of(point), 0) / n;
  const [xMean, yMean] = [mean(([x]) => x), mean(([, y]) => y)];
  const xSquares = points.reduce((sum, [x]) => sum + (x - xMean) ** 2, 0);
  if (n < 3 || xSquares === 0) {
    throw new SettingError(what, `${what}: measure at least three, of at least two sizes`);
  }
  const slope = points.reduce((sum, [x, y]) => sum + (x - xMean) * (y - yMean), 0) / xSquares;
  const intercept = yMean - slope * xMean;
  const variance = points.reduce((sum, [x, y]) => sum + (y - intercept - slope * x) ** 2, 0) / (n - 2);
  return {
    intercept,
    slope,
    interceptError: Math.sqrt(variance * (1 / n + xMean ** 2 / xSquares)),
    slopeError: Math.sqrt(variance / xSquares),
  };
}

/** Value +- 1.96 standard errors: good from some thirty samples on. */
function normal(value: number, error: number): Estimate {
  return { value, low: value - Z_95 * error, high: value + Z_95 * error };
}

/** A pass and how long it took. */
export interface PassSample {
  readonly rows: number;
  readonly ms: number;
}

export interface PassFit {
  /** a pass over up to the free rows, ms */
  readonly passMs: Estimate;
  /** each further row, ms */
  readonly passMsPerToken: Estimate;
}

/**
 * Times of passes: passMs + passMsPerToken max(0, rows - freeRows), as scenarios say it.
 * @throws SettingError when the samples do not tell both apart
 */
export function fitPass(samples: readonly PassSample[], freeRows = 1): PassFit {
  const points = samples.map(({ rows, ms }) => [Math.max(0, rows - freeRows), ms] as const);
  const line = fitLine(points, "passes");
  return {
    passMs: normal(line.intercept, line.interceptError),
    passMsPerToken: normal(line.slope, line.slopeError),
  };
}

/**
 * A probability from counts, with Wilson's score interval (E. B. Wilson, JASA 22, 1927): it stays within [0, 1]
 * and holds at the ends, where value +- 1.96 standard errors does not.
 */
export function fitProbability(successes: number, trials: number): Estimate {
  if (trials <= 0) throw new SettingError("judged", "judged: no draft was judged, so nothing is known");
  const value = successes / trials;
  const zz = (Z_95 * Z_95) / trials;
  const centre = (value + zz / 2) / (1 + zz);
  const half = (Z_95 * Math.sqrt((value * (1 - value)) / trials + zz / (4 * trials))) / (1 + zz);
  return { value, low: Math.max(0, centre - half), high: Math.min(1, centre + half) };
}

export interface Quantiles {
  readonly least: number;
  readonly lowerQuartile: number;
  readonly median: number;
  readonly upperQuartile: number;
}

/** The quantile of sorted values, between two of them in proportion (type 7 of Hyndman and Fan, 1996). */
export function quantile(sorted: readonly number[], share: number): number {
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.min(sorted.length - 1, below + 1);
  return sorted[below]! + (place - below) * (sorted[above]! - sorted[below]!);
}

/** @throws SettingError without samples */
export function quantiles(samples: readonly number[], what = "samples"): Quantiles {
  if (samples.length === 0) throw new SettingError(what, `${what}: measure at least one`);
  const sorted = samples.toSorted((a, b) => a - b);
  return {
    least: sorted[0]!,
    lowerQuartile: quantile(sorted, 0.25),
    median: quantile(sorted, 0.5),
    upperQuartile: quantile(sorted, 0.75),
  };
}

/** The median with its interval by ranks: n / 2 +- 1.96 sqrt(n) / 2, from the binomial distribution. */
export function fitMedian(samples: readonly number[], what = "samples"): Estimate {
  const { median } = quantiles(samples, what);
  const sorted = samples.toSorted((a, b) => a - b);
  const n = sorted.length;
  const half = (Z_95 * Math.sqrt(n)) / 2;
  const low = sorted[Math.max(0, Math.floor(n / 2 - half))]!;
  const high = sorted[Math.min(n - 1, Math.ceil(n / 2 + half))]!;
  return { value: median, low, high };
}

export interface NetworkFit {
  readonly rttMs: Estimate;
  readonly jitterMs: number;
}

/**
 * Round trip and jitter from pings. A scenario adds a uniform share of J each way, so that a ping is R plus the
 * sum of two: quartiles R + J / sqrt(2) and R + 2 J - J / sqrt(2), median R + J. Hence J = IQR / (2 - sqrt(2))
 * and R = median - J, with a standard error of J sqrt((1 + 1 / sqrt(2)) / n) from the covariances of sample
 * quantiles, good from some hundred pings on; R is never above the least ping. Quartiles do not mind a few lost
 * packets. (Our derivation.)
 */
export function fitNetwork(pingsMs: readonly number[]): NetworkFit {
  const { least, lowerQuartile, median, upperQuartile } = quantiles(pingsMs, "pings");
  const jitterMs = (upperQuartile - lowerQuartile) / (2 - Math.SQRT2);
  const errorMs = jitterMs * Math.sqrt((1 + Math.SQRT1_2) / pingsMs.length);
  const { value, low, high } = normal(median - jitterMs, errorMs);
  const possible = (ms: number) => Math.max(0, Math.min(least, ms));
  return { rttMs: { value: possible(value), low: possible(low), high: possible(high) }, jitterMs };
}

/** So many bytes took so long in one direction, answer included or not: only differences count. */
export interface TransferSample {
  readonly bytes: number;
  readonly ms: number;
}

/** Mbit/s; null: larger transfers took no longer, so that no limit is seen. `high` null: it may be unlimited. */
export interface RateEstimate {
  readonly value: number;
  readonly low: number;
  readonly high: number | null;
}

/** Rate of a link from transfers of two sizes or more: the slope is ms a byte, and 1 Mbit/s is 125 bytes a ms. */
export function fitBandwidth(samples: readonly TransferSample[], what = "transfers"): RateEstimate | null {
  const { slope, slopeError } = fitLine(
    samples.map(({ bytes, ms }) => [bytes, ms] as const),
    what,
  );
  if (slope <= 0) return null;
  const mbps = (msPerByte: number) => 1 / (125 * msPerByte);
  const least = slope - Z_95 * slopeError;
  return {
    value: mbps(slope),
    low: mbps(slope + Z_95 * slopeError),
    high: least > 0 ? mbps(least) : null,
  };
}

const LEAST_OF_SHORTEST = 0.5;

function atLeast({ value, low, high }: Estimate, least: number): Estimate {
  return { value: Math.max(least, value), low: Math.max(least, low), high: Math.max(least, high) };
}

/** Drafts that were judged, and how many of them were accepted. */
export interface Judged {
  readonly accepted: number;
  readonly judged: number;
}

/** Whatever was measured; what was not keeps the base's value. */
export interface Measurements {
  readonly pingsMs?: readonly number[];
  readonly up?: readonly TransferSample[];
  readonly down?: readonly TransferSample[];
  readonly draftsMs?: readonly number[];
  readonly passes?: readonly PassSample[];
  /** rows that cost nothing more; default: 1 */
  readonly passFreeRows?: number;
  /** under rejection coupling */
  readonly rejection?: Judged;
  /** under Gumbel coupling */
  readonly coupled?: Judged;
}

export interface FittedScenario {
  readonly scenario: Scenario;
  /** 95%, of what was measured */
  readonly intervals: Readonly<Partial<Record<keyof Scenario, Estimate | RateEstimate>>>;
}

/**
 * A scenario like the base with everything that was measured put in. Negative slopes and intercepts are noise
 * and become 0, and intervals begin there.
 * @throws SettingError when a measurement does not suffice for what it is for
 */
export function fitScenario(base: Scenario, measured: Measurements): FittedScenario {
  const { pingsMs, up, down, draftsMs, passes, passFreeRows, rejection, coupled } = measured;
  const fields: { -readonly [Name in keyof Scenario]?: Scenario[Name] } = {};
  const intervals: Partial<Record<keyof Scenario, Estimate | RateEstimate>> = {};
  const put = (name: "rttMs" | "draftMs" | "passMs" | "passMsPerToken", estimate: Estimate) => {
    fields[name] = Math.max(0, estimate.value);
    intervals[name] = atLeast(estimate, 0);
  };
  const putRate = (name: "upMbps" | "downMbps", samples: readonly TransferSample[]) => {
    const rate = fitBandwidth(samples, name);
    fields[name] = rate?.value ?? null;
    if (rate) intervals[name] = rate;
  };
  const putShare = (name: "acceptance" | "acceptanceCoupled", counts: Judged) => {
    const estimate = fitProbability(counts.accepted, counts.judged);
    fields[name] = estimate.value;
    intervals[name] = estimate;
  };
  if (pingsMs) {
    const network = fitNetwork(pingsMs);
    put("rttMs", network.rttMs);
    fields.jitterMs = network.jitterMs;
  }
  if (up) putRate("upMbps", up);
  if (down) putRate("downMbps", down);
  if (draftsMs) put("draftMs", fitMedian(draftsMs, "drafts"));
  if (passes) {
    const fit = fitPass(passes, passFreeRows);
    // A line through few points can meet the axis anywhere; a pass of one row takes most of the shortest pass seen.
    const shortest = Math.min(...passes.map(({ ms }) => ms));
    put("passMs", atLeast(fit.passMs, LEAST_OF_SHORTEST * shortest));
    put("passMsPerToken", fit.passMsPerToken);
    fields.passFreeRows = passFreeRows ?? 1;
  }
  if (rejection) putShare("acceptance", rejection);
  if (coupled) putShare("acceptanceCoupled", coupled);
  return { scenario: parseScenario({ ...base, ...fields }), intervals };
}
