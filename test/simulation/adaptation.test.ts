import { afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { parseScenario, type Scenario } from "../../lab/models/scenario.ts";
import { scenarioNamed } from "../../lab/models/scenarios.ts";
import { runAnswers } from "../../lab/sim/simulate.ts";
import { World } from "../../lab/sim/world.ts";
import { type DecodingPolicy, POLICIES } from "../../src/decoding/policy.ts";
import { Adaptation } from "../../src/edge/core/adaptation.ts";
import { Purpose, toSeed, uniform } from "../../src/sampling/random.ts";

/**
 * The race as flow control: on a link with a given round trip and machines of given speeds, where do its limits
 * settle, how fast do they follow a change, and what does that cost? Real machines, modelled engines, virtual time.
 */

const { cloud, race } = POLICIES;
const fixed = (windowTokens: number): DecodingPolicy => ({ ...race, adaptive: false, windowTokens });

function scenarioOf(
  rttMs: number,
  passMs: number,
  draftMs: number,
  acceptance: number,
  more: Partial<Scenario> = {},
): Scenario {
  return parseScenario({ rttMs, passMs, draftMs, acceptance, acceptanceCoupled: acceptance, ...more });
}

/** Tokens/s over 30 answers of 300 tokens; all policies meet the same places of rejections. */
function tokensPerSecond(scenario: Scenario, policy: DecodingPolicy): number {
  const answers = runAnswers({ ...scenario, answerTokens: 300 }, policy, { seed: 1, edges: 1, answers: 30 });
  let [tokens, ms] = [0, 0];
  for (const { tokens: decided, startedMs, lastTokenMs } of answers) {
    tokens += decided;
    ms += lastTokenMs - startedMs;
  }
  return (1000 * tokens) / ms;
}

/**
 * Tolerance. What is compared shares its chance, so that a ratio is good to about 1%. Found: .97 at the least
 * (laptop-gpu, transatlantic, where deep drafts that are omitted would have helped a little), .995 in the median.
 */
const LEAST_OF_BEST = 0.96;
const WINDOWS = [1, 2, 4, 8, 16, 32, 64, 128];

const SCENARIOS: [string, Scenario][] = [
  ...["paper-qwen-gsm8k", "paper-llama-gsm8k", "demo", "laptop-gpu", "phone-4g", "transatlantic"].map(
    (name): [string, Scenario] => [name, scenarioNamed(name)],
  ),
  ...(
    [
      [20, 100, 10, 0.8, 0],
      [60, 100, 10, 0.8, 0],
      [60, 100, 10, 0.3, 0],
      [150, 100, 10, 0.9, 0],
      [60, 30, 5, 0.8, 0],
      [150, 40, 5, 0.8, 0],
      [300, 15, 5, 0.3, 0],
      [60, 15, 10, 0.8, 0],
      [10, 30, 20, 0.7, 0],
      [0, 50, 5, 0.9, 0],
      [300, 100, 5, 0.95, 0],
      [20, 100, 5, 0.3, 21],
      [60, 100, 5, 0.8, 21],
      [60, 100, 5, 0.8, 10],
      [10, 30, 3, 0.6, 6],
      [60, 100, 5, 0.9, 5],
    ] as const
  ).map(([rtt, pass, draft, acceptance, row]): [string, Scenario] => [
    `RTT ${rtt}, pass ${pass} + ${row} a row, draft ${draft}, acceptance ${acceptance}`,
    scenarioOf(rtt, pass, draft, acceptance, { passMsPerToken: row }),
  ]),
];

describe("windows that are chosen from measurements", () => {
  /** By scenario: the cloud alone, adaptive, and each fixed window. */
  const rates = new Map<string, { alone: number; adaptive: number; byWindow: number[]; best: number }>();

  beforeAll(() => {
    for (const [name, scenario] of SCENARIOS) {
      const byWindow = WINDOWS.map((window) => tokensPerSecond(scenario, fixed(window)));
      const [alone, adaptive] = [tokensPerSecond(scenario, cloud), tokensPerSecond(scenario, race)];
      rates.set(name, { alone, adaptive, byWindow, best: Math.max(...byWindow) });
    }
  });

  it.each(
    SCENARIOS,
  )(`%s: at least ${LEAST_OF_BEST} of the best fixed window, and of the cloud alone`, (name) => {
    const { alone, adaptive, best } = rates.get(name)!;
    expect(adaptive / best).toBeGreaterThan(LEAST_OF_BEST);
    expect(adaptive / alone).toBeGreaterThan(0.99);
  });

  it("reach .98 of the best in the mean, although the best is chosen for each scenario after the fact", () => {
    const all = [...rates.values()];
    const mean = all.reduce((sum, { adaptive, best }) => sum + adaptive / best, 0) / all.length;
    expect(mean).toBeGreaterThan(0.98);
  });

  it("control: every fixed window fails that bar somewhere", () => {
    for (const [i, window] of WINDOWS.entries()) {
      const worst = Math.min(...[...rates.values()].map(({ byWindow, best }) => byWindow[i]! / best));
      expect(worst, `window ${window}`).toBeLessThan(LEAST_OF_BEST);
    }
  });

  it("control: a large window over rows that cost .21 of a pass is slower than the cloud alone, adaptive is not", () => {
    const dear = scenarioOf(20, 100, 5, 0.3, { passMsPerToken: 21 });
    const alone = tokensPerSecond(dear, cloud);
    expect(tokensPerSecond(dear, fixed(128)) / alone).toBeLessThan(0.8);
    expect(tokensPerSecond(dear, race) / alone).toBeGreaterThan(0.98);
  });
});

// biome-ignore lint/suspicious/noExplicitAny: a test looks at what is private
type Inside = any;

/** The limits after each verdict. */
interface Moment {
  /** tokens committed so far */
  readonly place: number;
  readonly atMs: number;
  readonly windowTokens: number;
}

/** One answer whose acceptance depends on the place. @param change what befalls the world meanwhile */
function story(
  scenario: Scenario,
  acceptance: (place: number) => number,
  answerTokens: number,
  seed: number,
  change: (world: Inside, edge: Inside) => void = () => {},
): Moment[] {
  const moments: Moment[] = [];
  let place = 0;
  const { verdict } = Adaptation.prototype;
  const watched = vi.spyOn(Adaptation.prototype, "verdict").mockImplementation(function (
    this: Adaptation,
    tokens,
    atMs,
  ) {
    verdict.call(this, tokens, atMs);
    place += tokens;
    moments.push({ place, atMs, windowTokens: this.limits.windowTokens });
  });
  const world = new World({
    scenario: { ...scenario, answerTokens },
    seed,
    acceptance: (own) => ({
      accepts: (at) => uniform(own, Purpose.accept, at, 0, 0) < acceptance(at),
    }),
  });
  const edge = world.edge();
  edge.start(race, (opener) => world.open(opener, race, toSeed(seed), { finished: () => edge.close() }));
  change(world, edge);
  world.clock.run(Number.POSITIVE_INFINITY, 1e9);
  watched.mockRestore();
  expect(place).toBe(answerTokens);
  return moments;
}

const SEEDS = Array.from({ length: 20 }, (_, i) => i + 1);
const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]!;
const from = (moments: Moment[], place: number) =>
  moments.slice(moments.findIndex((moment) => moment.place >= place));

