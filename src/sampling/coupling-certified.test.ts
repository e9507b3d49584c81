import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { certifiedWinner, type Knowledge, loudest, touchedTokens } from "./coupling.ts";
import { Purpose, type Seed, toSeed, uniform } from "./random.ts";
import { applySampler, type SamplerSettings, SamplerWorkspace, samplerSettings } from "./sampler.ts";
import { selectTop } from "./select.ts";

interface Case {
  readonly row: Float32Array;
  readonly settings: SamplerSettings;
  readonly history: Int32Array;
  readonly seed: Seed;
  readonly position: number;
  readonly topCount: number;
  readonly noiseCount: number;
}

/** A row from a seed: bell-shaped logits, or in steps so that many are equal, or some impossible. */
function rowOf(size: number, seed: number, spread: number, kind: "bell" | "steps" | "holes"): Float32Array {
  const draw = (token: number, index: number) => uniform(toSeed(seed), Purpose.draft, token, 0, index);
  return Float32Array.from({ length: size }, (_, token) => {
    const logit = spread * (draw(token, 0) + draw(token, 1) + draw(token, 2) - 1.5);
    if (kind === "steps") return Math.round(logit);
    return kind === "holes" && draw(token, 3) < 0.6 && token > 0 ? -Infinity : logit;
  });
}

const settings = fc.record({
  temperature: fc.constantFrom(0, 0.3, 0.7, 1, 1, 2),
  topNSigma: fc.constant(-1),
  topK: fc.constantFrom(0, 0, 1, 5, 40, 1000),
  topP: fc.constantFrom(1, 1, 0.95, 0.6, 0.05),
  minP: fc.constantFrom(0, 0, 0.05, 0.4, 1),
  repetitionPenalty: fc.constantFrom(1, 1, 1.3, 0.8),
  presencePenalty: fc.constantFrom(0, 0, 1.5, -1.5),
  frequencyPenalty: fc.constantFrom(0, 0.4),
  penaltyLastN: fc.constantFrom(0, 3, 64),
  logitBias: fc.oneof(
    fc.constant<[number, number][]>([]),
    fc.array(fc.tuple(fc.nat(40), fc.constantFrom(-100, -2, 0, 3, 12)), { maxLength: 4 }),
  ),
});

const cases: fc.Arbitrary<Case> = fc
  .record({
    size: fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 13, max: 400 })),
    rowSeed: fc.nat(),
    spread: fc.constantFrom(1, 5, 12, 30),
    kind: fc.constantFrom<"bell" | "steps" | "holes">("bell", "bell", "steps", "holes"),
    settings,
    history: fc.array(fc.nat(45), { maxLength: 8 }),
    seed: fc.nat().map(toSeed),
    position: fc.nat(1000),
    // Shares of the vocabulary, small ones often.
    top: fc.double({ min: 0, max: 1, noNaN: true }),
    noise: fc.double({ min: 0, max: 1, noNaN: true }),
  })
  .map(({ size, rowSeed, spread, kind, history, top, noise, ...rest }) => ({
    ...rest,
    row: rowOf(size, rowSeed, spread, kind),
    history: Int32Array.from(history),
    topCount: Math.max(1, Math.round(size * top ** 3)),
    noiseCount: Math.round(size * noise ** 3),
  }));

function someLogits(row: Float32Array, ids: Int32Array) {
  return { ids, logits: Float32Array.from(ids, (id) => row[id]!) };
}

/** What an engine would say of a row: its top, its loudest tokens and, if asked, those that bias and penalties move. */
function knowledgeOf(c: Case, withTouched = true): Knowledge {
  const { row, seed, position, topCount, noiseCount } = c;
  const loud = noiseCount > 0 ? [...loudest(seed, position, row.length, noiseCount).ids] : [];
  const touched = withTouched
    ? [...touchedTokens(c.settings, c.history)].filter((id) => id < row.length)
    : [];
  return {
    vocabularySize: row.length,
    top: someLogits(row, selectTop(row, topCount)),
    others: someLogits(row, Int32Array.from([...loud, ...touched])),
  };
}

const denseWinner = ({ row, settings, history, seed, position }: Case) =>
  applySampler(row, settings, history, new SamplerWorkspace()).winner(seed, position);

type Certify = typeof certifiedWinner;

const certificate = (c: Case, certify: Certify = certifiedWinner, knowledge = knowledgeOf(c)) =>
  certify(knowledge, c.settings, c.history, c.seed, c.position);

/** A certain winner is the dense one, for any row, settings and knowledge. */
function certainIsRight(certify: Certify, withTouched: fc.Arbitrary<boolean> = fc.boolean()) {
  return fc.property(cases, withTouched, (c, touched) => {
    const certified = certificate(c, certify, knowledgeOf(c, touched));
    return certified.kind !== "certain" || certified.token === denseWinner(c);
  });
}

const RUNS = { numRuns: 5000, seed: 7 };

