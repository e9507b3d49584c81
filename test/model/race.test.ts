import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { POLICIES } from "../../src/decoding/policy.ts";
import { EdgeSession } from "../../src/edge/core/session.ts";
import { propose } from "../../src/sampling/propose.ts";
import { Purpose, toSeed, uniform } from "../../src/sampling/random.ts";
import type { SamplerSettings } from "../../src/sampling/sampler.ts";
import { keepDrafting } from "../support/drafting.ts";
import { PROMPTS } from "../support/prompts.ts";
import { openRandomPair, RANDOM_SHAPES } from "../support/random-pair.ts";
import { RealPair } from "../support/real-pair.ts";

/** The race on real models: for one seed it says what the cloud alone says, whatever drafts. */

keepDrafting();

const MORE_PROMPTS = [
  "Hugo has 9 boxes with 6 pears in each. Hugo gives 11 pears away. How many pears are left?",
  "Mina saves 7 dollars a week for 8 weeks. She buys a lamp for 19 dollars. How much money is left?",
  "Noor has 45 stamps. Leo has 5 times fewer. How many stamps do they have in total?",
  "A baker makes 12 loaves an hour for 4 hours. Then 9 loaves burn. How many loaves are there?",
  "Finn reads 14 pages a day for 6 days. On Sunday he reads 20 more. How many pages is that in all?",
  "Olga splits 63 coins equally among 9 friends. Then each one finds 3 more. How many coins does each one have?",
  "Create a function minLength that returns the smallest of the lengths.",
  "Write a TypeScript function averageScores that returns the average of a list of scores.",
  "I need a function called reverseWords that reverses the words of a text.",
  "Give me a small function isEvenTotal that checks whether a total is even.",
  "Please write a function called doublePrices in TypeScript that doubles each of the prices.",
  "Create a function lastIndexOfLabel that finds the last label of a list.",
  "Write a TypeScript function named repeatName that repeats a name 4 times.",
  "Write a short story about a whale and a lantern.",
  "Tell me a tale about a hedgehog named Bruno in the garden and a bell.",
  "Can you tell a story about a raven and a key?",
  "I would like a story about a baker named Ines and a bear.",
  "Write a story about an owl named Tilda at the harbour with a map.",
  "Tell me a short story about a robot and a kite.",
  "What is the capital of France, and why do people go there?",
];

type Sampling = readonly [name: string, sampler: Partial<SamplerSettings>];
const SAMPLERS: Sampling[] = [
  ["temperature 0", { temperature: 0 }],
  ["temperature 0.7", { temperature: 0.7 }],
  ["temperature 1", { temperature: 1 }],
  ["top-p", { temperature: 1, topP: 0.9 }],
  ["penalties", { temperature: 0.8, repetitionPenalty: 1.2, presencePenalty: 0.3, frequencyPenalty: 0.2 }],
];

const TARGET = "models/pico-target-q8_0.gguf";
const DRAFTER = "models/pico-drafter-q8_0.gguf";
const TOKENS = 64;

// biome-ignore lint/suspicious/noExplicitAny: a test reaches into what is private
type Inside = any;

/** What became of drafts: nothing was proved if none was ever accepted or none ever rejected. */
class Tally {
  accepted = 0;
  rejected = 0;
  tokens = 0;

  add({ statistics, tokens }: Awaited<ReturnType<RealPair["answer"]>>): void {
    this.accepted += statistics.accepted;
    this.rejected += statistics.rejected;
    this.tokens += tokens.length;
  }
}

