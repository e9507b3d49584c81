import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { POLICIES } from "../../src/decoding/policy.ts";
import { PROMPTS } from "../support/prompts.ts";
import { openRandomPair, RANDOM_SHAPES } from "../support/random-pair.ts";
import { RealPair } from "../support/real-pair.ts";

/** Temperature 0 on real models: PicoSpec says what the cloud alone says. */

describe("the bundled pair, Q8_0", () => {
  let pair: RealPair;
  beforeAll(async () => {
    // A prompt in chunks, as behind other sessions.
    pair = await RealPair.open("models/pico-target-q8_0.gguf", "models/pico-drafter-q8_0.gguf", {
      prefillTokens: 16,
    });
  });
  afterAll(() => pair.close());

  it("gives identical texts on 30 prompts, without exemption", async () => {
    let [accepted, judged, tokens] = [0, 0, 0];
    for (const question of PROMPTS) {
      const prompt = pair.prompt(question);
      const alone = await pair.answer(POLICIES.cloud, prompt, 100);
      for (const policy of [POLICIES.picospec, POLICIES.vanilla]) {
        const { tokens: said, statistics } = await pair.answer(policy, prompt, 100);
        expect(said, question).toEqual(alone.tokens);
        accepted += statistics.accepted;
        judged += statistics.accepted + statistics.rejected;
        tokens += said.length;
      }
    }
    // Nothing was proved if no draft was ever taken or none was ever rejected.
    expect(tokens).toBeGreaterThan(2000);
    expect(accepted / judged).toBeGreaterThan(0.5);
    expect(judged - accepted).toBeGreaterThan(100);
  });
});

describe.each(RANDOM_SHAPES)("random weights, F16: %s", (_, shape, padding) => {
  let pair: RealPair;
  let close: () => void;
  beforeAll(async () => {
    ({ pair, close } = await openRandomPair(shape, padding));
  });
  afterAll(() => close());

  it("is identical to the cloud alone, without exemption", async () => {
    let [accepted, judged] = [0, 0];
    for (const question of ["abc def", "the quick brown fox", "zz", "hello world again", "q w e r t y"]) {
      const prompt = pair.tokenizer.encode(question, false);
      const alone = await pair.answer(POLICIES.cloud, prompt, 120);
      for (const policy of [POLICIES.picospec, POLICIES.vanilla]) {
        const { tokens, statistics } = await pair.answer(policy, prompt, 120);
        accepted += statistics.accepted;
        judged += statistics.accepted + statistics.rejected;
        expect(tokens, question).toEqual(alone.tokens);
      }
    }
    expect(accepted).toBeGreaterThan(50);
    expect(judged - accepted).toBeGreaterThan(30);
  });
});
