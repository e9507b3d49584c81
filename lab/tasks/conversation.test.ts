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

  it("take turns, and ask no prompt of another split than theirs", () => {
    for (const split of ["training", "held-out"] as const) {
      for (let number = 0; number < 500; number++) {
        const { turns, families } = conversation(7, number, split);
        const prompts = turns.filter(({ role }) => role === "user");
        expect(prompts).toHaveLength(families.length);
        for (const [i, { role, content }] of turns.entries()) {
          expect(content).not.toBe("");
          expect(role === "assistant").toBe(i % 2 === 1);
        }
        const tasks = prompts.slice(families[0] === "talk" ? 1 : 0);
        for (const { content } of tasks) expect(splitOf(content)).toBe(split);
      }
    }
  });

  it("are of all families in their shares, mostly with one task, some with many, and rarely the same twice", () => {
    const tasks = all.map(({ families }) => families.filter((family) => family !== "talk"));
    const first = (family: string) => tasks.filter(([of]) => of === family).length / COUNT;
    expect(first("math")).toBeCloseTo(0.42, 1);
    expect(first("code")).toBeCloseTo(0.26, 1);
    expect(first("story")).toBeCloseTo(0.18, 1);
    expect(first("data")).toBeCloseTo(0.14, 1);
    const share = (least: number, most: number) =>
      tasks.filter(({ length }) => length >= least && length <= most).length / COUNT;
    expect(share(1, 1)).toBeGreaterThan(0.65);
    expect(share(2, 4)).toBeGreaterThan(0.15);
    expect(share(8, 12)).toBeGreaterThan(0.02);
    const talks = all.filter(({ families }) => families[0] === "talk").length / COUNT;
    expect(talks).toBeGreaterThan(0.02);
    const systems = all.filter(({ system }) => system !== null).length / COUNT;
    expect(systems).toBeCloseTo(0.15, 1);
    expect(new Set(all.map(({ turns }) => JSON.stringify(turns))).size).toBeGreaterThan(0.97 * COUNT);
  });

  it("call a tool of those that there are, and go on with what it returned", () => {
    const withTools = all.filter(({ tools }) => tools.length > 0);
    expect(withTools.length).toBeGreaterThan(0.04 * COUNT);
    for (const { tools, turns } of withTools) {
      const at = turns.findIndex(({ content }) => content.startsWith("<tool_call>"));
      const { name } = JSON.parse(turns[at]!.content.split("\n")[1]!);
      expect(tools.map((tool) => tool.name)).toContain(name);
      expect(turns[at + 1]!.role).toBe("tool");
      expect(turns[at + 2]!.role).toBe("assistant");
    }
    for (const { turns } of all.filter(({ tools }) => tools.length === 0)) {
      for (const { role, content } of turns) {
        expect(role).not.toBe("tool");
        expect(content).not.toContain("<tool_call>");
      }
    }
  });

  it("of sums are lines of equations", () => {
    const { turns, families } = drillConversation(7, 3);
    expect(families).toEqual(["drill"]);
    expect(turns[1]!.content).toMatch(/^(\d+ [-+*/] \d+ = \d+\.\n?)+$/);
  });
});
