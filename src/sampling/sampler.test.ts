import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  applySampler,
  DEFAULT_SAMPLER,
  type SamplerSettings,
  SamplerWorkspace,
  samplerSettings,
} from "./sampler.ts";

/**
 * The chain again, as plainly as can be, straight from llama.cpp's order: bias, penalties, top-n-sigma, top-k,
 * top-p, min-p, temperature.
 */
function reference(row: Float32Array, s: SamplerSettings, history: number[]): number[] {
  const logits = Array.from(row);
  for (const [id, bias] of s.logitBias) logits[id] = Math.fround(logits[id]! + bias);
  const recent = history.slice(Math.max(0, history.length - s.penaltyLastN));
  for (const id of new Set(recent)) {
    const count = recent.filter((x) => x === id).length;
    const l = logits[id]! <= 0 ? logits[id]! * s.repetitionPenalty : logits[id]! / s.repetitionPenalty;
    logits[id] = Math.fround(l - count * s.frequencyPenalty - s.presencePenalty);
  }
  let kept = logits.map((_, i) => i).sort((a, b) => logits[b]! - logits[a]! || a - b);
  if (s.topNSigma > 0) {
    const mean = logits.reduce((a, b) => a + b, 0) / logits.length;
    const sigma = Math.sqrt(logits.reduce((a, b) => a + (b - mean) ** 2, 0) / logits.length);
    kept = kept.filter((id) => logits[id]! >= logits[kept[0]!]! - s.topNSigma * sigma);
  }
  if (s.topK > 0) kept = kept.slice(0, s.topK);
  if (s.topP < 1) {
    const weights = kept.map((id) => Math.exp(logits[id]! - logits[kept[0]!]!));
    const total = weights.reduce((a, b) => a + b, 0);
    let running = 0;
    let end = 0;
    while (end < kept.length && running < s.topP * total) running += weights[end++]!;
    kept = kept.slice(0, end);
  }
  if (s.minP > 0) kept = kept.filter((id) => logits[id]! >= logits[kept[0]!]! + Math.log(s.minP));
  if (s.temperature === 0) kept = kept.slice(0, 1);
  const t = s.temperature || 1;
  const weights = kept.map((id) => Math.exp((logits[id]! - logits[kept[0]!]!) / t));
  const total = weights.reduce((a, b) => a + b, 0);
  const p = new Array<number>(row.length).fill(0);
  for (const [i, id] of kept.entries()) p[id] = weights[i]! / total;
  return p;
}

const settings = fc.record({
  temperature: fc.constantFrom(0, 0.3, 1, 2),
  topNSigma: fc.constantFrom(-1, 0, 0.01, 0.7, 1.5, 3),
  topK: fc.constantFrom(0, 1, 3, 10, 1000),
  topP: fc.constantFrom(1, 0.95, 0.5, 0.01),
  minP: fc.constantFrom(0, 0.05, 0.5, 1),
  repetitionPenalty: fc.constantFrom(1, 1.3, 0.8),
  presencePenalty: fc.constantFrom(0, 0.7),
  frequencyPenalty: fc.constantFrom(0, 0.4),
  penaltyLastN: fc.constantFrom(0, 3, 64),
  logitBias: fc.constantFrom<[number, number][]>(
    [],
    [
      [2, 1.5],
      [0, -100],
    ],
  ),
});

describe("applySampler", () => {
  it("equals the plain chain for any row, settings and history", () => {
    const workspace = new SamplerWorkspace();
    const rows = fc.array(fc.integer({ min: -40, max: 40 }), { minLength: 4, maxLength: 600 });
    const histories = fc.array(fc.nat(3), { maxLength: 10 });
    fc.assert(
      fc.property(rows, settings, histories, (values, s, history) => {
        // Distinct logits: at exact ties a rounding of the running sum may fall on either side of top-p.
        const row = Float32Array.from(values, (v, i) => v / 8 + i / 4096);
        const p = applySampler(row, s, Int32Array.from(history), workspace).dense(row.length);
        const expected = reference(row, s, history);
        for (let id = 0; id < row.length; id++) expect(Math.abs(p[id]! - expected[id]!)).toBeLessThan(2e-7);
      }),
      { numRuns: 500 },
    );
  });

  it("leaves the row as it was", () => {
    const row = Float32Array.of(1, 2, 3);
    applySampler(row, samplerSettings({ logitBias: [[0, 5]] }), new Int32Array(0), new SamplerWorkspace());
    expect([...row]).toEqual([1, 2, 3]);
  });

  it("is greedy at temperature 0, the lowest id at a tie", () => {
    const row = Float32Array.of(1, 7, 7);
    const p = applySampler(
      row,
      { ...DEFAULT_SAMPLER, temperature: 0 },
      new Int32Array(0),
      new SamplerWorkspace(),
    );
    expect([...p.dense(3)]).toEqual([0, 1, 0]);
  });
});

