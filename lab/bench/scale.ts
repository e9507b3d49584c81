import type { DecodingPolicy } from "../../src/decoding/policy.ts";
import { type PassItem, rowsOf, withPass } from "../../src/engine/engine.ts";
import { toSeed } from "../../src/sampling/random.ts";
import { assert } from "../../src/util/assert.ts";
import { parseScenario, type Scenario } from "../models/scenario.ts";
import { World } from "../sim/world.ts";

/** Many edges on a batched cloud, simulated: how fast each session is, and how many a server carries. */

/** What a server with large batches is like. */
export const SCALE_SCENARIO: Scenario = parseScenario({
  name: "batched-gpu",
  description:
    "A 70B target in 8 bits on two data-centre cards: 25 ms to read the weights, up to 32 rows for nothing, each " +
    "further one 0.1 ms; a 1B drafter on the same cards takes 3 ms a step for a whole batch, on the user's laptop " +
    "8 ms. Memory for the KV is never short. Our estimate, not a measurement.",
  ...{ rttMs: 60, draftMs: 8, colocatedDraftMs: 3 },
  ...{ passMs: 25, passMsPerToken: 0.1, passFreeRows: 32, sequences: 16_384 },
  ...{ acceptance: 0.8, acceptanceCoupled: 0.8 },
  // Decoding alone is looked at: prompts cost nothing, and no answer ends.
  ...{ promptTokens: 1, answerTokens: 1_000_000 },
});

export interface LoadOptions {
  readonly seed: number;
  /** until everybody is decoding and both sides have learnt their sizes */
  readonly warmMs: number;
  /** that tokens are counted for, at least */
  readonly countedMs: number;
}

export interface Load {
  readonly edges: number;
  /** of one session: the mean over all of them */
  readonly tokensPerSecond: number;
  /** 5% of the sessions are slower */
  readonly slowTokensPerSecond: number;
  /** of the target, for each token that a user gets */
  readonly rowsPerToken: number;
  /** rows in a pass */
  readonly rowsPerPass: number;
}

/** Every edge decodes all the time; tokens count when they reach the edge, from one start of a pass to another. */
export function simulateLoad(
  scenario: Scenario,
  policy: DecodingPolicy,
  edges: number,
  { seed, warmMs, countedMs }: LoadOptions,
): Load {
  const counts = new Float64Array(edges);
  const count = new Count(warmMs, warmMs + countedMs);
  const world: World = new World({
    ...{ scenario, seed },
    target: (model) =>
      withPass(model, (items, done) => {
        count.passStarts(items, world.clock.nowMs());
        model.pass(items, done);
      }),
  });
  for (let index = 0; index < edges; index++) {
    const edge = world.edge();
    const own = toSeed((BigInt(seed) << 32n) | BigInt(index));
    const finished = () => assert(false, "an answer ended while it was counted");
    const token = () => {
      if (count.running) counts[index]!++;
    };
    const startMs = ((scenario.rttMs + scenario.passMs) * index) / edges;
    world.clock.schedule(startMs, () =>
      edge.start(policy, (opener) => world.open(opener, policy, own, { token, finished })),
    );
  }
  while (!count.over) assert(world.clock.step(), "the simulation ran out of events too early");
  const rates = [...counts].map((tokens) => (1000 * tokens) / count.tookMs).sort((a, b) => a - b);
  const tokens = counts.reduce((sum, one) => sum + one, 0);
  return {
    edges,
    tokensPerSecond: (1000 * tokens) / count.tookMs / edges,
    slowTokensPerSecond: rates[Math.floor(0.05 * edges)]!,
    rowsPerToken: count.rows / tokens,
    rowsPerPass: count.rows / count.passes,
  };
}

/** Whole passes only: where they are long, part of one would be a large error. */
class Count {
  passes = 0;
  rows = 0;
  private startedMs = -1;
  private endedMs = -1;
  private readonly fromMs: number;
  private readonly toMs: number;

  constructor(fromMs: number, toMs: number) {
    this.fromMs = fromMs;
    this.toMs = toMs;
  }

  get running(): boolean {
    return this.startedMs >= 0 && !this.over;
  }

  get over(): boolean {
    return this.endedMs >= 0;
  }

  get tookMs(): number {
    return this.endedMs - this.startedMs;
  }

  passStarts(items: readonly PassItem[], nowMs: number): void {
    if (this.startedMs < 0 && nowMs >= this.fromMs) this.startedMs = nowMs;
    else if (this.running && nowMs >= this.toMs) this.endedMs = nowMs;
    if (!this.running) return;
    this.passes++;
    for (const item of items) this.rows += rowsOf(item);
  }
}
