import { describe, expect, it, vi } from "vitest";
import { KvCache } from "../../src/cloud/passes/kv-cache.ts";
import { POLICIES } from "../../src/decoding/policy.ts";
import { requestOf } from "../fuzz/command.ts";
import { expectedText } from "../fuzz/oracle.ts";
import { planOf, type WorldPlan } from "../fuzz/plan.ts";
import { trySeed } from "../fuzz/search.ts";
import { FuzzWorld } from "../fuzz/world.ts";

/**
 * The fault search: the real edge and cloud in worlds drawn from seeds, in which links break, hang or lag behind,
 * servers die and come back, devices stall, models fail and users change their minds. What has to hold is looked at
 * after every event. `npm run fuzz` runs many more seeds; a seed that fails says how to replay it.
 */
const SEEDS = 3000;

describe("the fault search", () => {
  it(`finds nothing in ${SEEDS} worlds, and meets all there is`, () => {
    const happened = new Map<string, number>();
    for (let seed = 0; seed < SEEDS; seed++) {
      for (const [name, count] of trySeed(seed).happened)
        happened.set(name, (happened.get(name) ?? 0) + count);
    }
    // A search that never meets something proves nothing about it.
    const least: Record<string, number> = {
      "fault break": 700,
      "fault late": 700,
      "fault freeze": 350,
      "fault oneWay": 350,
      "fault hangUp": 350,
      "server crash": 600,
      "server shutdown": 300,
      "server stall": 900,
      "failure internal": 50,
      "failure model_output": 100,
      "failed engine": 100,
      "failed server_full": 60,
      "failed too_many_sessions": 100,
      "done cancelled": 300,
      "done context": 500,
      "drafted by lookup": 80,
      "drafted by both": 1000,
      resumed: 2000,
      "resumed within a draw": 30,
      "repeated frame": 5000,
      "late open": 50,
      "late draft": 250,
      "error superseded": 8,
    };
    for (const [name, count] of Object.entries(least)) {
      expect(happened.get(name) ?? 0, name).toBeGreaterThanOrEqual(count);
    }
  });
});

describe("a seed", () => {
  it("replays event by event, so that a failure can be looked at", () => {
    const told = (seed: number) => {
      const lines: string[] = [];
      trySeed(seed, (line) => lines.push(line));
      return lines;
    };
    const lines = told(7);
    expect(lines.length).toBeGreaterThan(100);
    expect(told(7)).toEqual(lines);
  });

  it("says how to replay it when it fails", () => {
    vi.spyOn(KvCache.prototype, "release").mockImplementation(() => {});
    expect(() => trySeed(0)).toThrow("npm run fuzz -- --seed 0 --timeline");
    vi.restoreAllMocks();
  });
});

describe("the oracle", () => {
  it("is what the cloud alone says under the same seed, where nothing goes wrong", () => {
    let texts = 0;
    for (let seed = 0; seed < 100; seed++) {
      const plan = planOf(seed);
      const world = new FuzzWorld(undisturbed(plan), { judges: false });
      world.run();
      for (const [i, run] of world.runs.entries()) {
        const session = plan.edges.flatMap(({ sessions }) => sessions)[i]!;
        if (session.policy.coupling !== "gumbel") continue;
        const expected = expectedText(session, plan.edges[0]!, plan.language)!;
        expect(run.tokens, `seed ${seed}, ${run.name}`).toEqual(expected.tokens);
        texts++;
      }
    }
    expect(texts).toBeGreaterThan(100);
  });

  /** The same questions to the cloud alone. */
  function undisturbed(plan: WorldPlan): WorldPlan {
    return {
      ...plan,
      schedule: { ...plan.schedule, limits: {} },
      servers: plan.servers.map(() => []),
      fates: () => [],
      repeats: 0,
      targetFails: { pass: 0, row: 0, held: 0 },
      edges: plan.edges.map((edge) => ({
        ...edge,
        stalls: [],
        ends: null,
        sessions: edge.sessions.map((session) => ({ ...session, policy: POLICIES.cloud, cancel: null })),
      })),
    };
  }
});

describe("npm run fuzz", () => {
  it("knows what is wanted", () => {
    expect(requestOf([])).toEqual({ from: 0, seeds: 20_000, timeline: false, kind: "pass", help: false });
    expect(requestOf(["--seeds", "5", "--from", "7"])).toMatchObject({ from: 7, seeds: 5 });
    expect(requestOf(["--seed", "1234", "--timeline"])).toMatchObject({
      from: 1234,
      seeds: 1,
      timeline: true,
    });
  });

  it.each([
    [["--sed", "1"], "Unknown option '--sed'"],
    [["12"], "Unexpected argument '12'. This command does not take positional arguments"],
    [["--seeds", "many"], '--seeds is a whole number below 2^32, not "many"'],
    [["--seed", "-1"], "Option '--seed' argument is ambiguous"],
    [["--seeds", "0"], "--seeds is 1 or more"],
    [["--timeline"], "--timeline is of one world: give its --seed"],
    [["--seed", "1", "--from", "2"], "--seed is one world: no --seeds, no --from"],
  ])("says in one line what is wrong with %s", (args, message) => {
    expect(requestOf(args)).toBe(message);
  });
});