describe("samplerSettings", () => {
  it("fills in the defaults", () => {
    expect(samplerSettings({ topK: 40 })).toEqual({ ...DEFAULT_SAMPLER, topK: 40 });
  });

  it.each([
    [{ temperature: -1 }, "temperature must be 0, or from 0.0001 to 100, not -1"],
    [{ temperature: Number.NaN }, "temperature must be 0, or from 0.0001 to 100"],
    [{ topNSigma: -2 }, "topNSigma must be from -1 to 100, not -2"],
    [{ topK: 1.5 }, "topK must be a whole number, 0 or more, not 1.5"],
    [{ topP: 0 }, "topP must be above 0 and at most 1, not 0"],
    [{ minP: 2 }, "minP must be from 0 to 1, not 2"],
    [{ repetitionPenalty: 0 }, "repetitionPenalty must be from 0.01"],
    [{ presencePenalty: 11 }, "presencePenalty must be from -10 to 10"],
    [{ penaltyLastN: 1e9 }, "penaltyLastN must be a whole number from 0 to 4096"],
    [{ logitBias: [[-1, 2]] as [number, number][] }, "logitBias must be at most"],
  ])("refuses %j", (given, message) => {
    expect(() => samplerSettings(given)).toThrow(message);
  });

  it.each([
    ["topk", /^unknown sampler setting "topk"; did you mean topK\?$/],
    ["top_p", /did you mean topP\?/],
    ["temprature", /did you mean temperature\?/],
    ["repetition_penality", /did you mean repetitionPenalty\?/],
    ["maxTokens", /there are temperature, .*topK, topP, .*logitBias$/],
  ])("refuses the unknown name %s", (name, message) => {
    const act = () => samplerSettings({ temperature: 0, [name]: 1 });
    expect(act).toThrow(message);
    expect(act).toThrow(expect.objectContaining({ code: "bad_setting", setting: name }));
  });
});

describe("rows that are of no use", () => {
  const nan = new Float32Array(64).fill(Number.NaN);
  const half = Float32Array.from({ length: 64 }, (_, i) => (i < 40 ? Number.NaN : i));
  it.each([
    ["nothing finite", nan, {}],
    ["nothing finite, top-k", nan, { topK: 5 }],
    ["nothing finite, min-p", nan, { minP: 0.1 }],
    ["nothing finite, top-n-sigma", nan, { topNSigma: 1 }],
    ["infinite, top-n-sigma", Float32Array.of(1, 2, Number.POSITIVE_INFINITY), { topNSigma: 1 }],
    ["some of it, top-k", half, { topK: 30 }],
  ])("%s: a typed error, and never a wrong token", (_, row, given) => {
    const apply = () => applySampler(row, samplerSettings(given), new Int32Array(0), new SamplerWorkspace());
    expect(apply).toThrow(expect.objectContaining({ code: "model_output" }));
  });

  it("has settings that cannot make one of a good row", () => {
    const row = Float32Array.from({ length: 64 }, (_, i) => i - 32);
    const settings = samplerSettings({
      temperature: 1e-4,
      topK: 20,
      repetitionPenalty: 0.01,
      logitBias: Array.from({ length: 1024 }, (): [number, number] => [5, 1e4]),
    });
    const distribution = applySampler(row, settings, Int32Array.of(5, 6), new SamplerWorkspace());
    expect(distribution.sample(0.5)).toBe(5);
  });
});
