import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { chiSquare, tally } from "../../lab/models/statistics.ts";
import { DenseDistribution, SparseDistribution } from "./distribution.ts";
import { NOISE_CHUNK, plainKernel, SHORTFALL_UNIT, shortfalls, shortfallsOf } from "./noise.ts";
import { loadNoiseKernel } from "./noise-kernel.ts";
import { gumbel, Purpose, type Seed, toSeed, uniform } from "./random.ts";

/** False-alarm rate of each test of a distribution here; seeds are fixed, so each passes always or never. */
const ALPHA = 1e-4;
const seed = toSeed("0x0123456789abcdef");
const seeds = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(toSeed);
const positions = fc.integer({ min: 0, max: 2 ** 31 });

describe("Gumbel noise", () => {
  it("is built on these bits (golden values, part of the protocol)", () => {
    const bits = (s: Seed, position: number, token: number) => {
      const u = uniform(s, Purpose.gumbel, position, 0, token);
      expect(gumbel(s, position, token)).toBe(-Math.log(-Math.log(u)));
      return (u * 2 ** 53).toString(16);
    };
    expect([
      bits(toSeed(0), 0, 0),
      bits(toSeed(42), 7, 1),
      bits(seed, 4095, 151_935),
      bits(toSeed("0xffffffffffffffff"), 2 ** 31, 2 ** 20 - 2),
    ]).toMatchInlineSnapshot(`
      [
        "197ed282a8b3f3",
        "1f6a7763a0a394",
        "61b17736e0161",
        "11f6baf9928dee",
      ]
    `);
  });

  it.each([
    ["over tokens", (i: number) => gumbel(seed, 3, i)],
    ["over positions", (i: number) => gumbel(seed, i, 3)],
    ["over seeds", (i: number) => gumbel(toSeed(i), 3, 3)],
  ])("has the Gumbel distribution %s: chi-square over 64 equal cells", (_, noise) => {
    const cells = tally(cellsOf(100_000, 64, noise));
    expect(chiSquare(cells, equalCells(64)).pValue).toBeGreaterThan(ALPHA);
  });

  it("of neighbours is independent, in one block and in two: chi-square over 8 x 8 cells", () => {
    for (const step of [1, 2]) {
      const pairs = function* () {
        const first = cellsOf(50_000, 8, (i) => gumbel(seed, 5, 4 * i));
        const second = cellsOf(50_000, 8, (i) => gumbel(seed, 5, 4 * i + step));
        for (const cell of first) yield String(Number(cell) * 8 + Number(second.next().value));
      };
      expect(chiSquare(tally(pairs()), equalCells(64)).pValue).toBeGreaterThan(ALPHA);
    }
  });

  it("control: a uniform of only 90 values under the noise is caught", () => {
    const coarse = (i: number) =>
      -Math.log(-Math.log((Math.floor(uniform(seed, 1, i, 0, 0) * 90) + 0.5) / 90));
    expect(chiSquare(tally(cellsOf(100_000, 64, coarse)), equalCells(64)).pValue).toBeLessThan(ALPHA);
  });
});

/** The cell of each draw's quantile, exp(-exp(-noise)), as text. */
function* cellsOf(draws: number, cells: number, noise: (index: number) => number): Generator<string> {
  for (let i = 0; i < draws; i++) yield String(Math.floor(Math.exp(-Math.exp(-noise(i))) * cells));
}

function equalCells(cells: number): Map<string, number> {
  return new Map(Array.from({ length: cells }, (_, i): [string, number] => [String(i), 1 / cells]));
}

describe("shortfalls", () => {
  it("bound every token's uniform by the 27 bits that they are made of", () => {
    fc.assert(
      fc.property(
        seeds,
        positions,
        fc.nat(200_000),
        fc.integer({ min: 1, max: 40 }),
        (s, position, half, n) => {
          const short = shortfalls(s, position, 2 * half, n);
          for (let i = 0; i < n; i++) {
            const u = uniform(s, Purpose.gumbel, position, 0, 2 * half + i);
            const room = 1 - u - short[i]! * SHORTFALL_UNIT;
            expect(room > 0 && room <= SHORTFALL_UNIT).toBe(true);
          }
        },
      ),
      { numRuns: 100 },
    );
  });

  it("are the same with vectors and without, of a run of tokens and of any", () => {
    const [fast, plain] = [loadNoiseKernel(), plainKernel()];
    if (!fast) throw new Error("this platform has no WebAssembly vectors: there is nothing to compare");
    const tokens = fc.array(fc.nat(2 ** 21), { minLength: NOISE_CHUNK, maxLength: NOISE_CHUNK });
    fc.assert(
      fc.property(seeds, positions, fc.nat(2 ** 20), tokens, (s, position, block, ids) => {
        for (const kernel of [fast, plain]) kernel.fill(block, NOISE_CHUNK / 2, position, s.low, s.high);
        expect(fast.shortfalls.slice(0, NOISE_CHUNK)).toEqual(plain.shortfalls);
        for (const kernel of [fast, plain]) {
          kernel.ids.set(ids);
          kernel.fillOf(NOISE_CHUNK, position, s.low, s.high);
        }
        expect(fast.shortfalls.slice(0, NOISE_CHUNK)).toEqual(plain.shortfalls);
      }),
      { numRuns: 50 },
    );
  });

  it("of any tokens are theirs in a run", () => {
    const short = shortfallsOf(seed, 3, Int32Array.of(7, 4, 4, 1023, 0)).slice(0, 5);
    const run = shortfalls(seed, 3, 0, NOISE_CHUNK);
    expect([...short]).toEqual([7, 4, 4, 1023, 0].map((token) => run[token]));
  });
});

describe("the winner", () => {
  it("is the argmax over all tokens with weight, whatever is skipped and in whatever chunks", () => {
    const sizes = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1000, max: 3100 }));
    const spreads = fc.constantFrom(0, 1, 8, 40, 100);
    fc.assert(
      fc.property(
        seeds,
        positions,
        sizes,
        spreads,
        fc.double({ min: 0, max: 0.99, noNaN: true }),
        (s, at, n, spread, zeros) => {
          const draw = (i: number, index: number) => uniform(s, Purpose.draft, i, 0, index);
          const weights = Float32Array.from({ length: n }, (_, i) =>
            i !== n >> 1 && draw(i, 0) < zeros ? 0 : Math.exp(spread * (draw(i, 1) - 1)),
          );
          let best = -1;
          let bestScore = -Infinity;
          for (let i = 0; i < n; i++) {
            const score = weights[i] === 0 ? -Infinity : Math.log(weights[i]!) + gumbel(s, at, i);
            if (score > bestScore) [best, bestScore] = [i, score];
          }
          expect(DenseDistribution.of(weights).winner(s, at)).toBe(best);
          const order = Int32Array.from(weights.keys()).sort((a, b) => weights[b]! - weights[a]!);
          const sparse = new SparseDistribution(
            order,
            Float64Array.from(order, (id) => weights[id]!),
          );
          expect(sparse.winner(s, at)).toBe(best);
        },
      ),
      { numRuns: 300 },
    );
  });
});
