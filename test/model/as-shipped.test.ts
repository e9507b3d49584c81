import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { POLICIES } from "../../src/decoding/policy.ts";
import { DraftGate } from "../../src/edge/core/draft-gate.ts";
import { DecodeTimes } from "../../src/engine/llama/decode-times.ts";
import { PROMPTS } from "../support/prompts.ts";
import { RealPair } from "../support/real-pair.ts";

/** The bundled pair with nothing switched off: short decodes on the event loop, and a gate that begins and ends drafting. */

let pair: RealPair;
beforeAll(async () => {
  pair = await RealPair.open("models/pico-target-q8_0.gguf", "models/pico-drafter-q8_0.gguf");
});
afterAll(() => {
  pair.close();
  vi.restoreAllMocks();
});

it("says under race what it says under cloud, whichever thread decodes and whether drafts are made or not", async () => {
  const [gates, places] = [new Set<boolean>(), new Set<boolean>()];
  const { verdict } = DraftGate.prototype;
  vi.spyOn(DraftGate.prototype, "verdict").mockImplementation(function (this: DraftGate, ...told) {
    gates.add(this.open);
    verdict.apply(this, told);
  });
  const { isShort } = DecodeTimes.prototype;
  vi.spyOn(DecodeTimes.prototype, "isShort").mockImplementation(function (this: DecodeTimes, tokens) {
    const short = isShort.call(this, tokens);
    places.add(short);
    return short;
  });
  let tokens = 0;
  for (const [seed, question] of PROMPTS.entries()) {
    const prompt = pair.prompt(question);
    for (const temperature of [0, 0.8]) {
      const cloud = await pair.answer(POLICIES.cloud, prompt, 120, { temperature }, seed);
      const race = await pair.answer(POLICIES.race, prompt, 120, { temperature }, seed);
      expect(race.tokens, question).toEqual(cloud.tokens);
      tokens += race.tokens.length;
    }
  }
  expect(tokens).toBeGreaterThan(3000);
  // It has met both of each.
  expect([gates.size, places.size]).toEqual([2, 2]);
});
