import { describe, expect, it } from "vitest";
import type { CloudLimits } from "../../src/cloud/driver.ts";
import { type DecodingPolicy, POLICIES } from "../../src/decoding/policy.ts";
import type { PassEngine, PassItem } from "../../src/engine/engine.ts";
import type { ToyLanguage } from "../../src/engine/toy/language.ts";
import { toSeed } from "../../src/sampling/random.ts";
import { draws, type Run, type Schedule, steadySchedule, World } from "../support/world.ts";

/** Many edges on one cloud, under a fake clock. */

const language: ToyLanguage = {
  seed: toSeed(5),
  vocabularySize: 24,
  order: Number.POSITIVE_INFINITY,
  spread: 6,
  divergence: 2,
  contextTokens: 2000,
};

interface Shared {
  readonly runs: Run[];
  readonly passes: { readonly atMs: number; readonly items: readonly PassItem[] }[];
  readonly endMs: number;
}

function share(
  edges: readonly { readonly policy: DecodingPolicy; readonly prompt?: readonly number[] }[],
  limits: Partial<CloudLimits> = {},
  given: Partial<Schedule> = {},
): Shared {
  const passes: { atMs: number; items: readonly PassItem[] }[] = [];
  const schedule = { ...steadySchedule(60, 50, 10), limits, ...given };
  const world: World = new World({
    language,
    schedule,
    random: draws(1),
    target: (model: PassEngine) => ({
      ...model,
      pass: (items, done) => {
        passes.push({ atMs: world.clock.nowMs(), items });
        model.pass(items, done);
      },
    }),
  });
  const sampler = { temperature: 0, logitBias: [[0, -1000]] as [number, number][] };
  const runs = edges.map(({ policy, prompt = [1, 2, 3] }, i) =>
    world.generate(policy, [...prompt, i + 1], toSeed(i), 40, { sampler }),
  );
  world.clock.run();
  for (const run of runs) expect(run.outcome?.kind, JSON.stringify(run.outcome)).toBe("done");
  return { runs, passes, endMs: world.clock.nowMs() };
}

const many = (count: number, policy: DecodingPolicy = POLICIES.cloud) =>
  Array.from({ length: count }, () => ({ policy }));
const usage = (run: Run) => (run.outcome?.kind === "done" ? run.outcome.usage! : undefined)!;

describe("one pass serves all sessions", () => {
  it("8 edges take no longer than one, on a target whose pass costs the same", () => {
    const alone = share(many(1), {}, { sequences: 8 });
    const together = share(many(8), {}, { sequences: 8 });
    const lastToken = ({ runs }: Shared) =>
      Math.max(...runs.map(({ statistics }) => statistics!.lastTokenMs));
    expect(lastToken(together)).toBeLessThan(lastToken(alone) + 2 * 50);
    expect(together.passes.length).toBeLessThan(alone.passes.length + 3);
  });

  it("mixes policies, and every text is what it is alone", () => {
    const edges = [...many(2), ...many(3, POLICIES.picospec), ...many(2, POLICIES.vanilla)];
    const together = share(edges, {}, { sequences: 7 });
    for (const [i, edge] of edges.entries()) {
      // The prompt's last token is the edge's number, so that texts differ.
      const alone = share(
        edges.map((other, k) => (k === i ? edge : { ...other, policy: POLICIES.cloud })),
        {},
        { sequences: 7 },
      );
      expect(together.runs[i]!.tokens).toEqual(alone.runs[i]!.tokens);
    }
    expect(new Set(together.runs.map(({ tokens }) => tokens.join())).size).toBe(edges.length);
  });
});

describe("a long prompt", () => {
  const long = Array.from({ length: 1500 }, (_, i) => 1 + (i % 20));
  /** Longest wait for the next token of the first edge, whose prompt is short. */
  const longestWaitMs = (limits: Partial<CloudLimits>) => {
    const pace = { ...steadySchedule(60, 50, 10).pace, prefillTokensPerSecond: 1000 };
    const { passes } = share(
      [{ policy: POLICIES.cloud }, { policy: POLICIES.cloud, prompt: long }],
      { passTokens: 2000, ...limits },
      { pace },
    );
    const starts = passes.filter(({ items }) => items.some(({ slot }) => slot === 0)).map(({ atMs }) => atMs);
    return Math.max(...starts.slice(1).map((atMs, i) => atMs - starts[i]!));
  };

  it("is fed in chunks, so that it does not hold up the others", () => {
    expect(longestWaitMs({ prefillTokens: 100 })).toBeLessThanOrEqual(50 + 100 + 1);
  });

  it("off: in one chunk it holds them up", () => {
    expect(longestWaitMs({ prefillTokens: 2000 })).toBeGreaterThan(1000);
  });
});

describe("more sessions than sequences", () => {
  const eight = (limits: Partial<CloudLimits>, policy: DecodingPolicy = POLICIES.picospec) =>
    share(many(8, policy), limits, { sequences: 4 });
  const evictions = ({ runs }: Shared) => runs.reduce((sum, run) => sum + usage(run).evictions, 0);

  it("take turns by a quantum, and every text is right", () => {
    const few = eight({ quantumRows: 16, idleAfterMs: 1000 });
    const enough = share(many(8, POLICIES.picospec), {}, { sequences: 8 });
    expect(few.runs.map(({ tokens }) => tokens)).toEqual(enough.runs.map(({ tokens }) => tokens));
    expect(evictions(few)).toBeGreaterThan(4);
    expect(evictions(enough)).toBe(0);
  });

  it("no session rebuilds its KV at every pass; off: with a quantum of one row they do", () => {
    const rebuilt = ({ runs }: Shared) =>
      runs.reduce(
        (sum, run) => sum + usage(run).evictions / (usage(run).targetPasses + usage(run).prefillPasses),
        0,
      ) / 8;
    expect(rebuilt(eight({ quantumRows: 32 }, POLICIES.cloud))).toBeLessThan(0.1);
    expect(rebuilt(eight({ quantumRows: 1 }, POLICIES.cloud))).toBeGreaterThan(0.4);
  });

  it("no session starves: all are done within twice the time that perfect turns would take", () => {
    const { runs } = eight({ quantumRows: 16 }, POLICIES.cloud);
    const lastMs = runs.map(({ statistics }) => statistics!.lastTokenMs);
    // 40 tokens of 50 ms for each half of the sessions.
    expect(Math.max(...lastMs)).toBeLessThan(2 * (2 * 40 * 50));
  });

  it("an idle session loses its KV to one that speaks, and goes on where it was", () => {
    // A drafter of 2 s a token leaves the cloud idle for long.
    const slow = { ...steadySchedule(60, 50, 2000), sequences: 1 };
    const { runs } = share(many(2, POLICIES.picospec), { quantumRows: 1e6, idleAfterMs: 100 }, slow);
    expect(evictions({ runs, passes: [], endMs: 0 })).toBeGreaterThan(4);
    const alone = share(many(2, POLICIES.picospec), {}, { sequences: 2 });
    expect(runs.map(({ tokens }) => tokens)).toEqual(alone.runs.map(({ tokens }) => tokens));
  });
});