describe("the bundled pair, Q8_0: identical token for token, without exemption", () => {
  const questions = [...PROMPTS, ...MORE_PROMPTS];
  let pair: RealPair;
  beforeAll(async () => {
    // A prompt in chunks, as behind other sessions.
    pair = await RealPair.open(TARGET, DRAFTER, { prefillTokens: 16 });
  });
  afterAll(() => pair.close());

  /** Some prompts under every sampler. @returns what became of drafts */
  async function compare(some: readonly string[], [name, sampler]: Sampling): Promise<Tally> {
    const tally = new Tally();
    for (const [seed, question] of some.entries()) {
      const prompt = pair.prompt(question);
      const cloud = await pair.answer(POLICIES.cloud, prompt, TOKENS, sampler, seed);
      const race = await pair.answer(POLICIES.race, prompt, TOKENS, sampler, seed);
      expect(race.tokens, `${name}: ${question}`).toEqual(cloud.tokens);
      expect(race.text).toBe(cloud.text);
      tally.add(race);
    }
    return tally;
  }
  const few = questions.filter((_, i) => i % 6 === 0);

  it.each(SAMPLERS)(`%s: ${questions.length} prompts`, async (...sampling) => {
    const { tokens, accepted, rejected } = await compare(questions, sampling);
    expect(tokens).toBeGreaterThan(2000);
    expect(accepted).toBeGreaterThan(tokens / 5);
    expect(rejected).toBeGreaterThan(100);
  });

  it.each(SAMPLERS)("%s: with a drafter that is wrong most of the time", async (...sampling) => {
    const drafter: Inside = pair.drafter;
    drafter.choose = noisy;
    const { accepted, rejected } = await compare(few, sampling);
    drafter.choose = propose;
    expect(rejected).toBeGreaterThan(accepted);
  });

  it("with the target itself as drafter, which is right all of the time", async () => {
    const [bundled, twin] = [pair, await RealPair.open(TARGET, TARGET)];
    pair = twin;
    try {
      for (const sampling of SAMPLERS) {
        const { accepted, rejected } = await compare(few.slice(0, 4), sampling);
        expect(rejected).toBe(0);
        expect(accepted).toBeGreaterThan(20);
      }
    } finally {
      pair = bundled;
      twin.close();
    }
  });

  it("control: the same comparison fails with another seed, and where an edge drops a verdict", async () => {
    const prompt = pair.prompt(questions[22]!);
    const say = (seed: number) => pair.answer(POLICIES.race, prompt, TOKENS, { temperature: 1 }, seed);
    expect((await say(2)).tokens).not.toEqual((await say(1)).tokens);
    const broken: Inside = EdgeSession.prototype;
    const { verdict } = broken;
    let heard = 0;
    vi.spyOn(broken, "verdict").mockImplementation(function (this: Inside, frame: Inside, nowMs) {
      const first = Math.min(frame.first, this.sequence.committed);
      if (++heard % 40 !== 0) verdict.call(this, { ...frame, first }, nowMs);
    });
    await expect(compare(few, SAMPLERS[2]!)).rejects.toThrow();
    vi.restoreAllMocks();
  });
});

/** Drafts of the real drafter, with so much added to its logits that most of them are rejected. */
const noisy: typeof propose = (row, sampler, history, coupling, seed, position, lineage) => {
  const other = toSeed(position + 1);
  const disturbed = row.map(
    (logit, token) => logit + 40 * uniform(other, Purpose.draft, seed.low, lineage, token),
  );
  return propose(disturbed, sampler, history, coupling, seed, position, lineage);
};

describe.each(RANDOM_SHAPES)("random weights, F16: %s", (_, shape, padding) => {
  let pair: RealPair;
  let close: () => void;
  beforeAll(async () => {
    ({ pair, close } = await openRandomPair(shape, padding));
  });
  afterAll(() => close());

  const TEXTS = 50;
  const words = ["abc", "def", "the", "quick", "brown", "fox", "zz", "hello", "world", "q", "w", "again"];
  const text = (seed: number) =>
    [1, 5, 7].map((step) => words[(seed * step + step) % words.length]).join(" ");

  it.each([0, 0.7, 1])(`temperature %d: ${TEXTS} texts, without exemption`, async (temperature) => {
    const tally = new Tally();
    for (let seed = 0; seed < TEXTS; seed++) {
      const prompt = pair.tokenizer.encode(text(seed), false);
      const cloud = await pair.answer(POLICIES.cloud, prompt, 40, { temperature }, seed);
      // Models as small as these are done before drafts come: half of the time the cloud waits a little for them.
      const policy = { ...POLICIES.race, patienceMs: seed % 2 === 0 ? 0 : 5 };
      const race = await pair.answer(policy, prompt, 40, { temperature }, seed);
      tally.add(race);
      expect(race.tokens).toEqual(cloud.tokens);
    }
    expect(tally.accepted).toBeGreaterThan(50);
    expect(tally.rejected).toBeGreaterThan(30);
  });

  it("control: a text of another seed differs", async () => {
    for (let seed = 0; seed < 10; seed++) {
      const prompt = pair.tokenizer.encode(text(seed), false);
      const cloud = await pair.answer(POLICIES.cloud, prompt, 40, { temperature: 1 }, seed);
      const race = await pair.answer(POLICIES.race, prompt, 40, { temperature: 1 }, seed + 1);
      expect(race.tokens).not.toEqual(cloud.tokens);
    }
  });
});
