import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PrefixHash } from "./prefix-hash.ts";

const HASH_MODULUS = (1n << 61n) - 1n;

/** As the protocol says it. */
function reference(key: bigint, tokens: readonly number[]): bigint {
  return tokens.reduce((h, token) => (h * key + BigInt(token) + 1n) % HASH_MODULUS, 0n);
}

function hash(key: bigint, tokens: readonly number[]): bigint {
  const made = new PrefixHash(key);
  made.pushAll(tokens);
  return made.value;
}

const keys = fc.bigInt(2n, HASH_MODULUS - 1n);
const tokens = fc.array(fc.integer({ min: 0, max: 2 ** 31 - 1 }), { maxLength: 40 });

describe("the hash of a prefix", () => {
  it("is the protocol's, for any key and tokens", () => {
    fc.assert(
      fc.property(keys, tokens, (key, sequence) => {
        expect(hash(key, sequence)).toBe(reference(key, sequence));
      }),
      { numRuns: 2000 },
    );
  });

  it("is right at the edges of its limbs", () => {
    for (const key of [
      2n,
      3n,
      (1n << 21n) - 1n,
      1n << 21n,
      1n << 42n,
      HASH_MODULUS - 2n,
      HASH_MODULUS - 1n,
    ]) {
      // The largest remainder, times the largest key; and sums that are the modulus itself.
      const long = Array.from({ length: 300 }, (_, i) => (i % 3 === 0 ? 2 ** 31 - 1 : i % 3));
      expect(hash(key, long)).toBe(reference(key, long));
    }
    expect(hash(HASH_MODULUS - 1n, [0, 0])).toBe(0n);
  });

  it("tells lengths and orders apart", () => {
    const key = 123_456_789_123_456_789n;
    const all = [[], [0], [0, 0], [1, 0], [0, 1]].map((sequence) => hash(key, sequence));
    expect(new Set(all).size).toBe(all.length);
  });
});
