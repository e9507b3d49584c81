import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TimerQueue } from "./timer-queue.ts";

describe("TimerQueue", () => {
  it("gives what is due by time, and of equals first come first, whatever was taken back", () => {
    const action = fc.record({
      atMs: fc.integer({ min: 0, max: 20 }),
      cancel: fc.integer({ min: -20, max: 60 }),
    });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const queue = new TimerQueue();
        const seen: number[] = [];
        let expected: { atMs: number; id: number }[] = [];
        const cancels: (() => void)[] = [];
        for (const [id, { atMs, cancel }] of actions.entries()) {
          cancels.push(queue.add(atMs, () => seen.push(id)));
          expected.push({ atMs, id });
          if (cancel < 0 || cancel > id) continue;
          cancels[cancel]!();
          expected = expected.filter((timer) => timer.id !== cancel);
        }
        expect(queue.size).toBe(expected.length);
        expected.sort((a, b) => a.atMs - b.atMs || a.id - b.id);
        for (let due = queue.takeDue(100); due; due = queue.takeDue(100)) due.callback();
        expect(seen).toEqual(expected.map(({ id }) => id));
      }),
      { seed: 1, numRuns: 500 },
    );
  });

  it("keeps what is due later, and what came after the mark", () => {
    const queue = new TimerQueue();
    queue.add(5, () => {});
    expect([queue.takeDue(4), queue.earliestMs]).toEqual([null, 5]);
    const { mark } = queue;
    queue.add(1, () => {});
    expect(queue.takeDue(9, mark)).toBeNull();
    expect(queue.takeDue(9)?.atMs).toBe(1);
  });
});
