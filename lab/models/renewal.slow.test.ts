import { describe, expect, it } from "vitest";
import { type DecodingPolicy, POLICIES, type PolicyName } from "../../src/decoding/policy.ts";
import { SettingError } from "../../src/util/errors.ts";
import {
  constantScenario,
  measuredRate,
  type Timeline,
  timeline,
  timesOf,
  worstErrorMs,
} from "../../test/support/timeline.ts";
import { brokenAssumptions, firstTokenMs, scenarioRate, steadyRate } from "./renewal.ts";
import { type Scenario, sized } from "./scenario.ts";
import { scenarioNamed } from "./scenarios.ts";

/**
 * Against the real machines under virtual time. The assumptions: one edge on an idle cloud; constant times of
 * drafts, passes and both ways of the network; no bandwidth, no own code, no prefill; independent acceptance.
 */

const never = Number.POSITIVE_INFINITY;
const { vanilla, cloud, edge } = POLICIES;
/** with sizes that stay as they are */
const picospec: DecodingPolicy = { ...POLICIES.picospec, adaptive: false };
const noTruncation: DecodingPolicy = { ...picospec, truncateAfterMs: never };

/** Round trip, pass, draft; numbers whose sums are exact. */
const usual = [60, 100, 10] as const;

describe("picospec, token by token", () => {
  const cases: [string, DecodingPolicy, readonly [number, number, number], number][] = [
    ["as the paper has it", picospec, usual, 0.8],
    ["times that do not divide each other", picospec, [61.75, 103.125, 9.25], 0.8],
    ["passes shorter than a segment takes", picospec, [20, 15, 10], 0.5],
    ["corrections with a pass of their own at times", noTruncation, [15, 72, 24.375], 0.8],
    ["a network that starves the cloud", picospec, [300, 50, 5], 0.9],
    ["no network", picospec, [0, 50, 20], 0.7],
    ["passes that take no time", picospec, [60, 0, 10], 0.7],
    ["segments of one", { ...picospec, segmentTokens: 1, windowTokens: 16 }, [150, 17.25, 7.125], 0.85],
    ["a window that is no multiple", { ...picospec, segmentTokens: 3, windowTokens: 7 }, usual, 0.85],
    ["truncated segments", { ...picospec, truncateAfterMs: 35 }, [61.75, 103.125, 9.25], 0.8],
    ["no Parallel Drafting", POLICIES["picospec-no-parallel-drafting"], usual, 0.8],
    ["no Fast Verification", POLICIES["picospec-no-fast-verification"], usual, 0.8],
  ];

  it.each(cases)("%s: committed exactly when the model says", (_, policy, [rtt, pass, draft], alpha) => {
    const scenario = constantScenario(rtt, pass, draft, alpha);
    const line = timeline(policy, scenario, 600);
    expect(line.corrections.length).toBeGreaterThan(30);
    expect(worstErrorMs(policy, scenario, line)).toBeLessThan(1e-6);
  });

  it("is off when a rule is another: a control", () => {
    const scenario = constantScenario(...usual, 0.8);
    const line = timeline(picospec, scenario, 600);
    for (const other of [
      { ...picospec, preVerify: false },
      { ...picospec, windowTokens: 7 },
      { ...picospec, segmentTokens: 3 },
    ]) {
      expect(worstErrorMs(other, scenario, line)).toBeGreaterThan(5);
    }
  });
});

describe("picospec in the long run", () => {
  /** Measured over predicted, less 1. */
  const deviation = (scenario: Scenario) => {
    const line = timeline(picospec, scenario, 8000);
    const predicted = scenarioRate(picospec, scenario).tokensPerSecond;
    return measuredRate(line, scenario.acceptance) / predicted - 1;
  };

  it.each([
    [...usual, 0.6],
    [20, 15, 10, 0.9],
    [15, 72, 24.375, 0.8],
  ] as const)("RTT %d, pass %d, draft %d, acceptance %d: within 1%", (rtt, pass, draft, alpha) => {
    expect(Math.abs(deviation(constantScenario(rtt, pass, draft, alpha)))).toBeLessThan(0.01);
  });

  it.each([
    ["jitter", { jitterMs: 60 }],
    ["passes that take longer with more rows", { passMsPerToken: 8 }],
    ["bandwidth", { upMbps: 0.02 }],
    ["acceptance that comes in runs", { acceptanceMemory: 0.7 }],
  ])("is more than 2% off with %s, and says so", (what, broken) => {
    const scenario = constantScenario(...usual, 0.8, broken);
    expect(brokenAssumptions(picospec, scenario)).toEqual([what]);
    expect(Math.abs(deviation(scenario))).toBeGreaterThan(0.02);
  });

  it("counts the passes of the target", () => {
    const scenario = constantScenario(...usual, 1);
    // By hand: passes follow each other and decide 4, 4 and 5 drafts in turn, held rows included.
    expect(steadyRate(picospec, timesOf(scenario), 1).passesPerToken).toBeCloseTo(3 / 13, 12);
    const { passesPerToken } = steadyRate(vanilla, timesOf(scenario), 0.5);
    expect(passesPerToken).toBeCloseTo(1 / (1 + 0.5 + 0.25 + 0.125 + 0.0625), 12);
  });

  it("has limits: all drafts are accepted, or none", () => {
    const all = steadyRate(picospec, timesOf(constantScenario(...usual, 1)), 1);
    const almost = steadyRate(picospec, timesOf(constantScenario(...usual, 1)), 0.9999);
    expect(almost.tokensPerSecond / all.tokensPerSecond).toBeCloseTo(1, 2);
    // Drafts 40 ms, up and down 60, a pass 100: one token each.
    expect(steadyRate(picospec, timesOf(constantScenario(...usual, 0)), 0).tokensPerSecond).toBe(5);
  });
});

