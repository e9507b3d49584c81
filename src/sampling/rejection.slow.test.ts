import { describe, expect, it } from "vitest";
import { chiSquare, tally } from "../../lab/models/statistics.ts";
import { answer } from "./answer.ts";
import { propose } from "./propose.ts";
import type { Exchange, Rejection } from "./question.ts";
import { type Seed, toSeed, uniform } from "./random.ts";
import { ResidualDraw } from "./rejection.ts";
import { applySampler, type SamplerSettings, SamplerWorkspace, samplerSettings } from "./sampler.ts";

const DRAWS = 20_000;
/** False-alarm rate of each test here; seeds are fixed, so each passes always or never. */
const ALPHA = 1e-4;

const workspace = new SamplerWorkspace();
const noHistory = new Int32Array(0);

interface Case {
  readonly p: Float32Array;
  readonly q: Float32Array;
  readonly target: SamplerSettings;
  readonly drafter: SamplerSettings;
  readonly topK: number;
  readonly exchange: Exchange;
}

/** Draft, decide, resample: one token by separate rejection sampling, with hooks to break it. */
function oneToken(
  c: Case,
  seed: Seed,
  spoil: (r: Rejection) => Rejection = (r) => r,
  giveUp = false,
): number {
  const draft = propose(c.q, c.drafter, noHistory, "rejection", seed, 0, 0);
  const base = { sampler: c.target, seed, position: 0, lineage: 0, history: noHistory } as const;
  const q = c.exchange === "denseUp" ? draft.distribution!.dense(c.q.length) : draft.q;
  const decide = {
    ...base,
    ask: "decide",
    coupling: "rejection",
    exchange: c.exchange,
    topK: c.topK,
  } as const;
  const verdict = answer(c.p, { ...decide, draft: draft.token, q }, workspace);
  if (verdict.kind === "accepted") return draft.token;
  if (verdict.kind === "token") return verdict.token;
  if (verdict.kind !== "rejected") throw new Error(verdict.kind);
  const draw = new ResidualDraw(spoil(verdict.rejection), draft.distribution!, seed, 0, 0);
  for (let step = draw.next(); ; ) {
    if (step.kind === "token") return step.token;
    if (giveUp) return draft.token;
    if (step.kind === "needDense") {
      const all = answer(c.p, { ...base, ask: "dense" }, workspace);
      if (all.kind === "dense") step = draw.finish(all.probabilities);
    } else {
      const { from, count } = step;
      const more = answer(c.p, { ...base, ask: "witnesses", topK: c.topK, from, count }, workspace);
      if (more.kind === "witnesses") step = draw.addWitnesses(more.witnesses);
    }
  }
}

function pValue(c: Case, token: (seed: Seed) => number): number {
  const expected = applySampler(c.p, c.target, noHistory, workspace).dense(c.p.length);
  const outcomes = tally(
    (function* () {
      for (let i = 0; i < DRAWS; i++) yield String(token(toSeed(i)));
    })(),
  );
  const cells = [...expected].map((p, id): [string, number] => [String(id), p]);
  return chiSquare(outcomes, new Map(cells.filter(([, p]) => p > 0))).pValue;
}

const V = 24;
const row = (salt: number, spread: number) =>
  Float32Array.from({ length: V }, (_, i) => spread * (uniform(toSeed(salt), 1, i, 0, 0) - 0.5));
const plain = samplerSettings();
const base: Case = { p: row(1, 4), q: row(2, 4), target: plain, drafter: plain, topK: 3, exchange: "sparse" };
/** Nearly all of p's tail is covered by q, so that witnesses run out again and again. */
const hardTail: Case = {
  ...base,
  p: Float32Array.from({ length: V }, (_, i) => (i === 0 ? 2 : i === V - 1 ? -1 : -0.05 * i)),
  q: Float32Array.from({ length: V }, (_, i) => (i === 0 ? 2.1 : i === V - 1 ? -7 : -0.05 * i)),
  topK: 1,
};

