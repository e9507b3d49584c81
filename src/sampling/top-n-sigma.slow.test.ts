import { describe, expect, it } from "vitest";
import { chiSquare, tally } from "../../lab/models/statistics.ts";
import { answer } from "./answer.ts";
import { propose } from "./propose.ts";
import { toSeed, uniform } from "./random.ts";
import { ResidualDraw } from "./rejection.ts";
import {
  applySampler,
  inTokenSet,
  type SamplerSettings,
  SamplerWorkspace,
  samplerSettings,
} from "./sampler.ts";

const V = 40;
const DRAWS = 5000;
/** False-alarm rate of each test here; seeds are fixed, so each passes always or never. */
const ALPHA = 1e-4;

const noHistory = new Int32Array(0);
const row = (salt: number) =>
  Float32Array.from({ length: V }, (_, i) => 5 * (uniform(toSeed(salt), 1, i, 0, 0) - 0.5));
/** every third token is not allowed */
const MASK = Int32Array.of(0, 0);
for (let token = 0; token < V; token++) {
  if (token % 3 !== 0) MASK[token >>> 5] = MASK[token >>> 5]! | (1 << (token & 31));
}

/** What a wrong reading of the setting would do. */
type Mistake = "none" | "after top-k" | "after temperature" | "sample deviation" | "ignored" | "masked count";

/** Probabilities by a straight reading of llama.cpp's definition: over finite logits, before everything that cuts. */
function bruteForce(
  logits: Float32Array,
  s: SamplerSettings,
  allowed: Int32Array | null = null,
  mistake: Mistake = "none",
): Map<string, number> {
  const t = s.temperature;
  let left = [...logits.entries()].filter(([id]) => allowed === null || inTokenSet(allowed, id));
  left.sort(([, a], [, b]) => b - a);
  const cut = (all: [number, number][]) => {
    const mean = all.reduce((sum, [, x]) => sum + x, 0) / all.length;
    const squares = all.reduce((sum, [, x]) => sum + (x - mean) ** 2, 0);
    const sigma = Math.sqrt(squares / (mistake === "sample deviation" ? all.length / 2 : all.length));
    const least = left[0]![1] - s.topNSigma * sigma * (mistake === "after temperature" ? t : 1);
    left = left.filter(([, x]) => x >= least);
  };
  if (mistake === "masked count") cut([...logits.entries()]);
  else if (mistake !== "ignored" && mistake !== "after top-k") cut(left);
  if (s.topK > 0) left = left.slice(0, s.topK);
  if (mistake === "after top-k") cut(left);
  if (s.topP < 1) {
    const total = left.reduce((sum, [, x]) => sum + Math.exp(x), 0);
    let running = 0;
    left = left.filter(([, x]) => {
      const taken = running < s.topP * total;
      running += Math.exp(x);
      return taken;
    });
  }
  if (s.minP > 0) left = left.filter(([, x]) => Math.exp(x - left[0]![1]) >= s.minP);
  const total = left.reduce((sum, [, x]) => sum + Math.exp(x / t), 0);
  return new Map(left.map(([id, x]) => [String(id), Math.exp(x / t) / total]));
}

const draws = (token: (i: number) => number) =>
  tally(Array.from({ length: DRAWS }, (_, i) => String(token(i))));

/** One token by draft, verification and residual, both sides with the same settings. */
function speculated(p: Float32Array, q: Float32Array, sampler: SamplerSettings, i: number): number {
  const seed = toSeed(i);
  const workspace = new SamplerWorkspace();
  const draft = propose(q, sampler, noHistory, "rejection", seed, 0, 0);
  const base = { sampler, seed, position: 0, lineage: 0, history: noHistory } as const;
  const decide = { ...base, ask: "decide", coupling: "rejection", exchange: "sparse", topK: V } as const;
  const verdict = answer(p, { ...decide, draft: draft.token, q: draft.q }, workspace);
  if (verdict.kind === "accepted") return draft.token;
  if (verdict.kind !== "rejected") throw new Error(verdict.kind);
  const step = new ResidualDraw(verdict.rejection, draft.distribution!, seed, 0, 0).next();
  if (step.kind !== "token") throw new Error(step.kind);
  return step.token;
}

const CASES: [string, Partial<SamplerSettings>][] = [
  ["alone", { topNSigma: 1 }],
  ["with a temperature, which comes after it", { topNSigma: 0.8, temperature: 2 }],
  ["with top-k", { topNSigma: 1.5, topK: 8 }],
  ["with top-p over what it leaves", { topNSigma: 1.2, topP: 0.7 }],
  ["with min-p", { topNSigma: 1.5, minP: 0.2 }],
  ["with all of them", { topNSigma: 1.4, topK: 20, topP: 0.9, minP: 0.1, temperature: 0.7 }],
];

