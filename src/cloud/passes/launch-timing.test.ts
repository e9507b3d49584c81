import { describe, expect, it } from "vitest";
import { POLICIES } from "../../decoding/policy.ts";
import { LaunchTiming } from "./launch-timing.ts";

/** A session of race whose drafts come 30 ms after a miss, every 10 ms, and are mostly accepted; passes of 100 ms. */
function seasoned(): LaunchTiming {
  const timing = new LaunchTiming(POLICIES.race, 0);
  let nowMs = 0;
  for (let round = 0; round < 30; round++) {
    for (let i = 0; i < 9; i++) timing.outlook.judged(true);
    timing.outlook.judged(false);
    timing.passTook(100, 4);
    timing.outlook.committed(4, nowMs);
    timing.outlook.dry(true, nowMs);
    for (let frame = 0; frame < 3; frame++) timing.outlook.arrived(1, nowMs + 30 + 10 * frame);
    nowMs += 100;
  }
  return timing;
}

/** Whether a pass waits, after a miss at 5,000 ms. */
function waits(timing: LaunchTiming): boolean {
  timing.outlook.dry(true, 5000);
  timing.committed(5000);
  timing.plan(0, false, 5000);
  return timing.launchAtMs > 5000;
}

describe("launch timing", () => {
  it("has nothing to wait for before anything was learnt, and waits when it was", () => {
    expect(new LaunchTiming(POLICIES.race, 70).launchAtMs).toBe(70);
    expect(waits(new LaunchTiming(POLICIES.race, 0))).toBe(false);
    expect(waits(seasoned())).toBe(true);
  });

  it("starts with what an earlier session learnt of drafts, and waits once it knows a pass", () => {
    const next = new LaunchTiming(POLICIES.race, 4000, seasoned());
    expect(next.launchAtMs).toBe(4000);
    expect(waits(next)).toBe(false);
    next.passTook(100, 1);
    expect(waits(next)).toBe(true);
  });

  it("is of use for a policy that couples in the same way, once drafts were judged", () => {
    expect(seasoned().isLike(POLICIES.race)).toBe(true);
    expect(seasoned().isLike(POLICIES.picospec)).toBe(false);
    expect(new LaunchTiming(POLICIES.race, 0).isLike(POLICIES.race)).toBe(false);
    // What it started with is not what it learnt.
    expect(new LaunchTiming(POLICIES.race, 0, seasoned()).isLike(POLICIES.race)).toBe(false);
  });

  it("does not wait where no edge drafts, nor when no draft can come; patience is kept where it is asked for", () => {
    const timing = seasoned();
    timing.outlook.dry(true, 5000);
    timing.committed(5000);
    timing.plan(0, true, 5000);
    expect(timing.launchAtMs).toBe(5000);
    const patient = new LaunchTiming({ ...POLICIES.race, patienceMs: 40 }, 0);
    patient.committed(5000);
    patient.plan(0, false, 5010);
    expect(patient.launchAtMs).toBe(5040);
  });
});
