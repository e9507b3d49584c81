/**
 * The hash that offers are addressed by: h = 0, then h = (h x key + token + 1) mod (2^61 - 1) for each token. The key is
 * the engine's own, so that no one who does not know it can make two prefixes collide. Numbers are kept in limbs of 21,
 * 21 and 19 bits: their products are exact in a double, and a prompt of 100,000 tokens takes milliseconds, where BigInt
 * takes tens of them.
 */

const LIMB = 2 ** 21;
const TOP = 2 ** 19;

/** Of a sequence that grows. */
export class PrefixHash {
  private readonly k0: number;
  private readonly k1: number;
  private readonly k2: number;
  private h0 = 0;
  private h1 = 0;
  private h2 = 0;

  /** @param key 1 < key < 2^61 - 1 */
  constructor(key: bigint) {
    this.k0 = Number(key % BigInt(LIMB));
    this.k1 = Number((key / BigInt(LIMB)) % BigInt(LIMB));
    this.k2 = Number(key / BigInt(LIMB * LIMB));
  }

  push(token: number): void {
    const { k0, k1, k2, h0, h1, h2 } = this;
    // 2^63 = 4 and 2^84 = 4 x 2^21, mod 2^61 - 1. No sum is 2^45 or more.
    const c3 = h1 * k2 + h2 * k1;
    const c4 = h2 * k2;
    this.carry(
      h0 * k0 + 4 * c3 + token + 1,
      h0 * k1 + h1 * k0 + 4 * c4,
      h0 * k2 + h1 * k1 + h2 * k0, // x 2^42
    );
  }

  /** @param tokens Int32Array[n] or a list */
  pushAll(tokens: Iterable<number>): void {
    for (const token of tokens) this.push(token);
  }

  get value(): bigint {
    return BigInt(this.h2) * BigInt(LIMB * LIMB) + BigInt(this.h1 * LIMB + this.h0);
  }

  private carry(low: number, middle: number, high: number): void {
    let [r0, r1, r2] = [low, middle, high];
    for (;;) {
      r1 += Math.floor(r0 / LIMB);
      r0 %= LIMB;
      r2 += Math.floor(r1 / LIMB);
      r1 %= LIMB;
      if (r2 < TOP) break;
      // 2^61 = 1
      r0 += Math.floor(r2 / TOP);
      r2 %= TOP;
    }
    const isModulus = r0 === LIMB - 1 && r1 === LIMB - 1 && r2 === TOP - 1;
    [this.h0, this.h1, this.h2] = isModulus ? [0, 0, 0] : [r0, r1, r2];
  }
}