describe("top-n-sigma", () => {
  it.each(CASES)("%s: draws by a number, by Gumbel noise and by speculation", (_, given) => {
    const s = samplerSettings(given);
    const p = applySampler(row(1), s, noHistory, new SamplerWorkspace());
    const expected = bruteForce(row(1), s);
    expect(expected.size).toBeLessThan(V / 2);
    const byNumber = draws((i) => p.sample(uniform(toSeed(i), 2, 0, 0, 0)));
    expect(chiSquare(byNumber, expected).pValue).toBeGreaterThan(ALPHA);
    expect(
      chiSquare(
        draws((i) => p.winner(toSeed(i), 0)),
        expected,
      ).pValue,
    ).toBeGreaterThan(ALPHA);
    const speculative = draws((i) => speculated(row(1), row(2), s, i));
    expect(chiSquare(speculative, expected).pValue).toBeGreaterThan(ALPHA);
  });

  it("under a grammar counts and keeps only what is allowed", () => {
    const s = samplerSettings({ topNSigma: 1 });
    const p = applySampler(row(1), s, noHistory, new SamplerWorkspace(), MASK);
    const seen = draws((i) => p.sample(uniform(toSeed(i), 2, 0, 0, 0)));
    expect(chiSquare(seen, bruteForce(row(1), s, MASK)).pValue).toBeGreaterThan(ALPHA);
    expect([...seen.keys()].filter((id) => !inTokenSet(MASK, Number(id)))).toEqual([]);
  });

  it("counts what a bias has moved", () => {
    const s = samplerSettings({ topNSigma: 1, logitBias: [[3, 12]] });
    const moved = row(1).with(3, row(1)[3]! + 12);
    const p = applySampler(row(1), s, noHistory, new SamplerWorkspace()).dense(V);
    const expected = bruteForce(moved, s);
    for (let id = 0; id < V; id++) expect(p[id]).toBeCloseTo(expected.get(String(id)) ?? 0, 6);
  });

  it.each<[Mistake, Partial<SamplerSettings>, Int32Array | null]>([
    ["ignored", { topNSigma: 1 }, null],
    ["sample deviation", { topNSigma: 1 }, null],
    ["after temperature", { topNSigma: 0.8, temperature: 2 }, null],
    ["after top-k", { topNSigma: 1.5, topK: 8 }, null],
    ["masked count", { topNSigma: 1 }, MASK],
  ])("control: the same test sees it %s", (mistake, given, allowed) => {
    const s = samplerSettings(given);
    const p = applySampler(row(1), s, noHistory, new SamplerWorkspace(), allowed);
    const seen = draws((i) => p.sample(uniform(toSeed(i), 2, 0, 0, 0)));
    expect(chiSquare(seen, bruteForce(row(1), s, allowed, mistake)).pValue).toBeLessThan(ALPHA);
  });

  it("is off at 0 and below: the same weights, bit by bit", () => {
    const dense = (given: Partial<SamplerSettings>) =>
      applySampler(row(1), samplerSettings(given), noHistory, new SamplerWorkspace()).dense(V);
    for (const topNSigma of [0, -0.5, -1]) {
      expect(dense({ topNSigma })).toEqual(dense({}));
      expect(dense({ topNSigma, topK: 5 })).toEqual(dense({ topK: 5 }));
    }
  });

  it("is greedy at temperature 0, and keeps all of equal logits", () => {
    const greedy = samplerSettings({ topNSigma: 2, temperature: 0 });
    const best = row(1).indexOf(Math.max(...row(1)));
    expect(applySampler(row(1), greedy, noHistory, new SamplerWorkspace()).probability(best)).toBe(1);
    const flat = new Float32Array(V).fill(0.1);
    const p = applySampler(flat, samplerSettings({ topNSigma: 1 }), noHistory, new SamplerWorkspace());
    for (let id = 0; id < V; id++) expect(p.probability(id)).toBeCloseTo(1 / V, 7);
  });

  it("of one possible token leaves that one", () => {
    const only = Int32Array.of(0, 1 << 5);
    const s = samplerSettings({ topNSigma: 1 });
    expect(applySampler(row(1), s, noHistory, new SamplerWorkspace(), only).probability(37)).toBe(1);
  });
});
