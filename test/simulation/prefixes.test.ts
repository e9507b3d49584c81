import { afterEach, describe, expect, it, vi } from "vitest";
import { PassSession } from "../../src/cloud/passes/session.ts";
import { type DecodingPolicy, POLICIES } from "../../src/decoding/policy.ts";
import { ParallelDrafter } from "../../src/edge/drafters/parallel-drafter.ts";
import { EngineError, type PassEngine, withPass } from "../../src/engine/engine.ts";
import { pacedDrafter } from "../../src/engine/paced.ts";
import { ToyDraftModel } from "../../src/engine/toy/draft-model.ts";
import type { ToyLanguage } from "../../src/engine/toy/language.ts";
import { toSeed } from "../../src/sampling/random.ts";
import {
  draws,
  type Run,
  randomSchedule,
  type Schedule,
  scheduled,
  steadySchedule,
  World,
} from "../support/world.ts";

/**
 * Sessions that begin alike share what the cloud has computed, and every text is what it is alone. The toy target's
 * logits come from all that its KV holds, so that a beginning that is not the session's own shows.
 */

const language: ToyLanguage = {
  seed: toSeed(31),
  vocabularySize: 30,
  order: Number.POSITIVE_INFINITY,
  spread: 6,
  divergence: 4,
  contextTokens: 400,
};
const SYSTEM = Array.from({ length: 60 }, (_, i) => 1 + ((7 * i) % 29));
const MOST_TOKENS = 12;

/** A conversation: a system message, and turns of which each goes on after the answers before it. */
function conversation(
  world: World,
  policy: DecodingPolicy,
  number: number,
  turns: number,
  ended: (runs: Run[]) => void,
  edge: string,
) {
  const runs: Run[] = [];
  const turn = (prompt: number[]) => {
    const run = world.generate(policy, prompt, toSeed(1), MOST_TOKENS, {
      sampler: { temperature: 0 },
      edge,
      listener: {
        finished: () => {
          if (runs.length < turns && run.outcome?.kind === "done") {
            turn([...prompt, ...run.tokens, 5 + (number % 9), 3]);
          } else ended(runs);
        },
      },
    });
    runs.push(run);
  };
  turn([...SYSTEM.slice(0, 20 + 10 * (number % 5)), 1 + number]);
}

function talk(
  schedule: Schedule,
  seed: number,
  policy: DecodingPolicy,
  target?: (model: PassEngine) => PassEngine,
  edgeOf: (number: number) => string = () => "one",
): Run[] {
  const here = new World({ language, schedule, random: draws(seed), ...(target ? { target } : {}) });
  const all: Run[][] = [];
  for (let number = 0; number < 6; number++) {
    conversation(
      here,
      scheduled(policy, schedule),
      number,
      3,
      (runs) => {
        all[number] = runs;
      },
      edgeOf(number),
    );
  }
  here.clock.run();
  return all.flat();
}

/** The same prompt on a cloud that has seen nothing else. */
function alone({ prompt }: Run): number[] {
  const here = new World({ language, schedule: steadySchedule(0, 1, 1), random: draws(1) });
  const run = here.generate(POLICIES.cloud, prompt, toSeed(1), MOST_TOKENS, { sampler: { temperature: 0 } });
  here.clock.run();
  return run.tokens;
}

const reused = (runs: readonly Run[]) =>
  runs.reduce((sum, { statistics }) => sum + (statistics?.usage?.reusedTokens ?? 0), 0);
const wrong = (runs: readonly Run[]) => runs.filter((run) => run.tokens.join() !== alone(run).join());

