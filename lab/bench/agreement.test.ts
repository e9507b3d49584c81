import { describe, expect, it } from "vitest";
import { ToyDraftModel } from "../../src/engine/toy/draft-model.ts";
import { type ToyLanguage, toyLogits } from "../../src/engine/toy/language.ts";
import { toSeed } from "../../src/sampling/random.ts";
import { argmax } from "../../src/sampling/select.ts";
import { systemClock } from "../../src/transport/node/clock.ts";
import { agreement } from "./agreement.ts";

const language: ToyLanguage = {
  seed: toSeed(5),
  vocabularySize: 40,
  order: Number.POSITIVE_INFINITY,
  spread: 4,
  divergence: 4,
  contextTokens: 200,
};
const PROMPT = Int32Array.from({ length: 100 }, (_, i) => i % 40);

function greedy(role: "target" | "drafter", length: number): number[] {
  const text: number[] = [];
  while (text.length < length) text.push(argmax(toyLogits(language, [...PROMPT, ...text], role)));
  return text;
}
const model = () => new ToyDraftModel(language, systemClock, 64);

describe("agreement", () => {
  it("is whole along the drafter's own text, of a prompt of several chunks", async () => {
    expect(await agreement(model(), PROMPT, greedy("drafter", 30))).toEqual({ tokens: 30, agreed: 30 });
  });

  it("counts the target's tokens that are the drafter's likeliest, wherever they differed before", async () => {
    const text = greedy("target", 60);
    const likeliest = (i: number) => argmax(toyLogits(language, [...PROMPT, ...text.slice(0, i)], "drafter"));
    const agreed = text.filter((token, i) => token === likeliest(i)).length;
    expect(agreed).toBeGreaterThan(5);
    expect(agreed).toBeLessThan(55);
    expect(await agreement(model(), PROMPT, text)).toEqual({ tokens: 60, agreed });
  });

  it("follows as much as the drafter's context holds, and takes an empty text", async () => {
    expect((await agreement(model(), PROMPT, greedy("drafter", 120))).tokens).toBe(100);
    expect(await agreement(model(), PROMPT, [])).toEqual({ tokens: 0, agreed: 0 });
  });
});
