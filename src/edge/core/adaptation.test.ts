import { describe, expect, it, vi } from "vitest";
import { type DecodingPolicy, POLICIES } from "../../decoding/policy.ts";
import { Purpose, toSeed, uniform } from "../../sampling/random.ts";
import { Adaptation } from "./adaptation.ts";
import { DraftGate, GateMeter } from "./draft-gate.ts";

const { race, picospec } = POLICIES;

/** An edge that has seen many drafts, of which this share was accepted, evenly spread. */
function seasoned(acceptance: number, policy: DecodingPolicy = race): Adaptation {
  const adaptation = new Adaptation(policy);
  for (let i = 0; i < 500; i++) {
    adaptation.judged(Math.floor((i + 1) * acceptance) > Math.floor(i * acceptance));
  }
  return adaptation;
}

/** Verdicts of so many tokens, one every 100 ms. */
function verdicts(adaptation: Adaptation, count: number, tokens: number): void {
  for (let i = 0; i < count; i++) adaptation.verdict(tokens, 100 * i);
}

describe("without `adaptive`, or without drafts, limits are the policy's own", () => {
  it.each<[string, DecodingPolicy]>([
    ["race, fixed", { ...race, adaptive: false }],
    ["vanilla", POLICIES.vanilla],
    ["cloud", POLICIES.cloud],
  ])("%s", (_, policy) => {
    const adaptation = seasoned(0.05, policy);
    adaptation.drafted(1);
    verdicts(adaptation, 200, 1);
    const { segmentTokens, windowTokens } = policy;
    expect(adaptation.limits).toEqual({ segmentTokens, windowTokens });
  });
});

describe("the window", () => {
  it("ends with the deepest draft whose chance is 2% by the upper end of the estimate", () => {
    for (const acceptance of [0.1, 0.3, 0.5, 0.7, 0.9]) {
      const adaptation = seasoned(acceptance);
      expect(adaptation.acceptance).toBeCloseTo(acceptance, 1);
      const { windowTokens } = adaptation.limits;
      // One standard error of the 50 drafts that count is .07 at the most.
      expect((acceptance + 0.09) ** windowTokens).toBeGreaterThan(0.02);
      expect(acceptance ** (windowTokens + 1)).toBeLessThan(0.02);
    }
  });

  it("is never above the policy's, nor below 1 where drafts are made at all", () => {
    expect(seasoned(1).limits.windowTokens).toBe(128);
    expect(seasoned(1, { ...race, windowTokens: 9 }).limits.windowTokens).toBe(9);
    expect(seasoned(0).limits.windowTokens).toBe(1);
  });

  it("begins with what .7 is worth", () => {
    const { windowTokens } = new Adaptation(race).limits;
    expect(windowTokens).toBeGreaterThanOrEqual(8);
    expect(windowTokens).toBeLessThanOrEqual(60);
  });

  it("shrinks within 50 rejected drafts, and grows within 50 accepted ones", () => {
    const adaptation = seasoned(0.9);
    for (let i = 0; i < 50; i++) adaptation.judged(false);
    expect(adaptation.limits.windowTokens).toBeLessThanOrEqual(5);
    for (let i = 0; i < 50; i++) adaptation.judged(true);
    expect(adaptation.limits.windowTokens).toBeGreaterThanOrEqual(8);
  });

  it("settles where acceptance says, whatever the order of rejections", () => {
    /** Geometric mean of the window over 1,000 drafts. */
    const settled = (acceptance: number, seed: number) => {
      const adaptation = new Adaptation(race);
      let total = 0;
      for (let i = 0; i < 2000; i++) {
        adaptation.judged(uniform(toSeed(seed), Purpose.accept, i, 0, 0) < acceptance);
        if (i >= 1000) total += Math.log(adaptation.limits.windowTokens) / 1000;
      }
      return Math.exp(total);
    };
    const inRange = (window: number) => window > 17 && window < 34;
    // .8 to the 17th is 2%, and so is .86, a standard error above, to the 26th; an error of .03 in the mean is 34.
    for (let seed = 0; seed < 20; seed++) {
      expect(inRange(settled(0.8, seed)), `seed ${seed}`).toBe(true);
      // Control: another acceptance settles elsewhere.
      expect(inRange(settled(0.6, seed)) || inRange(settled(0.93, seed)), `seed ${seed}`).toBe(false);
    }
  });
});

