import { describe, expect, it } from "vitest";
import { type DecodingPolicy, POLICIES } from "../../src/decoding/policy.ts";
import { type ToyLanguage, toyLogits } from "../../src/engine/toy.ts";
import { toSeed } from "../../src/sampling/random.ts";
import { argmax } from "../../src/sampling/select.ts";
import { draws, END_TOKEN, randomSchedule, scheduled, World } from "../support/world.ts";

const language = (seed: number, divergence: number): ToyLanguage => ({
  seed: toSeed(seed),
  vocabularySize: 24,
  order: Number.POSITIVE_INFINITY,
  spread: 6,
  divergence,
  contextTokens: 200,
});

/** The target's own greedy text. */
function greedy(toy: ToyLanguage, prompt: readonly number[], maxTokens: number): number[] {
  const tokens = [...prompt];
  while (tokens.length < prompt.length + maxTokens) {
    tokens.push(argmax(toyLogits(toy, tokens, "target")));
    if (tokens.at(-1) === END_TOKEN) break;
  }
  return tokens.slice(prompt.length);
}

const policies = Object.entries(POLICIES).filter(([, policy]) => policy.target) as [string, DecodingPolicy][];
const SEEDS = Number(process.env.PICOSPEC_SEEDS ?? 2000);
const FIRST = Number(process.env.PICOSPEC_FIRST_SEED ?? 0);

function tryOne(seed: number): void {
  const random = draws(seed);
  const toy = language(seed, [0, 2, 6, 20][seed % 4]!);
  const schedule = randomSchedule(random);
  const world = new World({ language: toy, schedule, random });
  const runs = Array.from({ length: 1 + Math.floor(random() * 4) }, () => {
    const [name, policy] = policies[Math.floor(random() * policies.length)]!;
    const prompt = Array.from({ length: 1 + Math.floor(random() * 12) }, () => 1 + Math.floor(random() * 23));
    const maxTokens = 1 + Math.floor(random() * 30);
    const run = world.generate(scheduled(policy, schedule), prompt, toSeed(seed), maxTokens, {
      temperature: 0,
    });
    return { name, run, expected: greedy(toy, prompt, maxTokens) };
  });
  world.clock.run(Infinity, 300_000);
  for (const { name, run, expected } of runs) {
    expect(run.outcome?.kind, `${name}: ${JSON.stringify(run.outcome)}`).toBe("done");
    expect(run.tokens, name).toEqual(expected);
  }
  expect(world.cloud.openSessions).toBe(0);
  expect(world.cloud.heldRows).toBe(0);
}

describe("temperature 0", () => {
  it(`gives the target's own greedy text under ${SEEDS} random schedules`, () => {
    for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
      try {
        tryOne(seed);
      } catch (error) {
        const replay = `PICOSPEC_FIRST_SEED=${seed} PICOSPEC_SEEDS=1 npx vitest run test/simulation/greedy.test.ts`;
        throw new Error(`seed ${seed} fails; replay it with: ${replay}`, { cause: error });
      }
    }
  });
});
