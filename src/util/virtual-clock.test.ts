import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { VirtualClock } from "./virtual-clock.ts";

describe("VirtualClock", () => {
  it("runs timers by time, equals in the order they were set, and skips cancelled ones", () => {
    fc.assert(
      fc.property(fc.array(fc.record({ at: fc.nat(9), cancel: fc.boolean() })), (timers) => {
        const clock = new VirtualClock();
        const ran: number[] = [];
        timers.forEach(({ at, cancel }, i) => {
          const undo = clock.schedule(at, () => ran.push(i));
          if (cancel) undo();
        });
        clock.run();
        const expected = timers
          .map((timer, i) => ({ ...timer, i }))
          .filter(({ cancel }) => !cancel)
          .sort((a, b) => a.at - b.at || a.i - b.i);
        expect(ran).toEqual(expected.map(({ i }) => i));
      }),
    );
  });

  it("never goes back: what is set for the past runs now", () => {
    const clock = new VirtualClock();
    clock.run(10);
    const times: number[] = [];
    clock.schedule(3, () => times.push(clock.nowMs()));
    clock.run();
    expect(times).toEqual([10]);
  });
});
