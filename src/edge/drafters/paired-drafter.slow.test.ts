import { describe, expect, it } from "vitest";
import { chiSquare, tally } from "../../../lab/models/statistics.ts";
import type { DraftModel } from "../../engine/engine.ts";
import { answer } from "../../sampling/answer.ts";
import { type Proposal, propose } from "../../sampling/propose.ts";
import type { Coupling } from "../../sampling/question.ts";
import { type Seed, toSeed, uniform } from "../../sampling/random.ts";
import { ResidualDraw } from "../../sampling/rejection.ts";
import { applySampler, inTokenSet, SamplerWorkspace, samplerSettings } from "../../sampling/sampler.ts";
import type { DraftRequest } from "./drafter.ts";
import { pairedDrafter } from "./paired-drafter.ts";
import { ParallelDrafter } from "./parallel-drafter.ts";

/** Ids that are other texts in the target are gone before anything is drawn, so that q stays what was drawn from. */

const V = 24;
/** ids that the target does not have */
const MORE = 3;
const DRAWS = 20_000;
/** False-alarm rate; seeds are fixed, so each test passes always or never. */
const ALPHA = 1e-4;
const BARRED = Int32Array.of(0, 3, 7, 8, 19);

const row = (salt: number, length: number) =>
  Float32Array.from({ length }, (_, i) => 4 * (uniform(toSeed(salt), 1, i, 0, 0) - 0.5));
const targetRow = row(1, V);
const draftRow = row(2, V + MORE);
const sampler = samplerSettings();
const noHistory = new Int32Array(0);
const workspace = new SamplerWorkspace();

const model: DraftModel = {
  info: { name: "d", vocabularySize: V + MORE, contextTokens: 100 },
  feedTokens: 8,
  feed(_, __, read, done) {
    read?.(draftRow);
    done(null);
  },
  close() {},
};

function draftOf(seed: Seed, more: Partial<DraftRequest> = {}, barred = BARRED): Proposal {
  let made: Proposal | null = null;
  pairedDrafter(new ParallelDrafter(model), barred).propose({
    ...{ owner: 1, prefix: () => Int32Array.of(1), sampler, coupling: "rejection", seed, lineage: 0 },
    vocabularySize: V,
    ...more,
    done: (_, proposal) => {
      made = proposal;
    },
  });
  return made!;
}

/** One token by separate rejection sampling. @param spoil breaks the draft */
function oneToken(seed: Seed, spoil: (draft: Proposal) => Proposal = (draft) => draft): number {
  const { token, q, distribution } = spoil(draftOf(seed));
  const base = { sampler, seed, position: 0, lineage: 0, history: noHistory } as const;
  const asked = { ...base, ask: "decide", coupling: "rejection", exchange: "denseDown", topK: 3 } as const;
  const verdict = answer(targetRow, { ...asked, draft: token, q }, workspace);
  if (verdict.kind === "accepted") return token;
  if (verdict.kind !== "rejected") throw new Error(verdict.kind);
  const step = new ResidualDraw(verdict.rejection, distribution!, seed, 0, 0).next();
  if (step.kind !== "token") throw new Error(step.kind);
  return step.token;
}

function pValue(token: (seed: Seed) => number): number {
  const expected = applySampler(targetRow, sampler, noHistory, workspace).dense(V);
  const outcomes = tally(Array.from({ length: DRAWS }, (_, i) => String(token(toSeed(i)))));
  return chiSquare(outcomes, new Map([...expected].map((p, id) => [String(id), p]))).pValue;
}

describe("a drafter for another vocabulary", () => {
  it.each(["rejection", "gumbel"] as const)("never drafts a barred id, or one of its own: %s", (coupling) => {
    const seen = new Set(Array.from({ length: 2000 }, (_, i) => draftOf(toSeed(i), { coupling }).token));
    expect([...seen].filter((id) => BARRED.includes(id) || id >= V)).toEqual([]);
    // Everything else comes up.
    expect(seen.size).toBe(V - BARRED.length);
  });

  it("control: without the bar they come up", () => {
    const none = new Int32Array(0);
    const draws = Array.from({ length: 2000 }, (_, i) => draftOf(toSeed(i), {}, none).token);
    expect(draws.some((id) => BARRED.includes(id))).toBe(true);
  });

  it("says the q that it drew from", () => {
    const { distribution } = draftOf(toSeed(1));
    const q = distribution!.dense(V);
    expect([...BARRED].map((id) => q[id])).toEqual([...BARRED].map(() => 0));
    expect(q.reduce((a, b) => a + b)).toBeCloseTo(1, 5);
    const draws = tally(Array.from({ length: DRAWS }, (_, i) => String(draftOf(toSeed(i)).token)));
    const cells = [...q].map((mass, id): [string, number] => [String(id), mass]);
    expect(chiSquare(draws, new Map(cells.filter(([, mass]) => mass > 0))).pValue).toBeGreaterThan(ALPHA);
  });

  it("takes one row for all drafts, leaves the model's as it is, and no draft's q changes by the next", () => {
    const rows: Float32Array[] = [];
    const drafter = new ParallelDrafter(model, (row, ...how) => {
      rows.push(row);
      return propose(row, ...how);
    });
    const made: Proposal[] = [];
    const before = draftRow.slice();
    for (const barred of [BARRED, Int32Array.of(1, 2)]) {
      pairedDrafter(drafter, barred).propose({
        ...{ owner: 1, prefix: () => Int32Array.of(1), sampler, coupling: "rejection", seed: toSeed(1) },
        ...{ lineage: 0, vocabularySize: V, done: (_, proposal) => made.push(proposal!) },
      });
    }
    expect(rows).toHaveLength(2);
    expect(new Set(rows.map(({ buffer }) => buffer)).size).toBe(1);
    expect(draftRow).toEqual(before);
    expect(made[0]!.distribution!.dense(V)).toEqual(draftOf(toSeed(1)).distribution!.dense(V));
    expect(made[1]!.distribution!.dense(V)[3]).toBeGreaterThan(0);
  });

  it("leaves the text the target's under rejection coupling, barred ids included", () => {
    expect(pValue((seed) => oneToken(seed))).toBeGreaterThan(ALPHA);
  });

  it("control: with the q of before the bar the text is another", () => {
    const before = applySampler(draftRow.subarray(0, V), sampler, noHistory, new SamplerWorkspace());
    const lying = ({ token }: Proposal): Proposal => ({
      token,
      q: before.probability(token),
      distribution: before,
    });
    expect(pValue((seed) => oneToken(seed, lying))).toBeLessThan(1e-12);
  });

  it.each<Coupling>(["rejection", "gumbel"])("keeps to a grammar that leaves no other id: %s", (coupling) => {
    const only = new Int32Array(1);
    for (const id of [3, 19]) only[0]! |= 1 << id;
    const drawn = (seed: number) => draftOf(toSeed(seed), { coupling, allowed: () => only });
    const draws = Array.from({ length: 500 }, (_, i) => drawn(i));
    expect(draws.every(({ token }) => inTokenSet(only, token))).toBe(true);
    expect(new Set(draws.map(({ token }) => token)).size).toBe(2);
    if (coupling === "rejection") expect(draws.every(({ q }) => q === 0.5)).toBe(true);
  });
});
