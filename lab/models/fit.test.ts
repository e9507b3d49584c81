import { describe, expect, it } from "vitest";
import { Purpose, toSeed, uniform } from "../../src/sampling/random.ts";
import { SettingError } from "../../src/util/errors.ts";
import {
  type Estimate,
  fitBandwidth,
  fitLine,
  fitMedian,
  fitNetwork,
  fitPass,
  fitProbability,
  fitScenario,
  quantiles,
} from "./fit.ts";
import { scenarioNamed } from "./scenarios.ts";

/** Uniform draws in [0, 1) from a seed. */
function uniforms(seed: number): () => number {
  let index = 0;
  return () => uniform(toSeed(seed), Purpose.draft, 0, 0, index++);
}

/** Normal draws by Box and Muller. */
function normals(seed: number): () => number {
  const draw = uniforms(seed);
  return () => Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw());
}

const series = <T>(length: number, of: (index: number) => T) => Array.from({ length }, (_, i) => of(i));
const covers = ({ low, high }: Estimate, truth: number) => low <= truth && truth <= high;

describe("a line by least squares", () => {
  it("is exact without noise", () => {
    const line = fitLine(series(5, (x) => [x, 3 + 2 * x]));
    expect(line.intercept).toBeCloseTo(3, 12);
    expect(line.slope).toBeCloseTo(2, 12);
    expect(line.slopeError).toBeCloseTo(0, 12);
  });

  it("has the standard errors of a textbook's example", () => {
    const line = fitLine([
      [1, 2],
      [2, 3],
      [3, 5],
      [4, 5],
    ]);
    expect([line.intercept, line.slope]).toEqual([1, 1.1]);
    // Residuals -0.1, -0.2, 0.7, -0.4: 0.7 in squares, 0.35 a degree of freedom.
    expect(line.slopeError).toBeCloseTo(Math.sqrt(0.35 / 5), 12);
    expect(line.interceptError).toBeCloseTo(Math.sqrt(0.35 * (1 / 4 + 6.25 / 5)), 12);
  });

  it("needs two sizes and three points", () => {
    expect(() => fitLine(series(9, () => [4, 1]))).toThrow(SettingError);
    expect(() =>
      fitLine([
        [1, 1],
        [2, 2],
      ]),
    ).toThrow(SettingError);
  });
});

/** 95% intervals over 400 data sets: fewer than 92% or more than 98% have a chance below 1 in 200 (binomial). */
function coverage(one: (seed: number) => boolean): number {
  return series(400, (seed) => one(seed + 1)).filter(Boolean).length / 400;
}

describe("intervals hold in 95% of data sets", () => {
  const within = (share: number) => {
    expect(share).toBeGreaterThan(0.92);
    expect(share).toBeLessThan(0.98);
  };

  it("for the time of a pass and of a row", () => {
    const fitted = (seed: number) => {
      const noise = normals(seed);
      return fitPass(series(60, (i) => ({ rows: 1 + (i % 12), ms: 40 + 1.5 * (i % 12) + 2 * noise() })));
    };
    within(coverage((seed) => covers(fitted(seed).passMs, 40)));
    within(coverage((seed) => covers(fitted(seed).passMsPerToken, 1.5)));
  });

  it("for an acceptance", () => {
    const accepted = (seed: number) => {
      const draw = uniforms(seed);
      return series(200, draw).filter((u) => u < 0.85).length;
    };
    within(coverage((seed) => covers(fitProbability(accepted(seed), 200), 0.85)));
  });

  it("for a median", () => {
    const samples = (seed: number) => series(80, uniforms(seed));
    within(coverage((seed) => covers(fitMedian(samples(seed)), 0.5)));
  });

  it("for a round trip", () => {
    const pings = (seed: number) => {
      const draw = uniforms(seed);
      return series(400, () => 40 + 10 * draw() + 10 * draw());
    };
    within(coverage((seed) => covers(fitNetwork(pings(seed)).rttMs, 40)));
  });

  it("and not when the noise is not what it is taken for", () => {
    // A control: passes whose rows stop costing anything at 6 are no line.
    const fitted = (seed: number) => {
      const noise = normals(seed);
      const ms = (rows: number) => 40 + 1.5 * Math.min(rows - 1, 5) + noise();
      return fitPass(series(60, (i) => ({ rows: 1 + (i % 12), ms: ms(1 + (i % 12)) })));
    };
    expect(coverage((seed) => covers(fitted(seed).passMs, 40))).toBeLessThan(0.2);
  });
});

describe("a pass", () => {
  it("has free rows where the scenario has", () => {
    const samples = series(40, (i) => ({ rows: i + 1, ms: 45 + 0.2 * Math.max(0, i + 1 - 16) }));
    const { passMs, passMsPerToken } = fitPass(samples, 16);
    expect(passMs.value).toBeCloseTo(45, 10);
    expect(passMsPerToken.value).toBeCloseTo(0.2, 10);
    expect(fitPass(samples).passMs.value).not.toBeCloseTo(45, 1);
  });
});

describe("a probability", () => {
  it("has Wilson's interval", () => {
    const { low, high } = fitProbability(8, 10);
    // The published worked example: 8 of 10 gives 0.490 to 0.943.
    expect(low).toBeCloseTo(0.4902, 4);
    expect(high).toBeCloseTo(0.9433, 4);
  });

  it("is not certain when everything was accepted", () => {
    const { value, low, high } = fitProbability(20, 20);
    expect([value, high]).toEqual([1, 1]);
    expect(low).toBeCloseTo(0.8389, 4);
    expect(() => fitProbability(0, 0)).toThrow(SettingError);
  });
});

