import { describe, expect, it } from "vitest";
import { type Tenant, UNLIMITED } from "../../src/cloud/trust/tenant.ts";
import { POLICIES, type PolicyName } from "../../src/decoding/policy.ts";
import type { ToyLanguage } from "../../src/engine/toy/language.ts";
import { toSeed } from "../../src/sampling/random.ts";
import { draws, steadySchedule, World } from "../support/world.ts";

/**
 * One greedy principal, 32 sessions with the longest prompts, beside a modest one that asks one question after another:
 * the modest one's first token and rate are at least half of what they are beside another modest one. Virtual time; the
 * hardware and the network are modelled. The control is the same cloud without fairness between the two: they have one
 * key.
 */

const language: ToyLanguage = {
  seed: toSeed(17),
  vocabularySize: 60,
  order: 3,
  spread: 5,
  divergence: 2,
  contextTokens: 2000,
};
const ANSWERS = 10;

/** Answers have their full length. */
const NO_END = { logitBias: [[0, -100]] } as const;

type Other = "modest" | "greedy";

interface Served {
  /** means over the modest one's answers */
  readonly firstMs: number;
  readonly tokensPerSecond: number;
  /** of the other one */
  readonly otherTokens: number;
}

const key = (name: string): Tenant => ({ name, keyId: "1", weight: 1, limits: UNLIMITED });

/** @param shareKey the two are one principal */
function beside(other: Other, policy: PolicyName, answers: number, shareKey = false): Served {
  const random = draws(5);
  const schedule = steadySchedule(40, 30, 4);
  const pace = { ...schedule.pace, passMsPerToken: 1, prefillTokensPerSecond: 2000 };
  const limits = { passTokens: 512, prefillTokens: 256 };
  const world = new World({ language, schedule: { ...schedule, sequences: 8, limits, pace }, random });
  const prompt = (length: number) => Array.from({ length }, () => 1 + Math.floor(59 * random()));
  const firsts: number[] = [];
  const rates: number[] = [];
  let otherTokens = 0;
  let seed = 0;
  let over = false;
  const ask = (left: number): void => {
    const run = world.generate(POLICIES[policy], prompt(60), toSeed(seed++), 40, {
      edge: "modest",
      sampler: NO_END,
      tenant: key("modest"),
      listener: {
        finished: (outcome, { firstTokenMs, startedMs, lastTokenMs }) => {
          if (outcome.kind === "failed") throw new Error(outcome.message);
          firsts.push(firstTokenMs - startedMs);
          rates.push(((run.tokens.length - 1) * 1000) / (lastTokenMs - firstTokenMs));
          over = left === 1;
          if (!over) ask(left - 1);
        },
      },
    });
  };
  const keepAsking = (tokens: number, most: number): void => {
    if (over) return;
    world.generate(POLICIES[policy], prompt(tokens), toSeed(seed++), most, {
      edge: "other",
      sampler: NO_END,
      tenant: key(shareKey ? "modest" : "other"),
      listener: {
        token: () => void otherTokens++,
        finished: () => keepAsking(tokens, most),
      },
    });
  };
  if (other === "greedy") for (let i = 0; i < 32; i++) keepAsking(1800, 100);
  else keepAsking(60, 40);
  // The other one is at it already.
  world.clock.schedule(3000, () => ask(answers));
  world.clock.run();
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  expect(firsts).toHaveLength(answers);
  return { firstMs: mean(firsts), tokensPerSecond: mean(rates), otherTokens };
}

describe.each<PolicyName>(["cloud", "race", "picospec"])("%s, beside a greedy principal", (policy) => {
  it("has at least half of what it has beside a modest one", () => {
    const equal = beside("modest", policy, ANSWERS);
    const fair = beside("greedy", policy, ANSWERS);
    const control = beside("greedy", policy, 1, true);
    expect(fair.firstMs).toBeLessThan(2 * equal.firstMs);
    expect(fair.tokensPerSecond).toBeGreaterThan(0.5 * equal.tokensPerSecond);
    expect(fair.otherTokens).toBeGreaterThan(0);
    expect(control.firstMs).toBeGreaterThan(20 * equal.firstMs);
  });
});
