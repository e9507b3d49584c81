import { describe, expect, it } from "vitest";
import { POLICIES } from "../../src/decoding/policy.ts";
import { connectEdge } from "../../src/edge/connect.ts";
import { ParallelDrafter } from "../../src/edge/drafters/parallel-drafter.ts";
import { Edge } from "../../src/edge/edge.ts";
import { type DraftModel, EngineError } from "../../src/engine/engine.ts";
import { ToyDraftModel } from "../../src/engine/toy/draft-model.ts";
import type { ToyLanguage } from "../../src/engine/toy/language.ts";
import { toSeed } from "../../src/sampling/random.ts";
import type { Tokenizer } from "../../src/text/tokenizer.ts";
import { assert } from "../../src/util/assert.ts";
import { draws, randomSchedule, scheduled, steadySchedule, World } from "../support/world.ts";

const language: ToyLanguage = {
  seed: toSeed(77),
  vocabularySize: 9,
  order: 2,
  spread: 3,
  divergence: 2,
  contextTokens: 64,
};
const PROMPT = [3, 1, 4, 1, 5];

/** A drafter whose vocabulary lacks the target's last tokens, and that must not be fed one. */
function smallerVocabulary(model: DraftModel, vocabularySize: number): DraftModel {
  return {
    info: { ...model.info, vocabularySize },
    feedTokens: model.feedTokens,
    feed(from, tokens, read, done) {
      assert(
        tokens.every((token) => token < vocabularySize),
        "the drafter was fed what it does not know",
      );
      model.feed(from, tokens, read && ((logits) => read(logits.subarray(0, vocabularySize))), done);
    },
    close: () => model.close(),
  };
}

describe("a target with more tokens than the drafter", () => {
  it.each(["picospec", "vanilla"] as const)("%s goes on without it after a token that it lacks", (name) => {
    let strange = 0;
    for (let seed = 0; seed < 200; seed++) {
      const random = draws(seed);
      const schedule = randomSchedule(random);
      const world = new World({
        language,
        schedule,
        random,
        drafter: (model) => smallerVocabulary(model, 7),
      });
      const run = world.generate(scheduled(POLICIES[name], schedule), PROMPT, toSeed(seed), 12);
      world.clock.run();
      expect(run.outcome?.kind, `seed ${seed}: ${JSON.stringify(run.outcome)}`).toBe("done");
      if (run.tokens.slice(0, -1).some((token) => token >= 7)) strange++;
    }
    expect(strange).toBeGreaterThan(20);
  });
});

describe("a drafter that fails once", () => {
  it("costs that answer, and the next one has its drafts again", () => {
    let fails = 1;
    const flaky = (model: DraftModel): DraftModel => ({
      info: model.info,
      feedTokens: model.feedTokens,
      feed(from, tokens, read, done) {
        if (from > PROMPT.length && fails-- === 1) {
          // As the contract says: the KV is empty now.
          model.feed(0, tokens, null, () => done(new EngineError("decode_failed", "no memory")));
        } else model.feed(from, tokens, read, done);
      },
      close: () => model.close(),
    });
    const world = new World({ language, schedule: steadySchedule(20, 10, 1), random: draws(1) });
    const drafter = new ParallelDrafter(flaky(new ToyDraftModel(language, world.clock)));
    const first = world.generate(POLICIES.picospec, PROMPT, toSeed(1), 20, { drafter });
    world.clock.run();
    const second = world.generate(POLICIES.picospec, PROMPT, toSeed(1), 20, { drafter });
    world.clock.run();
    expect(first.outcome).toMatchObject({ kind: "failed", code: "engine", message: "no memory" });
    expect(second.outcome).toMatchObject({ kind: "done" });
    expect(second.statistics!.drafted).toBeGreaterThan(0);
    expect(world.cloud.openSessions).toBe(0);
  });
});

describe("a caller that throws", () => {
  it("ends its own answer, on both sides, and nothing else", async () => {
    const world = new World({ language, schedule: steadySchedule(20, 10, 1), random: draws(1) });
    const tokenizer = {
      fingerprint: "toy",
      piece: (token: number) => Uint8Array.of(97 + token),
    } as unknown as Tokenizer;
    const drafter = new ParallelDrafter(new ToyDraftModel(language, world.clock));
    const connecting = connectEdge({
      transport: world.link(steadySchedule(20, 10, 1).network),
      tokenizer,
      drafter,
      clock: world.clock,
      client: "test",
    });
    world.clock.run(100);
    const client = await connecting;
    const edge = new Edge({
      ...{ remote: client, local: null, tokenizer, chatTemplate: null },
      ...{ freshSeed: () => toSeed(1), policy: POLICIES.picospec },
    });
    const answer = (each: () => void) => edge.ask({ prompt: Int32Array.from(PROMPT), maxTokens: 20 }, each);
    const broken = answer(() => {
      throw new Error("the response is closed");
    });
    const failed = expect(broken).rejects.toThrow("the response is closed");
    const fine = answer(() => {});
    for (let i = 0; i < 400; i++) {
      world.clock.step();
      // An answer's events pass through a few promises.
      for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    }
    await failed;
    expect((await fine).statistics.tokens).toBeGreaterThan(3);
    expect(world.cloud.openSessions).toBe(0);
    client.close();
  });
});