describe("vanilla", () => {
  /** Tokens that were committed at the same time, and how long after those before. */
  const cycles = ({ startMs, atMs }: Timeline) => {
    const times = [...new Set(atMs)];
    return times.map((time, i) => ({
      ms: time - (times[i - 1] ?? startMs),
      tokens: atMs.filter((at) => at === time).length,
    }));
  };

  it("has cycles that all take the drafts, the round trip and a pass", () => {
    const scenario = constantScenario(...usual, 0.8);
    const all = cycles(timeline(vanilla, scenario, 3000)).slice(0, -1);
    expect(new Set(all.map(({ ms }) => ms))).toEqual(new Set([4 * 10 + 60 + 100]));
    const tokens = all.reduce((sum, cycle) => sum + cycle.tokens, 0) / all.length;
    // 900 cycles with a standard deviation of 1.6 tokens: three standard errors are 5%.
    const predicted = scenarioRate(vanilla, scenario).tokensPerSecond;
    expect(Math.abs((1000 * tokens) / 200 / predicted - 1)).toBeLessThan(0.05);
  });

  it("takes other times with jitter: a control", () => {
    const all = cycles(timeline(vanilla, constantScenario(...usual, 0.8, { jitterMs: 20 }), 300));
    expect(new Set(all.map(({ ms }) => ms)).size).toBeGreaterThan(10);
  });
});

describe("one side alone", () => {
  const gaps = ({ atMs }: Timeline) => new Set(atMs.slice(1).map((at, i) => at - atMs[i]!));

  it("goes as fast as its model", () => {
    const scenario = constantScenario(...usual, 0.8);
    expect(gaps(timeline(cloud, scenario, 200))).toEqual(new Set([100]));
    expect(gaps(timeline(edge, scenario, 200))).toEqual(new Set([10]));
    expect(scenarioRate(cloud, scenario)).toMatchObject({ tokensPerSecond: 10, passesPerToken: 1 });
    expect(scenarioRate(edge, scenario)).toMatchObject({ tokensPerSecond: 100, passesPerToken: 0 });
  });
});

describe("the first token", () => {
  it.each([
    "cloud",
    "edge",
    "vanilla",
    "picospec",
    "picospec-no-parallel-drafting",
    "picospec-no-fast-verification",
  ] as const satisfies PolicyName[])("of %s comes when the model says", (name) => {
    const all: (readonly [number, number, number])[] = [usual, [20, 15, 10], [61.75, 103.125, 9.25]];
    for (const times of all) {
      const scenario = constantScenario(...times, 0.8);
      const { startMs, atMs } = timeline(POLICIES[name], scenario, 40);
      expect(firstTokenMs(POLICIES[name], timesOf(scenario))).toBeCloseTo(atMs[0]! - startMs, 9);
    }
  });
});

describe("what is not covered", () => {
  const times = timesOf(constantScenario(...usual, 0.8));

  it("is refused by name", () => {
    const refused = (policy: DecodingPolicy) => {
      expect(() => steadyRate(policy, times, 0.8)).toThrow(SettingError);
      expect(() => firstTokenMs(policy, times)).toThrow(SettingError);
    };
    refused({ ...picospec, coupling: "gumbel", patienceMs: 0 });
    refused(POLICIES["picospec-no-separate-rejection"]);
    refused({ ...picospec, windowTokens: 64 });
    refused({ ...vanilla, preVerify: true });
    refused({ ...vanilla, truncateAfterMs: 30 });
  });

  it("is listed for a scenario", () => {
    expect(brokenAssumptions(picospec, scenarioNamed("demo"))).toEqual([]);
    const phone = ["jitter", "losses", "bandwidth", "acceptance that comes in runs"];
    expect(brokenAssumptions(picospec, scenarioNamed("phone-4g"))).toEqual(phone);
  });
});

describe("a scenario's segments", () => {
  it("replace the paper's, with as many of them in the window", () => {
    expect(sized(picospec, 7)).toEqual({ ...picospec, segmentTokens: 7, windowTokens: 14 });
    expect([sized(picospec, 0), sized(cloud, 7), sized(edge, 7)]).toEqual([picospec, cloud, edge]);
  });

  it("give about the paper's speed-ups: within 10%", () => {
    const published = {
      "paper-qwen-gsm8k": 1.45,
      "paper-qwen-humaneval": 1.13,
      "paper-llama-gsm8k": 2.51,
      "paper-llama-humaneval": 2.9,
    };
    for (const [name, speedUp] of Object.entries(published)) {
      const scenario = scenarioNamed(name);
      const rate = (policy: DecodingPolicy) => scenarioRate(policy, scenario).tokensPerSecond;
      expect(Math.abs(rate(picospec) / rate(cloud) / speedUp - 1), name).toBeLessThan(0.1);
    }
  });
});
