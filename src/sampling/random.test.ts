import { describe, expect, it } from "vitest";
import { gumbel, Purpose, philox4x32, seedText, toSeed, uniform } from "./random.ts";

const philox = (counter: number[], key: number[]) => {
  const out = new Uint32Array(4);
  philox4x32(counter[0]!, counter[1]!, counter[2]!, counter[3]!, key[0]!, key[1]!, out);
  return [...out].map((word) => word.toString(16).padStart(8, "0")).join(" ");
};

describe("philox4x32-10", () => {
  // The known answers that the authors publish with Random123 (kat_vectors).
  it("gives the published words for zeros, ones and the digits of pi", () => {
    expect(philox([0, 0, 0, 0], [0, 0])).toBe("6627e8d5 e169c58d bc57ac4c 9b00dbd8");
    const ones = 0xffffffff;
    expect(philox([ones, ones, ones, ones], [ones, ones])).toBe("408f276d 41c83b0e a20bc7c6 6d5451fd");
    expect(philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0])).toBe(
      "d16cfe09 94fdcceb 5001e420 24126ea1",
    );
  });
});

describe("keyed draws", () => {
  const seed = toSeed(42);

  it("are the same bits wherever they are drawn (golden values, part of the protocol)", () => {
    const bits = (x: number) => (BigInt(x * 2 ** 53) & ((1n << 53n) - 1n)).toString(16);
    expect([
      bits(uniform(seed, Purpose.draft, 7, 0, 0)),
      bits(uniform(seed, Purpose.draft, 7, 0, 1)),
      bits(uniform(seed, Purpose.accept, 7, 3, 0)),
      bits(uniform(toSeed("0xffffffffffffffff"), Purpose.witness, 2 ** 31, 9, 5)),
    ]).toMatchInlineSnapshot(`
      [
        "82b67b2869892",
        "8d3399b075142",
        "945940406913",
        "590b7f6710a68",
      ]
    `);
    // Math.log is not specified to the bit, so noise is compared to 1e-12.
    const noise = [gumbel(seed, 7, 0), gumbel(seed, 7, 1), gumbel(seed, 8, 151_935)];
    const golden = [-1.0553743792126915, 3.9941949949839906, 1.7983992577137735];
    noise.forEach((g, i) => void expect(g).toBeCloseTo(golden[i]!, 12));
  });

  it("differ by purpose, position, lineage and index", () => {
    const draws = new Set<number>();
    for (const purpose of [1, 2, 3, 4] as const)
      for (const position of [0, 1])
        for (const lineage of [0, 1])
          for (const index of [0, 1, 2]) draws.add(uniform(seed, purpose, position, lineage, index));
    expect(draws.size).toBe(4 * 2 * 2 * 3);
  });

  it("are uniform and Gumbel: mean and variance within 5 standard errors over 200,000 draws", () => {
    const n = 200_000;
    let [meanU, meanG, squareG, largest] = [0, 0, 0, 0];
    for (let i = 0; i < n; i++) {
      meanU += uniform(seed, Purpose.draft, i, 0, 0) / n;
      const g = gumbel(seed, 1, i);
      meanG += g / n;
      squareG += (g * g) / n;
      largest = Math.max(largest, g);
    }
    // 53 bits end there.
    expect(largest).toBeLessThanOrEqual(-Math.log(-Math.log(1 - 2 ** -53)));
    expect(Math.abs(meanU - 0.5)).toBeLessThan(5 * Math.sqrt(1 / 12 / n));
    const variance = Math.PI ** 2 / 6;
    expect(Math.abs(meanG - 0.5772156649)).toBeLessThan(5 * Math.sqrt(variance / n));
    // The fourth central moment of a Gumbel variable is 27/5 of its squared variance.
    expect(Math.abs(squareG - meanG ** 2 - variance)).toBeLessThan(5 * variance * Math.sqrt(4.4 / n));
  });
});

describe("toSeed", () => {
  it("keeps all 64 bits and says them back", () => {
    for (const text of ["0", "1", "4294967296", "18446744073709551615"]) {
      expect(seedText(toSeed(text))).toBe(text);
    }
  });

  it("refuses what is no 64-bit number", () => {
    for (const bad of ["-1", "18446744073709551616", "1.5", "seed"]) {
      expect(() => toSeed(bad)).toThrow(/seed must be/);
    }
  });
});