describe("sessions that begin alike", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it.each([
    "race",
    "picospec",
    "vanilla",
    "cloud",
  ] as const)("%s: share it, and texts are what they are alone", (name) => {
    let shared = 0;
    for (let seed = 0; seed < 12; seed++) {
      const runs = talk(randomSchedule(draws(seed)), seed, POLICIES[name]);
      expect(runs).toHaveLength(18);
      expect(wrong(runs)).toEqual([]);
      shared += reused(runs);
    }
    // In the mean of 216 prompts more than a dozen tokens each were not fed.
    expect(shared).toBeGreaterThan(216 * 12);
  });

  it("of several principals share nothing: what was computed before tells nobody what others asked", () => {
    for (let seed = 0; seed < 12; seed++) {
      const schedule = randomSchedule(draws(seed));
      const runs = talk(schedule, seed, POLICIES.race, undefined, (number) => `edge ${number}`);
      expect(wrong(runs)).toEqual([]);
      // The first turn of each finds nothing; the second goes on from the first of the same.
      for (let number = 0; number < 6; number++) expect(reused([runs[3 * number]!])).toBe(0);
    }
    const roomy = { ...steadySchedule(20, 10, 2), sequences: 8 };
    const own = talk(roomy, 1, POLICIES.cloud, undefined, (number) => `edge ${number}`);
    expect(reused(own)).toBeGreaterThan(18 * 12);
  });

  it("feed what is theirs alone: the second turn of a conversation feeds what is new in it", () => {
    const schedule = { ...steadySchedule(20, 10, 2), sequences: 8 };
    const runs = talk(schedule, 1, POLICIES.cloud);
    const [first, second] = runs as [Run, Run];
    const usage = second.statistics!.usage!;
    expect(usage.reusedTokens).toBeGreaterThanOrEqual(first.prompt.length + first.tokens.length - 2);
    expect(usage.fedTokens).toBeLessThan(MOST_TOKENS + 5);
  });

  it("have their first token in a third of the time and less, when a long conversation goes on", () => {
    const longLanguage = { ...language, contextTokens: 4000 };
    const schedule = {
      ...steadySchedule(60, 50, 10),
      sequences: 4,
      limits: { passTokens: 600, prefillTokens: 500 },
    };
    const pace = { ...schedule.pace, prefillTokensPerSecond: 1000, draftPrefillTokensPerSecond: 2000 };
    const firstTokenMs = (before: (prompt: number[]) => number[]) => {
      const here = new World({ language: longLanguage, schedule: { ...schedule, pace }, random: draws(1) });
      const prompt = Array.from({ length: 1500 }, (_, i) => 1 + ((11 * i) % 29));
      const drafter = new ParallelDrafter(
        pacedDrafter(new ToyDraftModel(longLanguage, here.clock), pace, here.clock),
      );
      let second: Run | null = null;
      here.generate(POLICIES.race, before(prompt), toSeed(1), MOST_TOKENS, {
        sampler: { temperature: 0 },
        drafter,
        edge: "one",
        listener: {
          finished: () => {
            second = here.generate(POLICIES.race, [...prompt, 4, 2], toSeed(1), 2, {
              sampler: { temperature: 0 },
              drafter,
              edge: "one",
            });
          },
        },
      });
      here.clock.run();
      const { firstTokenMs: first, startedMs } = second!.statistics!;
      return first - startedMs;
    };
    const reusing = firstTokenMs((prompt) => prompt);
    const fresh = firstTokenMs((prompt) => prompt.map((token) => 30 - token));
    expect(fresh).toBeGreaterThan(1000);
    expect(reusing).toBeLessThan(fresh / 3);
  });

  it("control: with a slot that begins with something else texts are wrong", () => {
    const { record } = PassSession.prototype;
    vi.spyOn(PassSession.prototype, "record").mockImplementation(function (this: PassSession, ...args) {
      const real = record.apply(this, args);
      // The scheduler believes that the conversation is the one that its slots know best.
      const wanted = Int32Array.from(real.wanted, (token, i) => (i < SYSTEM.length ? SYSTEM[i]! : token));
      return { ...real, wanted };
    });
    const runs = talk({ ...steadySchedule(20, 10, 2), sequences: 3 }, 3, POLICIES.cloud);
    expect(wrong(runs).length).toBeGreaterThan(0);
  });

  it("do not take over what a failed pass has lost", () => {
    let passes = 0;
    const failing = (model: PassEngine): PassEngine =>
      withPass(model, (items, done) =>
        model.pass(items, (error, results) => {
          if (++passes % 40 !== 0) done(error, results);
          // As llama.cpp leaves it: the KV of every sequence in the pass is empty.
          else {
            const nothing = items.map(({ slot }) => ({
              slot,
              from: 0,
              tokens: Int32Array.of(2),
              questions: [],
              hold: false,
            }));
            model.pass(nothing, () => done(new EngineError("decode_failed", "lost"), []));
          }
        }),
      );
    const runs = talk({ ...randomSchedule(draws(5)), sequences: 3 }, 5, POLICIES.cloud, failing);
    const ended = runs.filter(({ outcome }) => outcome?.kind === "done");
    expect(ended.length).toBeGreaterThan(2);
    expect(runs.length - ended.length).toBeGreaterThan(2);
    expect(wrong(ended)).toEqual([]);
  });
});
