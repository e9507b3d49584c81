import { describe, expect, it } from "vitest";
import { conversation, drillConversation } from "./conversation.ts";
import { splitOf } from "./draw.ts";

const COUNT = 3000;
const all = Array.from({ length: COUNT }, (_, number) => conversation(7, number));

describe("conversations", () => {
  it("are a function of seed and number", () => {
    expect(conversation(7, 11)).toEqual(all[11]);
    expect(conversation(8, 11)).not.toEqual(all[11]);
  });

  it("take turns, and ask no prompt that is held out", () => {
    for (const { turns } of all) {
      expect(turns.map(({ role }) => role)).toEqual(turns.map((_, i) => (i % 2 ? "assistant" : "user")));
      for (const { role, content } of turns) {
        expect(content).not.toBe("");
        if (role === "user") expect(splitOf(content)).toBe("training");
      }
    }
  });

  it("are of all families in their shares, with one to three tasks, and rarely the same twice", () => {
    const first = (family: string) => all.filter(({ families }) => families[0] === family).length / COUNT;
    expect(first("math")).toBeCloseTo(0.4, 1);
    expect(first("code")).toBeCloseTo(0.28, 1);
    expect(first("story")).toBeCloseTo(0.2, 1);
    expect(first("data")).toBeCloseTo(0.12, 1);
    const tasks = (count: number) => all.filter(({ families }) => families.length === count).length / COUNT;
    expect(tasks(1)).toBeGreaterThan(0.65);
    expect(tasks(2)).toBeGreaterThan(0.1);
    expect(tasks(3)).toBeGreaterThan(0.03);
    expect(new Set(all.map(({ turns }) => JSON.stringify(turns))).size).toBeGreaterThan(0.97 * COUNT);
  });

  it("have tools only where the one task calls one", () => {
    for (const { tools, turns } of all) {
      const calls = turns.some(({ content }) => content.startsWith("<tool_call>"));
      expect(tools.length > 0).toBe(calls);
      if (calls) expect(turns).toHaveLength(2);
    }
  });

  it("of sums are lines of equations", () => {
    const { turns, families } = drillConversation(7, 3);
    expect(families).toEqual(["drill"]);
    expect(turns[1]!.content).toMatch(/^(\d+ [-+*/] \d+ = \d+\.\n?)+$/);
  });
});