/** Places of the answer at which the drafter gets worse, and better again. */
const [WORSE, BETTER, END] = [600, 1200, 1800];

/** Verdicts until the window has shrunk to 4 after the first step, and until it has grown to 20 after the second. */
function stepsFollowed(seed: number): { before: number; down: number; up: number } {
  const acceptance = (place: number) => (place >= WORSE && place < BETTER ? 0.2 : 0.9);
  const moments = story(scenarioOf(60, 100, 10, 0.9), acceptance, END, seed);
  const verdictsUntil = (place: number, done: (window: number) => boolean) => {
    const found = from(moments, place).findIndex(({ windowTokens }) => done(windowTokens));
    return found < 0 ? Number.POSITIVE_INFINITY : found;
  };
  const before = moments.findLast(({ place }) => place < WORSE)!.windowTokens;
  const down = verdictsUntil(WORSE, (window) => window >= 1 && window <= 4);
  return { before, down, up: verdictsUntil(BETTER, (window) => window >= 20) };
}

describe("a drafter whose acceptance goes from .9 to .2 and back", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it("is followed: down within 80 verdicts, up within 80 in the median and 320 at the most", () => {
    const steps = SEEDS.map(stepsFollowed);
    // Found: 35 to 68 down; 17 to 40 up. Up can take longer where the edge happens to be resting.
    expect(Math.min(...steps.map(({ before }) => before))).toBeGreaterThanOrEqual(20);
    expect(Math.max(...steps.map(({ down }) => down))).toBeLessThanOrEqual(80);
    expect(median(steps.map(({ up }) => up))).toBeLessThanOrEqual(80);
    expect(Math.max(...steps.map(({ up }) => up))).toBeLessThanOrEqual(320);
  });

  it("control: an estimate that forgets nothing does not follow it", () => {
    vi.spyOn(Adaptation.prototype, "judged").mockImplementation(function (this: Inside, accepted) {
      this.felt = true;
      this.accepted.trueWeight += accepted ? 1 : 0;
      this.accepted.allWeight += 1;
    });
    const steps = SEEDS.slice(0, 5).map(stepsFollowed);
    expect(Math.min(...steps.map(({ down }) => down))).toBeGreaterThan(80);
  });
});

