import { describe, expect, it } from "vitest";
import { attackCloud, attackEdge, BARS, type Outcome } from "../attacks/suite.ts";

/**
 * Hostile peers against real processes, a part of them for a second each; `npm run attack:peers` has all, and times. How
 * late an answer is depends on what else the machine does: it is printed there, and not a test.
 */

const ATTACK_MS = 1000;
const named =
  (...words: string[]) =>
  (name: string) =>
    words.some((word) => name.includes(word));

function expectUnharmed(outcomes: readonly Outcome[], count: number): void {
  expect(outcomes.length).toBe(count);
  for (const { name, exited, sameTexts, answers, grownMb, handlerMs } of outcomes) {
    expect({ name, exited, sameTexts }).toEqual({ name, exited: false, sameTexts: true });
    expect(answers).toBeGreaterThan(0);
    expect(grownMb, name).toBeLessThan(BARS.grownMb);
    expect(handlerMs, name).toBeLessThan(BARS.handlerMs);
  }
}

describe("hostile peers", () => {
  it("of a cloud cost it no memory, no long handler and no other edge its text", async () => {
    const only = named("15 MB of", "16 MB before", "of logitBias", "unread");
    expectUnharmed(await attackCloud({ attackMs: ATTACK_MS, only }), 6);
  });

  it("of an edge cost it no memory, no long handler and no other client its text", async () => {
    const only = named("of logit_bias", "equal letters", "8 KB of special", "unfinished");
    expectUnharmed(await attackEdge({ attackMs: ATTACK_MS, only }), 5);
  });

  it("harm a cloud whose bound of unfinished messages is switched off, and an edge that reads every prompt at once", async () => {
    const limits = "src/transport/node/traffic.ts#TRAFFIC_LIMITS";
    const [cloud] = await attackCloud({
      attackMs: 8000,
      only: named("15 MB of"),
      without: [`${limits}#allUnfinishedBytes`],
    });
    expect(cloud!.grownMb).toBeGreaterThan(BARS.grownMb);
    const [edge] = await attackEdge({
      attackMs: ATTACK_MS,
      only: named("6,000 equal"),
      without: ["src/text/tame.ts#TAME_LIMITS#match", "src/text/tame.ts#TAME_LIMITS#text"],
    });
    expect(edge!.exited).toBe(true);
  });
});
