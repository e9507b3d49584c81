import { expect, it } from "vitest";
import { POLICIES } from "../../src/decoding/policy.ts";
import type { ToyLanguage } from "../../src/engine/toy/language.ts";
import { toSeed } from "../../src/sampling/random.ts";
import { draws, type Run, steadySchedule, World } from "../support/world.ts";

/**
 * The cache oracle: a stranger asks a guess at what another has asked, and reads from the count of reused tokens, or from
 * the time to the first token, whether the guess was right. 200 trials; chance is 100 of them.
 */

const TRIALS = 200;
const language: ToyLanguage = {
  seed: toSeed(91),
  vocabularySize: 30,
  order: 4,
  spread: 5,
  divergence: 3,
  contextTokens: 400,
};

interface Trial {
  /** the victim asked what the stranger guesses */
  readonly right: boolean;
  readonly reused: number;
  readonly firstMs: number;
}

/** @param stranger the link that the stranger asks over; the victim's is "victim" */
function trial(number: number, stranger: string): Trial {
  const random = draws(number);
  const schedule = { ...steadySchedule(20, 10, 2), sequences: 4 };
  const pace = { ...schedule.pace, prefillTokensPerSecond: 1000 };
  const here = new World({ language, schedule: { ...schedule, pace }, random });
  const prompt = () => Array.from({ length: 200 }, () => 1 + Math.floor(29 * random()));
  const [guess, other] = [prompt(), prompt()];
  const right = random() < 0.5;
  let asked: Run | null = null;
  const ask = (tokens: number[], edge: string, finished: () => void) =>
    here.generate(POLICIES.cloud, tokens, toSeed(number), 4, { edge, listener: { finished } });
  ask(right ? guess : other, "victim", () => {
    asked = ask(guess, stranger, () => {});
  });
  here.clock.run();
  const { usage, firstTokenMs, startedMs } = asked!.statistics!;
  return { right, reused: usage!.reusedTokens, firstMs: firstTokenMs - startedMs };
}

/** How often the stranger is right, by the better of both ways to guess. */
function hits(stranger: string): number {
  const trials = Array.from({ length: TRIALS }, (_, number) => trial(number, stranger));
  const median = [...trials].sort((a, b) => a.firstMs - b.firstMs)[TRIALS / 2]!.firstMs;
  const byCount = trials.filter(({ right, reused }) => right === reused > 0).length;
  const byTime = trials.filter(({ right, firstMs }) => right === firstMs < median - 20).length;
  return Math.max(byCount, byTime);
}

it(`a stranger guesses no better than chance in ${TRIALS} trials`, () => {
  // Of a binomial with p = 1/2 more than 138 has a probability below 1e-7.
  expect(hits("stranger")).toBeLessThan(138);
});

it("control: over the victim's own link the same guesses are right", () => {
  expect(hits("victim")).toBeGreaterThan(195);
});
