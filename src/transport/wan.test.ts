import { describe, expect, it } from "vitest";
import { draws } from "../../test/support/world.ts";
import type { Clock } from "../util/clock.ts";
import { VirtualClock } from "../util/virtual-clock.ts";
import { memoryPair } from "./memory.ts";
import { systemClock } from "./node/clock.ts";
import { symmetricWan, type WanProfile, wan } from "./wan.ts";

interface Arrival {
  readonly first: number;
  readonly atMs: number;
}

/** Two ends with a network between; what arrives where, and when. */
function link(profile: WanProfile, clock: Clock) {
  const [near, far] = memoryPair(clock);
  const edge = wan(near, profile, clock, draws(3));
  const [atEdge, atCloud]: [Arrival[], Arrival[]] = [[], []];
  const closed: string[] = [];
  const into = (list: Arrival[]) => (bytes: Uint8Array) =>
    void list.push({ first: bytes[0]!, atMs: clock.nowMs() });
  edge.start({ message: into(atEdge), closed: (reason) => closed.push(reason) });
  far.start({ message: into(atCloud), closed: () => {} });
  return { edge, cloud: far, atEdge, atCloud, closed };
}

describe("wan", () => {
  it("delays each direction by its own profile", () => {
    const clock = new VirtualClock();
    const profile = {
      up: { delayMs: 10, jitterMs: 0, mbps: Number.POSITIVE_INFINITY },
      down: { delayMs: 70, jitterMs: 0, mbps: Number.POSITIVE_INFINITY },
    };
    const { edge, cloud, atEdge, atCloud } = link(profile, clock);
    edge.send(Uint8Array.of(1));
    cloud.send(Uint8Array.of(2));
    clock.run();
    expect(atCloud).toEqual([{ first: 1, atMs: 10 }]);
    expect(atEdge).toEqual([{ first: 2, atMs: 70 }]);
  });

  it("lets messages leave one after the other at the link's rate", () => {
    const clock = new VirtualClock();
    const { edge, atCloud } = link(symmetricWan(20, 0, 0.8), clock);
    for (const first of [1, 2, 3]) edge.send(new Uint8Array(1000).fill(first)); // 10 ms each at 0.8 Mbit/s
    expect(edge.queuedBytes).toBe(3000);
    clock.run();
    expect(atCloud.map(({ atMs }) => Math.round(atMs))).toEqual([20, 30, 40]);
    expect(edge.queuedBytes).toBe(0);
  });

  it("adds jitter up to its bound and keeps the order all the same", () => {
    const clock = new VirtualClock();
    const { edge, atCloud } = link(symmetricWan(20, 50), clock);
    for (let i = 0; i < 200; i++) edge.send(Uint8Array.of(i));
    clock.run();
    expect(atCloud.map(({ first }) => first)).toEqual(Array.from({ length: 200 }, (_, i) => i));
    const times = atCloud.map(({ atMs }) => atMs);
    expect(Math.min(...times)).toBeGreaterThanOrEqual(10);
    expect(Math.max(...times)).toBeLessThanOrEqual(60);
    expect(new Set(times).size).toBeGreaterThan(3);
  });

  it("tells of the other side's end behind what was still on its way", () => {
    const clock = new VirtualClock();
    const { cloud, atEdge, closed } = link(symmetricWan(100), clock);
    cloud.send(Uint8Array.of(1));
    cloud.close();
    clock.run();
    expect([atEdge.length, closed.length]).toEqual([1, 1]);
  });

  it("keeps the order under real time as well, where native timers would not", async () => {
    const { edge, atCloud } = link(symmetricWan(8, 6), systemClock);
    for (let i = 0; i < 120; i++) {
      edge.send(Uint8Array.of(i));
      if (i % 4 === 0) await new Promise((next) => setImmediate(next));
    }
    while (atCloud.length < 120) await new Promise((next) => setImmediate(next));
    expect(atCloud.map(({ first }) => first)).toEqual(Array.from({ length: 120 }, (_, i) => i));
  });
});