const cases: [string, Case][] = [
  ["plain, K of 3 in a vocabulary of 24", base],
  ["a tail that is covered by q", hardTail],
  ["K over the whole vocabulary", { ...base, topK: V }],
  ["top-k on the target, plain drafter", { ...base, target: samplerSettings({ topK: 5 }) }],
  [
    "top-p on both sides",
    { ...base, target: samplerSettings({ topP: 0.8 }), drafter: samplerSettings({ topP: 0.6 }) },
  ],
  [
    "top-n-sigma on both sides",
    { ...base, target: samplerSettings({ topNSigma: 2 }), drafter: samplerSettings({ topNSigma: 1 }) },
  ],
  ["min-p and temperature", { ...base, target: samplerSettings({ minP: 0.2, temperature: 1.7 }) }],
  ["a drafter without randomness (q = 1)", { ...base, drafter: samplerSettings({ temperature: 0 }) }],
  ["dense down", { ...base, exchange: "denseDown" }],
  ["dense up", { ...base, exchange: "denseUp" }],
];

describe("separate rejection sampling", () => {
  it.each(cases)("has the target's distribution: %s", (_, c) => {
    expect(pValue(c, (seed) => oneToken(c, seed))).toBeGreaterThan(ALPHA);
  });

  it("control: the paper's truncated residual (no tail) is caught", () => {
    const truncated = (r: Rejection): Rejection => (r.kind === "sparse" ? { ...r, tailMass: 0 } : r);
    expect(pValue(base, (seed) => oneToken(base, seed, truncated))).toBeLessThan(ALPHA);
  });

  it("control: giving up when the witnesses have run out is caught", () => {
    expect(pValue(hardTail, (seed) => oneToken(hardTail, seed, undefined, true))).toBeLessThan(ALPHA);
  });

  it("control: a residual from the wrong q is caught", () => {
    const other = { ...base, drafter: samplerSettings({ topK: 4 }) };
    const wrongQ = (seed: Seed) => {
      const draft = propose(other.q, other.drafter, noHistory, "rejection", seed, 0, 0);
      const q = applySampler(other.q, plain, noHistory, new SamplerWorkspace());
      const asked = { sampler: plain, seed, position: 0, lineage: 0, history: noHistory, topK: V } as const;
      const decide = { ...asked, ask: "decide", coupling: "rejection", exchange: "sparse" } as const;
      const verdict = answer(
        other.p,
        { ...decide, draft: draft.token, q: q.probability(draft.token) },
        workspace,
      );
      if (verdict.kind !== "rejected") return draft.token;
      const step = new ResidualDraw(verdict.rejection, q, seed, 0, 0).next();
      return step.kind === "token" ? step.token : -1;
    };
    expect(pValue(other, wrongQ)).toBeLessThan(ALPHA);
  });

  it("asks for more witnesses, then twice as many, then for all of p, and for no more than that", () => {
    const { q } = hardTail;
    const p = Float32Array.from({ length: V }, (_, i) => -0.05 * i);
    const seed = toSeed(3);
    // A drafter that covers p's tail wholly: no witness can ever be taken.
    const cover = applySampler(q, { ...plain, logitBias: [[V - 1, 20]] }, noHistory, new SamplerWorkspace());
    const common = { sampler: plain, seed, position: 0, lineage: 0, history: noHistory } as const;
    const asked = {
      ...common,
      ask: "decide",
      coupling: "rejection",
      exchange: "sparse",
      topK: V - 1,
    } as const;
    const verdict = answer(p, { ...asked, draft: V - 1, q: 1e9 }, workspace);
    if (verdict.kind !== "rejected" || verdict.rejection.kind !== "sparse") throw new Error(verdict.kind);
    // Only the last token is in the tail, and all of the head's gain is taken away.
    const { ids, probabilities } = verdict.rejection;
    const stuck = { ...verdict.rejection, ids: ids.slice(0, 0), probabilities: probabilities.slice(0, 0) };
    const draw = new ResidualDraw(stuck, cover, seed, 0, 0);
    const asks: (number | string)[] = [];
    for (let step = draw.next(); step.kind !== "token"; ) {
      asks.push(step.kind === "needWitnesses" ? step.count : step.kind);
      if (step.kind === "needDense") break;
      const { from, count } = step;
      const more = answer(p, { ...common, ask: "witnesses", topK: V - 1, from, count }, workspace);
      if (more.kind !== "witnesses") throw new Error(more.kind);
      step = draw.addWitnesses(more.witnesses);
    }
    expect(asks).toEqual([16, 17, 34, 68, 136, 272, 544, "needDense"]);
    expect(ids.length).toBe(V - 1);
  });

  it("sends exactly no tail where the sampler leaves none", () => {
    const c = { ...base, target: samplerSettings({ topK: 3 }) };
    const rejections: Rejection[] = [];
    const keep = (r: Rejection) => {
      rejections.push(r);
      return r;
    };
    for (let i = 0; i < 200; i++) oneToken(c, toSeed(i), keep);
    expect(rejections.length).toBeGreaterThan(20);
    for (const r of rejections) {
      expect(r.kind === "sparse" && r.tailMass === 0 && r.witnesses.ids.length === 0).toBe(true);
    }
  });

  it("draws from p where rounding left no difference between p and q", () => {
    const q = applySampler(base.p, plain, noHistory, new SamplerWorkspace());
    const head = q.head(V);
    const same: Rejection = {
      kind: "sparse",
      ...head,
      witnesses: { ids: new Int32Array(0), probabilities: new Float32Array(0) },
    };
    const expected = new Map([...q.dense(V)].map((p, id): [string, number] => [String(id), p]));
    const drawn = tally(
      Array.from({ length: 20_000 }, (_, i) => {
        const step = new ResidualDraw(same, q, toSeed(i), 0, 0).next();
        return step.kind === "token" ? String(step.token) : step.kind;
      }),
    );
    expect(chiSquare(drawn, expected).pValue).toBeGreaterThan(ALPHA);
  });
});