describe("a network", () => {
  it("is told by the quartiles of its pings", () => {
    const draw = uniforms(4);
    const pings = series(4000, () => 60 + 20 * draw() + 20 * draw());
    const { rttMs, jitterMs } = fitNetwork(pings);
    expect(Math.abs(rttMs.value - 60)).toBeLessThan(1);
    expect(Math.abs(jitterMs - 20)).toBeLessThan(1);
    expect(covers(rttMs, 60)).toBe(true);
  });

  it("does not mind a few packets that were lost and sent again", () => {
    const pings = [...series(95, () => 40), ...series(5, () => 400)];
    expect(fitNetwork(pings)).toEqual({ rttMs: { value: 40, low: 40, high: 40 }, jitterMs: 0 });
  });

  it("has the quantiles of a small sample", () => {
    expect(quantiles([5, 1, 3, 2, 4])).toEqual({ least: 1, lowerQuartile: 2, median: 3, upperQuartile: 4 });
    expect(() => quantiles([], "pings")).toThrow(/pings/);
  });

  it("has a bandwidth that is told by transfers of two sizes, whatever the delay", () => {
    const noise = normals(6);
    const ms = (bytes: number) => 30 + bytes / (125 * 20) + 0.5 * noise();
    const samples = series(40, (i) => (i % 2 ? 1_000 : 100_000)).map((bytes) => ({ bytes, ms: ms(bytes) }));
    const rate = fitBandwidth(samples)!;
    expect(Math.abs(rate.value / 20 - 1)).toBeLessThan(0.02);
    expect(rate.low).toBeLessThan(20);
    expect(rate.high!).toBeGreaterThan(20);
  });

  it("has no limit where larger transfers take no longer", () => {
    expect(fitBandwidth(series(6, (i) => ({ bytes: 1000 * i, ms: 30 - i })))).toBeNull();
    const noise = normals(8);
    const vague = fitBandwidth(
      series(20, (i) => ({ bytes: 100 * (i % 2), ms: 30 + (i % 2) / 10 + noise() })),
    );
    expect(vague === null || vague.high === null).toBe(true);
  });
});

describe("a scenario from measurements", () => {
  const truth = scenarioNamed("laptop-gpu");
  const measured = () => {
    const [draw, noise] = [uniforms(11), normals(12)];
    const transfer = (mbps: number) => (i: number) => {
      const bytes = i % 2 ? 2_000 : 200_000;
      return { bytes, ms: 20 + bytes / (125 * mbps) + noise() };
    };
    const free = truth.passFreeRows;
    const passMs = (rows: number) => truth.passMs + truth.passMsPerToken * Math.max(0, rows - free);
    return {
      pingsMs: series(2000, () => truth.rttMs + truth.jitterMs * (draw() + draw())),
      up: series(60, transfer(truth.upMbps!)),
      down: series(60, transfer(truth.downMbps!)),
      draftsMs: series(200, () => truth.draftMs + 0.3 * noise()),
      passes: series(300, (i) => ({ rows: 1 + (i % 60), ms: passMs(1 + (i % 60)) + noise() })),
      passFreeRows: free,
      rejection: { accepted: series(5000, draw).filter((u) => u < truth.acceptance).length, judged: 5000 },
      coupled: {
        accepted: series(5000, draw).filter((u) => u < truth.acceptanceCoupled).length,
        judged: 5000,
      },
    };
  };

  it("finds the truth within 3%, with noise of some 3%", () => {
    const { scenario, intervals } = fitScenario({ ...scenarioNamed("demo"), name: "mine" }, measured());
    const names = [
      "rttMs",
      "jitterMs",
      "upMbps",
      "downMbps",
      "draftMs",
      "passMs",
      "passMsPerToken",
      "acceptance",
      "acceptanceCoupled",
    ] as const;
    for (const name of names) {
      const share = name === "jitterMs" ? 0.06 : 0.03;
      expect(Math.abs(scenario[name]! / truth[name]! - 1), name).toBeLessThan(share);
      if (name !== "jitterMs") expect(intervals[name]!.low, name).toBeLessThanOrEqual(truth[name]!);
      if (name !== "jitterMs") expect(intervals[name]!.high!, name).toBeGreaterThanOrEqual(truth[name]!);
    }
    expect([scenario.name, scenario.passFreeRows]).toEqual(["mine", 16]);
  });

  it("keeps the base's value of what was not measured", () => {
    const base = scenarioNamed("phone-4g");
    const { scenario, intervals } = fitScenario(base, { pingsMs: [50, 50, 50] });
    expect(scenario).toEqual({ ...base, rttMs: 50, jitterMs: 0 });
    expect(Object.keys(intervals)).toEqual(["rttMs"]);
  });

  it("says what has to be measured when that does not suffice", () => {
    const base = scenarioNamed("demo");
    expect(() => fitScenario(base, { passes: [{ rows: 4, ms: 50 }] })).toThrow(/passes: measure/);
    expect(() => fitScenario(base, { pingsMs: [] })).toThrow(/pings: measure/);
  });
});