describe("drafts that bring nothing", () => {
  const far = scenarioOf(300, 15, 5, 0.3);
  const restShare = (moments: Moment[]) =>
    moments.filter(({ windowTokens }) => windowTokens === 0).length / moments.length;

  it("are not made: the edge rests after 48 verdicts that they could have helped, and most of the time from then on", () => {
    for (const seed of SEEDS.slice(0, 5)) {
      const moments = story(far, () => 0.3, 1500, seed);
      const first = moments.findIndex(({ windowTokens }) => windowTokens === 0);
      expect(first).toBeLessThanOrEqual(100);
      expect(restShare(moments.slice(first))).toBeGreaterThan(0.7);
    }
  });

  it("control: where they do bring something it does not rest", () => {
    expect(restShare(story(scenarioOf(20, 100, 10, 0.8), () => 0.8, 1500, 1))).toBe(0);
  });

  it.each([
    // Found: 466, 777 and 482 tokens at the most. A rest is at most 256 tokens; two may be needed to be sure.
    [300, 15, 5, 1, 600],
    [300, 15, 3, 0.99, 1000],
    [100, 15, 3, 0.95, 650],
  ])("are tried again: RTT %d, pass %d, draft %d, acceptance .3 and then %d: they bring half a token a verdict within %d tokens", (rtt, pass, draft, good, mostTokens) => {
    const change = 1500;
    for (const seed of SEEDS.slice(0, 12)) {
      const acceptance = (place: number) => (place < change ? 0.3 : good);
      const moments = story(scenarioOf(rtt, pass, draft, 0.3), acceptance, 4000, seed);
      expect(restShare(moments.filter(({ place }) => place < change))).toBeGreaterThan(0.6);
      expect(tokensUntilGain(moments, change, 1.5)).toBeLessThanOrEqual(mostTokens);
    }
  });
});

/** Tokens from a place until 24 verdicts in a row commit so many tokens each. */
function tokensUntilGain(moments: Moment[], place: number, tokensPerVerdict: number): number {
  const after = from(moments, place);
  const found = after.findIndex((moment, i) => {
    const later = after[i + 24];
    return later !== undefined && later.place - moment.place > 24 * tokensPerVerdict;
  });
  return found < 0 ? Number.POSITIVE_INFINITY : after[found]!.place - place;
}

function longestRun(moments: Moment[], fits: (moment: Moment) => boolean): number {
  let [run, longest] = [0, 0];
  for (const moment of moments) {
    run = fits(moment) ? run + 1 : 0;
    longest = Math.max(longest, run);
  }
  return longest;
}

describe("a round trip that goes from 20 ms to 300 and back", () => {
  it("is followed: drafts that come too late are given up within 100 verdicts, and taken up again within 160 tokens", () => {
    for (const seed of SEEDS.slice(0, 8)) {
      const moments = story(
        scenarioOf(20, 15, 3, 0.7),
        () => 0.7,
        5000,
        seed,
        (world, edge) => {
          // The link breaks, and the next one is longer, or shorter again.
          const relay = (rttMs: number) => {
            const { up, down } = world.network;
            world.network = { up: { ...up, delayMs: rttMs / 2 }, down: { ...down, delayMs: rttMs / 2 } };
            edge.link.break(0, rttMs);
          };
          world.clock.schedule(10_000, () => relay(300));
          world.clock.schedule(40_000, () => relay(20));
        },
      );
      const between = (fromMs: number, toMs: number) =>
        moments.filter(({ atMs }) => atMs >= fromMs && atMs < toMs);
      const resting = ({ windowTokens }: Moment) => windowTokens === 0;
      // Silence is tried, and takes some 14 verdicts each time; it never rests.
      const before = between(0, 10_000);
      expect(longestRun(before, resting)).toBeLessThanOrEqual(20);
      expect(before.filter(resting).length / before.length).toBeLessThan(0.1);
      const far = between(10_000, 40_000);
      const given = far.findIndex(resting);
      // Found: 77 to 83 verdicts, and 43 to 94 tokens.
      expect(given).toBeGreaterThan(0);
      expect(given).toBeLessThanOrEqual(100);
      expect(far.filter(resting).length / far.length).toBeGreaterThan(0.6);
      // The first second goes to the link that is made anew.
      const near = moments.find(({ atMs }) => atMs >= 41_000)!.place;
      expect(tokensUntilGain(moments, near, 1.2)).toBeLessThanOrEqual(160);
    }
  });
});