describe("a certified winner", () => {
  it("is the winner of the whole row after the whole chain, whenever it is certain", () => {
    fc.assert(certainIsRight(certifiedWinner), RUNS);
  });

  it("comes once enough is known, by asking for what is said to be needed", () => {
    fc.assert(
      fc.property(cases, (c) => {
        const size = c.row.length;
        let asked = { ...c, topCount: 1, noiseCount: 0 };
        let knowledge = knowledgeOf(asked, false);
        for (let turn = 0; turn < 30; turn++) {
          const certified = certificate(c, certifiedWinner, knowledge);
          if (certified.kind === "certain") {
            expect(certified.token).toBe(denseWinner(c));
            return;
          }
          const { topCount, noiseCount } = asked;
          if (certified.need === "more top") asked = { ...asked, topCount: Math.min(size, topCount * 2) };
          if (certified.need === "more noise") {
            asked = { ...asked, noiseCount: Math.min(size, Math.max(1, noiseCount * 2)) };
          }
          knowledge = knowledgeOf(asked);
        }
        throw new Error("asked 30 times");
      }),
      { numRuns: 1000, seed: 8 },
    );
  });

  it.each<[string, Certify]>([
    [
      // Each of its errors is a token outside of the nucleus, where no noise may make it win.
      "certifies under top-p by the noise list",
      (knowledge, s, ...rest) => certifiedWinner(knowledge, { ...s, topP: 1 }, ...rest),
    ],
    ["forgets min-p", (knowledge, s, ...rest) => certifiedWinner(knowledge, { ...s, minP: 0 }, ...rest)],
    ["forgets top-k", (knowledge, s, ...rest) => certifiedWinner(knowledge, { ...s, topK: 0 }, ...rest)],
    [
      "forgets the penalties",
      (knowledge, s, _history, ...rest) => certifiedWinner(knowledge, s, new Int32Array(0), ...rest),
    ],
    [
      "takes the known tokens for all there are",
      ({ top, others }, s, history, seed, position) => {
        const ids = [...new Set([...top.ids, ...others.ids])];
        const vocabularySize = Math.max(...ids) + 1;
        const row = new Float32Array(vocabularySize).fill(-Infinity);
        for (const { ids, logits } of [top, others])
          for (const [i, id] of ids.entries()) row[id] = logits[i]!;
        const token = applySampler(row, s, history, new SamplerWorkspace()).winner(seed, position);
        return { kind: "certain", token };
      },
    ],
    [
      "takes the last of the top for twice as unlikely as it is",
      (knowledge, s, ...rest) => {
        const ids = Int32Array.from([...knowledge.top.ids, -1]);
        const logits = Float32Array.from([...knowledge.top.logits, knowledge.top.logits.at(-1)! - Math.LN2]);
        return certifiedWinner({ ...knowledge, top: { ids, logits } }, s, ...rest);
      },
    ],
  ])("control: one that %s is caught by the same property", (_, certify) => {
    expect(fc.check(certainIsRight(certify, fc.constant(true)), RUNS).failed).toBe(true);
  });
});

const ROWS = 30;
const DRAWS = 5;

/** Like a model's rows: a bell of small logits, and a few hundred likelier tokens that fall as log(rank). */
function modelLike(index: number): Float32Array {
  const row = rowOf(8192, index, 6, "bell");
  const draw = (token: number, which: number) => uniform(toSeed(index), Purpose.draft, token, 1, which);
  for (let rank = 1; rank <= 300; rank++) {
    const token = Math.floor(8192 * draw(rank, 0));
    row[token] = Math.max(row[token]!, 14 - [1.2, 2, 3][index % 3]! * Math.log(rank) + draw(rank, 1));
  }
  return row;
}

describe("from 64 of the top and 64 of the noise, in rows like a model's", () => {
  const rows = Array.from({ length: ROWS }, (_, i) => modelLike(i));
  it.each<[string, Partial<SamplerSettings>, number]>([
    ["greedy", { temperature: 0 }, 1],
    ["plain", {}, 0.98],
    ["temperature 0.7", { temperature: 0.7 }, 1],
    ["min-p 0.05", { minP: 0.05 }, 1],
    ["llama.cpp's default", { temperature: 0.8, topK: 40, topP: 0.95, minP: 0.05 }, 1],
    ["top-p 0.95", { topP: 0.95 }, 0.8],
    ["penalties", { repetitionPenalty: 1.1, presencePenalty: 0.3, temperature: 0.8 }, 0.98],
  ])("is certain often enough: %s", (_, given, least) => {
    let certain = 0;
    for (let i = 0; i < ROWS * DRAWS; i++) {
      const c: Case = {
        row: rows[i % ROWS]!,
        settings: samplerSettings(given),
        history: Int32Array.from({ length: 32 }, (_, j) => 97 * i + j),
        seed: toSeed(i),
        position: i,
        topCount: 64,
        noiseCount: 64,
      };
      const certified = certificate(c);
      if (certified.kind !== "certain") continue;
      certain++;
      expect(certified.token).toBe(denseWinner(c));
    }
    expect(certain / (ROWS * DRAWS)).toBeGreaterThanOrEqual(least);
  });
});
