import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { DraftedSequence } from "../../src/cloud/core/sequence.ts";
import { CachedSequence } from "../../src/cloud/passes/cached-sequence.ts";
import { type DecodingPolicy, POLICIES } from "../../src/decoding/policy.ts";
import { type ToyLanguage, toyLogits } from "../../src/engine/toy/language.ts";
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

/** What the cloud commits, by session: the other side's text. */
const committedByCloud = new WeakMap<DraftedSequence, number[]>();
const sequences: DraftedSequence[] = [];

function watchCloud(): void {
  const { commit } = DraftedSequence.prototype;
  vi.spyOn(DraftedSequence.prototype, "commit").mockImplementation(function (this: DraftedSequence, token) {
    if (!committedByCloud.has(this)) sequences.push(this);
    committedByCloud.set(this, [...(committedByCloud.get(this) ?? []), token]);
    commit.call(this, token);
  });
}

/** One to four edges at a time, each with a policy and a link of its own; some are cancelled at some moment. */
function tryOne(seed: number): void {
  const random = draws(seed);
  const toy = language(seed, [0, 2, 6, 20][seed % 4]!);
  const schedule = randomSchedule(random);
  const world = new World({ language: toy, schedule, random });
  const below = (bound: number) => Math.floor(random() * bound);
  sequences.length = 0;
  const runs = Array.from({ length: 1 + below(4) }, () => {
    const [name, policy] = policies[below(policies.length)]!;
    const prompt = Array.from({ length: 1 + below(12) }, () => 1 + below(23));
    const maxTokens = 1 + below(30);
    const network = randomSchedule(random).network;
    const cancelAtMs = random() < 0.2 ? 2000 * random() : null;
    const run = world.generate(scheduled(policy, schedule), prompt, toSeed(seed), maxTokens, {
      sampler: { temperature: 0 },
      network,
      ...(cancelAtMs === null ? {} : { cancelAtMs }),
    });
    return { name, run, cancelAtMs, expected: greedy(toy, prompt, maxTokens) };
  });
  world.clock.run(Number.POSITIVE_INFINITY, 1_000_000);
  for (const { name, run, cancelAtMs, expected } of runs) {
    expect(run.outcome?.kind, `${name}: ${JSON.stringify(run.outcome)}`).toBe("done");
    const whole = cancelAtMs === null ? expected : expected.slice(0, run.tokens.length);
    expect(run.tokens, name).toEqual(whole);
  }
  // Texts may start alike, so each of the cloud's has to be one of those expected, and each complete one there.
  const said = sequences.map((sequence) => committedByCloud.get(sequence)!.join(" "));
  const texts = runs.map(({ expected }) => expected.join(" "));
  for (const text of said) {
    expect(
      texts.some((whole) => whole === text || whole.startsWith(`${text} `)),
      `the cloud says ${text}`,
    ).toBe(true);
  }
  for (const { cancelAtMs, expected } of runs)
    if (cancelAtMs === null) expect(said).toContain(expected.join(" "));
  expect(world.cloud.openSessions).toBe(0);
  world.cloud.checkIntegrity(true);
}

describe("temperature 0", () => {
  beforeEach(watchCloud);
  afterEach(() => {
    vi.restoreAllMocks();
  });

  it(`gives the target's own greedy text on both sides under ${SEEDS} random schedules`, () => {
    for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
      try {
        tryOne(seed);
      } catch (error) {
        const replay = `PICOSPEC_FIRST_SEED=${seed} PICOSPEC_SEEDS=1 npx vitest run test/simulation/greedy.test.ts`;
        throw new Error(`seed ${seed} fails; replay it with: ${replay}`, { cause: error });
      }
    }
  });

  it("control: a target whose KV is not rolled back is caught", () => {
    // biome-ignore lint/suspicious/noExplicitAny: a control reaches into what is private
    const broken = CachedSequence.prototype as any;
    const { dropPending } = broken;
    vi.spyOn(broken, "dropPending").mockImplementation(function (this: CachedSequence) {
      const { cached } = this;
      dropPending.call(this);
      // The rejected drafts stay in the KV, and the same number of tokens after them is never fed.
      this.holds(Math.min(cached, this.committed + 1));
    });
    const caught = Array.from({ length: 40 }, (_, seed) => {
      try {
        tryOne(seed);
        return 0;
      } catch {
        return 1 as number;
      }
    });
    expect(caught.reduce((a, b) => a + b)).toBeGreaterThan(5);
  });
});
