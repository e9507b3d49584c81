import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { indexAt } from "./cumulative.ts";
import { SparseDistribution } from "./distribution.ts";
import { nucleus } from "./nucleus.ts";
import { Purpose, toSeed, uniform } from "./random.ts";
import { loadRowKernel, type RowKernel } from "./row-kernel.ts";
import { applySampler, type SamplerSettings, SamplerWorkspace, samplerSettings } from "./sampler.ts";
import { softmaxTotal } from "./softmax.ts";
import { plainRowKernel, rowKernel } from "./whole-row.ts";

/** Rows that are easy to get wrong: with ties, with impossible tokens, flat, steep, and with one token far ahead. */
const impossible = Number.NEGATIVE_INFINITY;
const values = fc.oneof(
  fc.constant({ name: "ties", value: fc.integer({ min: -3, max: 3 }) }),
  fc.constant({ name: "ties and impossible", value: fc.constantFrom(1, 1, 2, -0, 0, impossible) }),
  fc.constant({ name: "flat", value: fc.float({ min: 1, max: Math.fround(1.0001), noNaN: true }) }),
  fc.constant({ name: "like a model's", value: fc.double({ min: -12, max: 12, noNaN: true }) }),
  fc.constant({ name: "steep", value: fc.float({ min: -300, max: 300, noNaN: true }) }),
  fc.constant({ name: "any float", value: fc.float({ noNaN: true, noDefaultInfinity: true }) }),
);
const rows = values
  .chain(({ value }) => fc.array(value, { minLength: 1, maxLength: 1200 }))
  .map((row) => Float32Array.from(row))
  .filter((row) => row.some(Number.isFinite));
const shares = fc.oneof(
  fc.constantFrom(1e-9, 0.01, 0.25, 0.5, 0.9, 0.95, 0.999, 1 - 2 ** -53),
  fc.double({ min: 1e-6, max: 1 - 2 ** -53, noNaN: true }),
);

/** All ids by falling logit, equals by rising id. */
function sortedIds(row: Float32Array): number[] {
  return [...row.keys()].sort((a, b) => (row[a]! === row[b]! ? a - b : row[a]! < row[b]! ? 1 : -1));
}

/** Top-p by its definition: sort everything, and add up from the top. */
function plainNucleus(row: Float32Array, p: number): number[] {
  const sorted = sortedIds(row);
  const target = p * softmaxTotal(row, row[sorted[0]!]!, 1);
  return sorted.slice(0, plainSize(row, sorted, target));
}

function plainSize(row: Float32Array, sorted: readonly number[], target: number): number {
  let running = 0;
  for (const [i, id] of sorted.entries()) {
    running += Math.exp(row[id]! - row[sorted[0]!]!);
    if (running >= target) return i + 1;
  }
  return sorted.length;
}

const fast = loadRowKernel();
if (!fast) throw new Error("this platform has no WebAssembly vectors: there is nothing to compare");

describe("the nucleus", () => {
  it.each([
    ["with vectors", fast],
    ["without", plainRowKernel()],
  ])("is that of a full sort to the token, %s", (_, kernel) => {
    fc.assert(
      fc.property(rows, shares, (row, p) => {
        expect([...nucleus(row, p, kernel)]).toEqual(plainNucleus(row, p));
      }),
      { numRuns: 1000 },
    );
  });

  it("is that of a full sort where a sum just reaches the target, or just does not", () => {
    // Equal tokens and a share of whole ones of them: rounding alone decides.
    const sizes = fc.integer({ min: 1, max: 700 });
    fc.assert(
      fc.property(sizes, sizes, fc.constantFrom(0, 0.3, -7, 11), (n, k, logit) => {
        const row = new Float32Array(n + 3).fill(logit);
        row.fill(impossible, n);
        const p = Math.min(1 - 2 ** -53, ((k % n) + 1) / n);
        expect([...nucleus(row, p)]).toEqual(plainNucleus(row, p));
      }),
      { numRuns: 500 },
    );
  });

  it("has the lowest ids of equals", () => {
    expect([...nucleus(Float32Array.of(0, 5, 1, 5, 5), 0.6)]).toEqual([1, 3]);
  });

  it.each([
    [
      "equals by falling id",
      (row: Float32Array, ids: Int32Array) => ids.sort((a, b) => row[b]! - row[a]! || b - a),
    ],
    ["ids in order of the row", (_: Float32Array, ids: Int32Array) => ids.sort()],
    ["a token too few", (_: Float32Array, ids: Int32Array) => ids.subarray(0, Math.max(1, ids.length - 1))],
  ])("control: %s is caught", (_, spoil) => {
    const kernel: RowKernel = {
      masses: (row) => fast.masses(row),
      ordered: (row, least) => spoil(row, fast.ordered(row, least)),
    };
    const property = fc.property(rows, shares, (row, p) => {
      expect([...nucleus(row, p, kernel)]).toEqual(plainNucleus(row, p));
    });
    expect(fc.check(property, { numRuns: 1000 }).failed).toBe(true);
  });
});