describe("Gumbel coupling", () => {
  it.each([
    ["dense", plain],
    ["top-k", samplerSettings({ topK: 5, temperature: 0.7 })],
    ["top-p", samplerSettings({ topP: 0.7 })],
  ])("samples the target's distribution: %s", (_, target) => {
    const c = { ...base, target };
    const sample = { ask: "sample", sampler: target, position: 3, lineage: 0, history: noHistory } as const;
    const token = (seed: Seed) => {
      const drawn = answer(c.p, { ...sample, seed }, workspace);
      return drawn.kind === "token" ? drawn.token : -1;
    };
    expect(pValue(c, token)).toBeGreaterThan(ALPHA);
  });

  it("accepts a draft exactly when it is the token that the target would say alone", () => {
    for (let i = 0; i < 500; i++) {
      const asked = { sampler: plain, seed: toSeed(i), position: 1, lineage: 0, history: noHistory } as const;
      const alone = answer(base.p, { ...asked, ask: "sample" }, workspace);
      const draft = i % V;
      const decide = {
        ...asked,
        ask: "decide",
        coupling: "gumbel",
        exchange: "sparse",
        topK: 3,
        q: 1,
        draft,
      } as const;
      const verdict = answer(base.p, decide, workspace);
      if (alone.kind !== "token") throw new Error(alone.kind);
      expect(verdict).toMatchObject(alone.token === draft ? { kind: "accepted" } : alone);
    }
  });

  it("gives the same winner whether noise of hopeless tokens is skipped or not", () => {
    const big = Float32Array.from({ length: 3001 }, (_, i) => 60 * (uniform(toSeed(5), 1, i, 0, 0) - 0.5));
    const p = applySampler(big, plain, noHistory, workspace);
    const all = applySampler(big, { ...plain, topK: 3000 }, noHistory, new SamplerWorkspace());
    for (let i = 0; i < 50; i++) expect(p.winner(toSeed(i), 2)).toBe(all.winner(toSeed(i), 2));
  });
});
