import { describe, expect, it } from "vitest";
import { type CoreFacts, defaultThreads, isLoopback } from "./cores.ts";

const facts = (processors: number, siblings: readonly string[] = [], arch = "x64"): CoreFacts => {
  return { processors, siblings, arch };
};

describe("threads where nobody says", () => {
  it.each([
    ["two processors of one core", facts(2, ["0-1", "0-1"]), 1],
    ["eight processors of four cores", facts(8, ["0,4", "1,5", "2,6", "3,7", "0,4", "1,5", "2,6", "3,7"]), 4],
    ["two cores", facts(2, ["0", "1"]), 2],
    ["an x86 machine that says nothing", facts(12), 6],
    ["an ARM machine that says nothing", facts(10, [], "arm64"), 10],
    ["one processor", facts(1), 1],
  ])("counts the cores of %s", (_, machine, cores) => {
    expect(defaultThreads(false, machine)).toBe(Math.max(1, cores - 1));
  });

  it("are all cores but one, or half of them where the other side is here too, and never none", () => {
    const four = facts(4, ["0", "1", "2", "3"]);
    expect([defaultThreads(false, four), defaultThreads(true, four)]).toEqual([3, 2]);
    const one = facts(1);
    expect([defaultThreads(false, one), defaultThreads(true, one)]).toEqual([1, 1]);
    expect(defaultThreads(false)).toBeGreaterThanOrEqual(1);
  });

  it.each([
    ["ws://127.0.0.1:4747", true],
    ["ws://localhost:4747", true],
    ["wss://[::1]:4747/", true],
    ["ws://127.0.0.1", true],
    ["ws://127.0.0.1.example.org:4747", false],
    ["wss://cloud.example.org", false],
    ["ws://10.0.0.1:4747", false],
  ])("%s leads to this machine: %s", (address, local) => {
    expect(isLoopback(address)).toBe(local);
  });
});
