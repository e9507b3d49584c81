import { describe, expect, it } from "vitest";
import { PipelineStatistics } from "../../src/edge/core/statistics.ts";
import { drawTask } from "../tasks/draw.ts";
import { evaluate, judge } from "./eval.ts";

function statistics(accepted: number, rejected: number): PipelineStatistics {
  return Object.assign(new PipelineStatistics(), {
    accepted,
    rejected,
    tokens: 50,
    firstTokenMs: 1010,
    startedMs: 1000,
    lastTokenMs: 1500,
  });
}

describe("judge", () => {
  it.each([
    "math",
    "story",
  ] as const)("takes the reference answer of %s, and not that of another task", async (family) => {
    const [one, other] = [drawTask(family, "held-out", 1, 0), drawTask(family, "held-out", 1, 1)];
    expect(await judge(one, one.answer)).toEqual({ right: true, why: "" });
    expect((await judge(one, other.answer)).right).toBe(false);
  });

  it("says that there is no function where there is none", async () => {
    const task = drawTask("code", "held-out", 1, 0);
    expect((await judge(task, "I do not know.")).why).toMatch(/there is no function/);
  });
});

describe("evaluate", () => {
  it("asks every policy the same held-out tasks, and counts what is right and what is the same", async () => {
    const asked: string[] = [];
    const { results, wrong, agreement } = await evaluate({
      policies: ["good", "half"],
      families: ["math", "story"],
      tasks: 10,
      seed: 3,
      answer: async (policy, task, number) => {
        asked.push(`${policy} ${task.prompt}`);
        const text = policy === "good" || number % 2 ? task.answer : "Answer: 1234";
        return {
          text,
          tokens: [number, 7],
          statistics: policy === "good" ? statistics(0, 0) : statistics(3, 1),
        };
      },
      agreement: async (_, tokens) => ({ tokens: tokens.length, agreed: tokens[0]! % 2 }),
      progress: () => {},
    });
    expect(asked).toHaveLength(40);
    const prompts = (policy: string) =>
      asked.filter((line) => line.startsWith(policy)).map((line) => line.slice(5));
    expect(prompts("good")).toEqual(prompts("half"));
    expect(results.map(({ policy, all, sameText }) => [policy, all.right, sameText])).toEqual([
      ["good", 20, 20],
      ["half", 10, 10],
    ]);
    expect(results[1]!.families.math).toMatchObject({ tasks: 10, right: 5, value: 0.5 });
    // Wilson's interval of 5 of 10.
    expect(results[1]!.families.math!.low).toBeCloseTo(0.2366, 3);
    expect(results[1]!.families.math!.high).toBeCloseTo(0.7634, 3);
    expect(results.map(({ acceptanceRate }) => acceptanceRate)).toEqual([null, 0.75]);
    expect(results[0]!.tokensPerSecond).toBeCloseTo(100, 9);
    // Of the first policy's answers alone: of ten with two tokens each, every other one agrees in one.
    expect(agreement).toEqual({
      math: { tokens: 20, agreed: 5, value: 0.25 },
      story: { tokens: 20, agreed: 5, value: 0.25 },
    });
    expect(wrong).toHaveLength(10);
    expect(wrong[0]).toMatchObject({ policy: "half", answer: "Answer: 1234" });
  });
});