/** A comparison of arrays number by number takes most of the time of such a test. */
const bytes = (array: Float64Array | Int32Array) =>
  Buffer.from(array.buffer, array.byteOffset, array.byteLength);

describe("the kernel with vectors", () => {
  it("has the numbers of the plain one, to the bit", () => {
    const plain = plainRowKernel();
    fc.assert(
      fc.property(rows, fc.oneof(fc.double({ noNaN: true }), fc.constant(impossible)), (row, least) => {
        const [a, b] = [fast.masses(row), plain.masses(row)];
        expect([a.maximum + 0, a.total]).toEqual([b.maximum + 0, b.total]);
        expect(a.total).toBe(softmaxTotal(row, a.maximum, 1));
        expect(bytes(a.buckets).equals(bytes(b.buckets))).toBe(true);
        expect(bytes(fast.ordered(row, least)).equals(bytes(plain.ordered(row, least)))).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  it("grows with the largest vocabulary, and a smaller row after it is not mixed up with it", () => {
    const large = Float32Array.from({ length: 2 ** 18 + 5 }, (_, id) => -((id * 7919) % 10_007) / 8);
    const small = Float32Array.of(1, 3, 2);
    const kernel = loadRowKernel()!;
    for (const row of [small, large, small]) {
      const { total, maximum } = kernel.masses(row);
      expect(total).toBe(softmaxTotal(row, maximum, 1));
      expect([...kernel.ordered(row, maximum - 1)]).toEqual(
        sortedIds(row).filter((id) => row[id]! >= maximum - 1),
      );
    }
  });
});

/** The chain's cuts and weights with a sort of everything, in the same order of operations: equal to the bit. */
function plainChain(row: Float32Array, s: SamplerSettings, allowed: (id: number) => boolean): Float32Array {
  const masked = row.map((logit, id) => (allowed(id) ? logit : impossible));
  let kept = sortedIds(masked);
  const maximum = masked[kept[0]!]!;
  if (s.topK > 0 && s.topK < row.length) {
    kept = kept.slice(0, s.topK);
    const own = kept.map((id) => Math.exp(masked[id]! - maximum)).reduce((a, b) => a + b, 0);
    if (s.topP < 1) kept = kept.slice(0, plainSize(masked, kept, s.topP * own));
  } else {
    kept = plainNucleus(masked, s.topP);
  }
  if (s.minP > 0) kept = kept.filter((id) => masked[id]! >= maximum + Math.log(s.minP));
  const weights = kept.map((id) => Math.exp((masked[id]! - maximum) * (1 / s.temperature)));
  const total = weights.reduce((a, b) => a + b, 0);
  const p = new Float32Array(row.length);
  for (const [i, id] of kept.entries()) p[id] = weights[i]! / total;
  return p;
}

describe("what top-p leaves, with everything else that cuts", () => {
  it("has the probabilities that sorting gives, to the bit", () => {
    const workspace = new SamplerWorkspace();
    const settings = fc.record({
      topP: fc.constantFrom(0.1, 0.5, 0.9, 0.95, 0.999),
      topK: fc.constantFrom(0, 0, 1, 40, 513, 900),
      minP: fc.constantFrom(0, 0.02, 0.3),
      temperature: fc.constantFrom(0.2, 1, 1.7),
    });
    fc.assert(
      fc.property(rows, settings, fc.constantFrom(1, 2, 5), (row, given, every) => {
        const allowed = (id: number) => id % every === 0;
        if (!row.some((logit, id) => allowed(id) && Number.isFinite(logit))) return;
        const mask = new Int32Array(Math.ceil(row.length / 32));
        for (let id = 0; id < row.length; id += every) mask[id >>> 5]! |= 1 << (id & 31);
        const s = samplerSettings(given);
        const p = applySampler(row, s, new Int32Array(0), workspace, every > 1 ? mask : null);
        expect(p.dense(row.length)).toEqual(plainChain(row, s, allowed));
      }),
      { numRuns: 1000 },
    );
  });
});

describe("a distribution of many tokens", () => {
  const size = 5000;
  const seed = toSeed(3);
  const ids = rowKernel().ordered(
    Float32Array.from({ length: 2 * size }, (_, i) => uniform(seed, Purpose.draft, i, 0, 0)),
    0.5,
  );
  const weights = Float64Array.from(ids, (_, i) => Math.exp(-i / 700));
  const total = weights.reduce((a, b) => a + b, 0);
  const distribution = new SparseDistribution(ids, weights);

  it("says the same of a token however often it is asked", () => {
    const places = new Map(Array.from(ids, (id, i) => [id, i]));
    for (let token = 0; token < 2 * size + 3; token++) {
      const place = places.get(token);
      const p = place === undefined ? 0 : Math.fround(weights[place]! / total);
      expect(distribution.probability(token)).toBe(p);
    }
  });

  it("draws from its tail what one draw after the other would", () => {
    const us = Array.from({ length: 40 }, (_, i) => uniform(seed, Purpose.witness, 0, 0, i));
    const head = distribution.head(64);
    const tail = weights.subarray(64);
    expect([...distribution.sampleTail(head, us)]).toEqual(us.map((u) => ids[64 + indexAt(tail, u)]));
  });
});
