import { afterEach, describe, expect, it, vi } from "vitest";
import { chiSquare } from "../../lab/models/statistics.ts";
import { POLICIES } from "../../src/decoding/policy.ts";
import { RejectionSampler } from "../../src/edge/core/residual.ts";
import { type Case, expectedAnswers, sampleAnswers } from "../fuzz/distribution.ts";

/**
 * Links break, also while a draw waits for witnesses, and the answers still have the target's own distribution:
 * 20,000 a case, each under a schedule of its own, by Pearson's chi-square over whole answers.
 *
 * False alarms: seeds are fixed, so a case passes always or never; were they drawn anew, a right system would fail
 * a case with probability ALPHA = 1e-4. Power: by exact calculation a session that starts over with a fresh draft
 * when its link breaks within a draw has a noncentrality of 189 at 38 degrees of freedom, whose standard deviation
 * is 9: it is caught all but surely. The control shows it.
 */
const ANSWERS = 20_000;
const ALPHA = 1e-4;

function tried(one: Case) {
  const { counts, happened } = sampleAnswers(one, ANSWERS);
  return { ...chiSquare(counts, expectedAnswers()), happened };
}

const one = { ...POLICIES.picospec, topK: 1 };

describe("links that break", () => {
  it.each<[string, Case, number]>([
    ["picospec, K = 1", { policy: one }, 1000],
    ["vanilla, K = 1", { policy: { ...POLICIES.vanilla, topK: 1 } }, 1000],
    ["the drafter ends within the answer", { policy: one, drafterTokens: 6 }, 1000],
  ])("leave the distribution as it is: %s", (_, given, leastWithinDraws) => {
    const { pValue, happened } = tried(given);
    expect(pValue).toBeGreaterThan(ALPHA);
    expect(happened.get("resumed")).toBeGreaterThan(ANSWERS / 10);
    expect(happened.get("resumed within a draw") ?? 0).toBeGreaterThanOrEqual(leastWithinDraws);
  });
});

describe("control: the same test fails", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it("when a draw that was interrupted starts over with a fresh draft", () => {
    // biome-ignore lint/suspicious/noExplicitAny: a control reaches into what is private
    const broken = RejectionSampler.prototype as any;
    vi.spyOn(broken, "putBack").mockImplementation(function (this: { replacement: unknown }) {
      this.replacement = null;
      return null;
    });
    expect(tried({ policy: one }).pValue).toBeLessThan(ALPHA);
  });
});
