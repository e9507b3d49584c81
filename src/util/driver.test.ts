import { describe, expect, it } from "vitest";
import { drive } from "./driver.ts";
import { VirtualClock } from "./virtual-clock.ts";

type Effect = string | { readonly causes: string };

/** Each event's effects by name. `causes` brings an event at once. */
function running(effects: Record<string, readonly Effect[]>, fails: readonly string[] = []) {
  const clock = new VirtualClock();
  const log: string[] = [];
  const machine = {
    handle(event: string, nowMs: number): readonly Effect[] {
      log.push(`${event} at ${nowMs}`);
      if (fails.includes(event)) throw new Error(`${event} failed`);
      return effects[event] ?? [];
    },
  };
  const driver = drive(machine, clock, (effect: Effect) => {
    if (typeof effect !== "string") {
      driver.dispatch(effect.causes);
      return;
    }
    if (fails.includes(effect)) throw new Error(`${effect} failed`);
    log.push(effect);
    if (effect === "time passes") clock.run(clock.nowMs() + 5);
  });
  return { driver, log };
}

describe("drive", () => {
  it("performs effects in order, and what they cause after all of them", () => {
    const { driver, log } = running({ a: ["1", { causes: "b" }, "2"], b: ["3"] });
    driver.dispatch("a");
    expect(log).toEqual(["a at 0", "1", "2", "b at 0", "3"]);
  });

  it("reads the clock anew for each event", () => {
    const { driver, log } = running({ a: ["time passes", { causes: "b" }] });
    driver.dispatch("a");
    expect(log).toEqual(["a at 0", "time passes", "b at 5"]);
  });

  it("loses only the effect that throws, and throws the first error when all is done", () => {
    const { driver, log } = running({ a: ["1", "bad", { causes: "b" }, "worse"], b: ["2"] }, [
      "bad",
      "worse",
    ]);
    expect(() => driver.dispatch("a")).toThrow("bad failed");
    expect(log).toEqual(["a at 0", "1", "b at 0", "2"]);
  });

  it("goes on after an event that could not be handled", () => {
    const { driver, log } = running({ a: [{ causes: "bad" }, { causes: "b" }], b: ["1"] }, ["bad"]);
    expect(() => driver.dispatch("a")).toThrow("bad failed");
    expect(log).toEqual(["a at 0", "bad at 0", "b at 0", "1"]);
    driver.checkIntegrity();
    driver.dispatch("b");
    expect(log.at(-1)).toBe("1");
  });

  it("ends events that cause each other without end", () => {
    const { driver } = running({ a: [{ causes: "a" }, { causes: "a" }] });
    expect(() => driver.dispatch("a")).toThrow("they cause each other");
  });
});
