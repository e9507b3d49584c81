import { describe, expect, it } from "vitest";
import { POLICIES } from "../../src/decoding/policy.ts";
import type { Drafter } from "../../src/edge/drafters/drafter.ts";
import { LookupDrafter, TwoDrafters } from "../../src/edge/drafters/lookup-drafter.ts";
import { ParallelDrafter } from "../../src/edge/drafters/parallel-drafter.ts";
import { ToyDraftModel } from "../../src/engine/toy/draft-model.ts";
import type { ToyLanguage } from "../../src/engine/toy/language.ts";
import { toSeed } from "../../src/sampling/random.ts";
import { draws, randomSchedule, scheduled, World } from "../support/world.ts";

/** A language that repeats itself: few tokens, and what follows depends on the last one. */
const language: ToyLanguage = {
  seed: toSeed(12),
  vocabularySize: 6,
  order: 1,
  spread: 9,
  divergence: 6,
  contextTokens: 200,
};
const PROMPT = [3, 1, 4, 1, 5, 2, 3, 1, 4];

/** The text of a policy, and how many drafts were accepted. */
function text(seed: number, policy: "race" | "picospec" | "cloud", drafter: (world: World) => Drafter) {
  const random = draws(seed);
  const schedule = randomSchedule(random);
  const world = new World({ language, schedule, random });
  const settings = scheduled(POLICIES[policy], schedule);
  const run = world.generate(settings, PROMPT, toSeed(seed), 40, {
    drafter: drafter(world),
    sampler: { temperature: 0.7 },
  });
  world.clock.run();
  expect(run.outcome?.kind, `seed ${seed}`).toBe("done");
  return { tokens: run.tokens, accepted: run.statistics!.accepted };
}

const model = (world: World) => new ParallelDrafter(new ToyDraftModel(language, world.clock));

describe("drafts without a model", () => {
  it.each([
    ["prompt lookup alone", () => new LookupDrafter()],
    ["whichever has the longer agreeing history", (world: World) => new TwoDrafters(model(world))],
  ])("%s: the text of the cloud alone under 400 random schedules, and some drafts are accepted", (_, drafter) => {
    let accepted = 0;
    for (let seed = 0; seed < 400; seed++) {
      const race = text(seed, "race", drafter);
      expect(race.tokens, `seed ${seed}`).toEqual(text(seed, "cloud", model).tokens);
      accepted += race.accepted;
    }
    expect(accepted).toBeGreaterThan(400);
  });

  it("refuses a policy that would wait for drafts for ever, in one line", () => {
    const random = draws(1);
    const world = new World({ language, schedule: randomSchedule(random), random });
    world.generate(POLICIES.picospec, PROMPT, toSeed(1), 5, { drafter: new LookupDrafter() });
    expect(() => world.clock.run()).toThrow(/needs a drafter that always has a draft/);
  });
});
