import { expect, it } from "vitest";
import { VirtualClock } from "../../util/virtual-clock.ts";
import { StateLines } from "./state-lines.ts";

it("lines on what comes and goes are told at once, then bounded by time, and the last state is told", () => {
  const clock = new VirtualClock();
  const told: string[] = [];
  const lines = new StateLines(clock, (line) => told.push(`${clock.nowMs()} ${line}`));
  for (let round = 0; round < 300; round++) {
    lines.tell("up");
    lines.tell("down");
    clock.run(clock.nowMs() + 100);
  }
  expect(told).toEqual(["0 up", "0 down", "100 up", "100 down"]);
  lines.tell("up");
  clock.run(clock.nowMs() + 60_000);
  expect(told.slice(4)).toEqual(["60000 up"]);
  lines.tell("up");
  lines.close();
  clock.run(clock.nowMs() + 600_000);
  expect(told).toHaveLength(5);
});
