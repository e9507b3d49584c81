import { describe, expect, it } from "vitest";
import {
  bestColocated,
  colocatedCapacity,
  colocatedTokensPerSecond,
  type Demand,
  decodePassMs,
  edgeDraftedCapacity,
  plainCapacity,
  plainTokensPerSecond,
  type ServerTimes,
  serverTimes,
} from "./colocated.ts";
import { offloadFactor } from "./formulas.ts";
import { scenarioNamed } from "./scenarios.ts";

const free: ServerTimes = { passMs: 100, passMsPerToken: 0, passFreeRows: 1, draftMs: 10 };
const batched: ServerTimes = { passMs: 45, passMsPerToken: 0.2, passFreeRows: 16, draftMs: 2 };

describe("co-located speculation", () => {
  it.each([
    [0.6, 1.68, 3],
    [0.8, 2.49, 6],
    [0.9, 3.47, 10],
  ])("at acceptance %d is the bound of the event model, %d, within 1.5%", (alpha, speedUp, gamma) => {
    const best = bestColocated(free, alpha);
    expect(best.gamma).toBe(gamma);
    expect(Math.abs(best.tokensPerSecond / plainTokensPerSecond(free) / speedUp - 1)).toBeLessThan(0.015);
  });

  it("drafts less where each row costs", () => {
    const costly = { ...free, passMsPerToken: 20 };
    expect(bestColocated(costly, 0.8).gamma).toBeLessThan(bestColocated(free, 0.8).gamma);
  });

  it("loses to the plain server where drafts are always wrong", () => {
    expect(bestColocated(free, 0).tokensPerSecond).toBeLessThan(plainTokensPerSecond(free));
  });

  it("pays for the rows of all sessions", () => {
    expect(decodePassMs(batched, 16)).toBe(45);
    expect(decodePassMs(batched, 36)).toBeCloseTo(49, 12);
    const alone = colocatedTokensPerSecond(batched, 0.8, 4);
    expect(colocatedTokensPerSecond(batched, 0.8, 4, 32)).toBeLessThan(alone);
  });

  it("takes the scenario's drafter in the data centre, or the edge's where it names none", () => {
    const scenario = scenarioNamed("laptop-gpu");
    expect(serverTimes(scenario).draftMs).toBe(scenario.draftMs);
    expect(serverTimes({ ...scenario, colocatedDraftMs: 2 }).draftMs).toBe(2);
  });
});

describe("sessions a server", () => {
  const demand: Demand = { tokensPerSecond: 10, sequences: 10_000 };

  it("are as many as leave each the rate that it wants", () => {
    const { sessions, batch } = plainCapacity(batched, demand);
    expect(plainTokensPerSecond(batched, batch)).toBeGreaterThanOrEqual(10);
    expect(plainTokensPerSecond(batched, batch + 1)).toBeLessThan(10);
    expect(sessions).toBeGreaterThanOrEqual(batch);
    expect(sessions).toBeLessThan(batch + 1);
  });

  it("are none where even one session is too slow", () => {
    expect(plainCapacity(batched, { ...demand, tokensPerSecond: 30 }).sessions).toBe(0);
    expect(colocatedCapacity(batched, 0.8, { ...demand, tokensPerSecond: 30 }).sessions).toBeGreaterThan(1);
  });

  it("are no more than there is memory for", () => {
    expect(plainCapacity(free, { tokensPerSecond: 5, sequences: 64 }).sessions).toBe(64);
  });

  it("give each the demanded rate when they draft for themselves", () => {
    const { batch, gamma } = colocatedCapacity(batched, 0.8, demand);
    expect(colocatedTokensPerSecond(batched, 0.8, gamma, batch)).toBeGreaterThanOrEqual(10);
    expect(colocatedTokensPerSecond(batched, 0.8, gamma, batch + 1)).toBeLessThan(10);
  });

  it("grow by 1 + gamma t_d / t_v when edges draft, with the same batch and draft length", () => {
    // One session a pass and drafts of one length: the case that the published factor is about.
    const single: ServerTimes = { passMs: 20, passMsPerToken: 1000, passFreeRows: 2, draftMs: 4 };
    const slow = { tokensPerSecond: 5, sequences: 10_000 };
    const own = colocatedCapacity(single, 0.8, slow);
    const edges = edgeDraftedCapacity(single, { draftMs: 10, rttMs: 60 }, 0.8, slow);
    expect([own.batch, own.gamma, edges.batch, edges.gamma]).toEqual([1, 1, 1, 1]);
    expect(edges.sessions / own.sessions).toBeCloseTo(offloadFactor(single, 1), 10);
  });

  it("are fewer on a longer network, and none past what the rate leaves", () => {
    const at = (rttMs: number) => edgeDraftedCapacity(batched, { draftMs: 6, rttMs }, 0.8, demand).sessions;
    expect(at(40)).toBeGreaterThan(at(200));
    expect(at(2000)).toBe(0);
  });
});
