import { afterEach, describe, expect, it, vi } from "vitest";
import { POLICIES } from "../../src/decoding/policy.ts";
import { type ToyLanguage, toyLogits } from "../../src/engine/toy/language.ts";
import * as logprobsModule from "../../src/sampling/logprobs.ts";
import type { TokenLogprobs } from "../../src/sampling/question.ts";
import { toSeed } from "../../src/sampling/random.ts";
import { draws, randomSchedule, scheduled, World } from "../support/world.ts";

/** Each token comes with what the target itself thought of it, whichever side drew the token, and in order. */

const PROMPT = [3, 1, 4, 1, 5];
const language: ToyLanguage = {
  seed: toSeed(78),
  vocabularySize: 12,
  order: 3,
  spread: 3,
  divergence: 3,
  contextTokens: 64,
};

/** By the definition, in double precision. */
function expected(tokens: readonly number[], at: number): { logprob: number; top: [number, number][] } {
  const row = [...toyLogits(language, [...PROMPT, ...tokens.slice(0, at)], "target")];
  const total = Math.log(row.reduce((sum, logit) => sum + Math.exp(logit), 0));
  const all = row.map((logit, id): [number, number] => [id, logit - total]);
  const top = [...all].sort((a, b) => b[1] - a[1] || a[0] - b[0]).slice(0, 3);
  return { logprob: all[tokens[at]!]![1], top };
}

describe.each(["picospec", "vanilla", "race", "cloud"] as const)("%s", (name) => {
  it("reports every token's logprobs once, in order, by the target's own row", () => {
    let [corrections, tokens] = [0, 0];
    for (let seed = 0; seed < 150; seed++) {
      const random = draws(seed);
      const schedule = randomSchedule(random);
      const here = new World({ language, schedule, random });
      const heard: [number, TokenLogprobs][] = [];
      const run = here.generate(scheduled(POLICIES[name], schedule), PROMPT, toSeed(seed), 12, {
        sampler: { temperature: 1.5, topK: 8 },
        settings: { logprobs: 3 },
        listener: { logprobs: (logprobs, position) => heard.push([position, logprobs]) },
      });
      here.clock.run();
      expect(run.outcome).toMatchObject({ kind: "done" });
      expect(heard.map(([position]) => position)).toEqual(run.tokens.map((_, i) => PROMPT.length + i));
      for (const [i, [, { logprob, topIds, topLogprobs }]] of heard.entries()) {
        const { logprob: own, top } = expected(run.tokens, i);
        expect(logprob).toBeCloseTo(own, 4);
        expect([...topIds]).toEqual(top.map(([id]) => id));
        for (const [rank, [, value]] of top.entries()) expect(topLogprobs[rank]).toBeCloseTo(value, 4);
      }
      corrections += run.origins.filter((origin) => origin === "correction").length;
      tokens += run.tokens.length;
    }
    expect(tokens).toBeGreaterThan(500);
    if (name === "picospec" || name === "vanilla") expect(corrections).toBeGreaterThan(50);
  });
});

describe("logprobs", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it("are not computed for a session that wants none, and 0 tops are none", () => {
    const reported = vi.spyOn(logprobsModule, "tokenLogprobs");
    const run = (settings: { logprobs?: number }) => {
      const heard: TokenLogprobs[] = [];
      const here = new World({ language, schedule: randomSchedule(draws(3)), random: draws(3) });
      here.generate(POLICIES.race, PROMPT, toSeed(3), 12, {
        settings,
        listener: { logprobs: (logprobs) => heard.push(logprobs) },
      });
      here.clock.run();
      return heard;
    };
    expect(run({})).toEqual([]);
    expect(reported.mock.results.every(({ value }) => value === null)).toBe(true);
    const bare = run({ logprobs: 0 });
    expect(bare.length).toBeGreaterThan(3);
    expect(bare.every(({ topIds }) => topIds.length === 0)).toBe(true);
  });
});