describe("the segment", () => {
  /** The segment of an edge that makes a draft in so long, and hears a verdict every so often. */
  const paced = (draftMs: number, verdictMs: number, policy: DecodingPolicy = race) => {
    const adaptation = seasoned(0.9, policy);
    for (let i = 0; i < 100; i++) {
      adaptation.drafted(draftMs);
      adaptation.verdict(3, verdictMs * i);
    }
    return adaptation.limits.segmentTokens;
  };

  it("is one draft before anything is known", () => {
    expect(new Adaptation(race).limits.segmentTokens).toBe(1);
  });

  it("holds as many drafts as are made in a sixteenth of the time between verdicts", () => {
    expect(paced(10, 100)).toBe(1);
    expect(paced(2, 100)).toBe(3);
    expect(paced(1, 100)).toBe(6);
  });

  it("is never above 8, nor above the window", () => {
    expect(paced(0.1, 100)).toBe(8);
    expect(paced(0.1, 100, { ...race, windowTokens: 3 })).toBe(3);
  });

  it("stays the policy's under rejection coupling, where a pass over part of it is a pass lost", () => {
    expect(paced(0.1, 100, picospec)).toBe(4);
    expect(paced(100, 100, picospec)).toBe(4);
    // A bad drafter makes it shorter, and never rests: no side would go on.
    const bad = seasoned(0.05, picospec);
    verdicts(bad, 500, 1);
    expect(bad.limits).toEqual({ segmentTokens: 1, windowTokens: 1 });
  });
});

describe("rests", () => {
  const RESTING = { segmentTokens: 1, windowTokens: 0 };
  const resting = (adaptation: Adaptation) => adaptation.limits.windowTokens === 0;

  /** Verdicts of a token each, with a draft judged at each: until it rests, then until it tries again. */
  function probe(adaptation: Adaptation): { tried: number; rested: number } {
    let [tried, rested] = [0, 0];
    for (; !resting(adaptation) && tried < 1000; tried++) {
      adaptation.judged(false);
      adaptation.verdict(1, 0);
    }
    for (; resting(adaptation) && rested < 1000; rested++) adaptation.verdict(1, 0);
    return { tried, rested };
  }

  it("when 48 verdicts committed fewer than 1.02 tokens each, and drafts had reached them", () => {
    const adaptation = seasoned(0.3);
    verdicts(adaptation, 47, 1);
    expect(resting(adaptation)).toBe(false);
    verdicts(adaptation, 1, 1);
    expect(adaptation.limits).toEqual(RESTING);
  });

  it("not where they brought more, however seldom they were accepted", () => {
    const adaptation = seasoned(0.1);
    for (let i = 0; i < 10; i++) {
      verdicts(adaptation, 47, 1);
      verdicts(adaptation, 1, 3);
    }
    expect(resting(adaptation)).toBe(false);
  });

  it("not before a draft was judged, or should have been: until then they could not have helped", () => {
    const adaptation = new Adaptation(race);
    verdicts(adaptation, 64, 1);
    expect(resting(adaptation)).toBe(false);
    // A drafter whose drafts never get out in time only takes the target's cores.
    let rested = 0;
    for (let i = 64; i < 6000; i++) {
      adaptation.verdict(1, 100 * i);
      if (resting(adaptation)) rested++;
    }
    expect(rested).toBeGreaterThan(0.6 * 6000);
  });

  it("for 32 tokens, and twice as many each time that they fail again, 256 at the most", () => {
    const adaptation = seasoned(0.3);
    expect(Array.from({ length: 6 }, () => probe(adaptation))).toEqual(
      [32, 64, 128, 256, 256, 256].map((rested) => ({ tried: 48, rested })),
    );
  });

  it("for 32 again once drafts have brought something", () => {
    const adaptation = seasoned(0.3);
    probe(adaptation);
    probe(adaptation);
    adaptation.judged(true);
    verdicts(adaptation, 48, 6);
    expect(resting(adaptation)).toBe(false);
    // Silence is tried in between, and takes some 14 tokens.
    let [run, longest] = [0, 0];
    for (let i = 0; i < 150; i++) {
      if (!resting(adaptation)) adaptation.judged(false);
      adaptation.verdict(1, 100 * i);
      run = resting(adaptation) ? run + 1 : 0;
      longest = Math.max(longest, run);
    }
    expect(longest).toBe(32);
  });

  it("by tokens and not by verdicts: a verdict of many ends it sooner", () => {
    const adaptation = seasoned(0.3);
    verdicts(adaptation, 48, 1);
    verdicts(adaptation, 3, 10);
    expect(resting(adaptation)).toBe(true);
    verdicts(adaptation, 1, 10);
    expect(resting(adaptation)).toBe(false);
  });

  it("not for the time that a link was broken", () => {
    const gate = new DraftGate();
    const heard = vi.spyOn(GateMeter.prototype, "verdict");
    const adaptation = new Adaptation(race, gate);
    adaptation.verdict(1, 100);
    adaptation.verdict(2, 150);
    adaptation.resumed();
    adaptation.verdict(1, 60_000);
    expect(heard.mock.calls).toEqual([
      [1, -1],
      [2, 50],
      [1, -1],
    ]);
    heard.mockRestore();
  });

  it("never where the cloud waits for drafts for ever", () => {
    const adaptation = seasoned(0.3, { ...race, patienceMs: Number.POSITIVE_INFINITY });
    verdicts(adaptation, 500, 1);
    expect(resting(adaptation)).toBe(false);
  });
});
