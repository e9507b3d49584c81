import { SettingError } from "../util/errors.ts";

/**
 * Counter-based random numbers: every draw is a function of (seed, purpose, position, lineage, index), so that
 * both sides, any schedule and any replay see the same ones. Philox4x32-10: Salmon, Moraes, Dror, Shaw,
 * "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
 */

/** 64 random bits as two unsigned 32-bit halves. */
export interface Seed {
  readonly low: number;
  readonly high: number;
}

/** What a draw is for. Draws for different purposes are independent. The numbers are part of the protocol. */
export const Purpose = { draft: 1, accept: 2, residual: 3, witness: 4, gumbel: 5 } as const;
export type Purpose = (typeof Purpose)[keyof typeof Purpose];

const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;
const ROUNDS = 10;

/** High 32 bits of the product of two unsigned 32-bit numbers. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const lowLow = aLow * bLow;
  const lowHigh = aLow * bHigh;
  const highLow = aHigh * bLow;
  const carry = (lowLow >>> 16) + (lowHigh & 0xffff) + (highLow & 0xffff);
  return (aHigh * bHigh + (lowHigh >>> 16) + (highLow >>> 16) + (carry >>> 16)) >>> 0;
}

/** One block: counter (4 words) and key (2 words) to 4 words, written to `out`. All are unsigned 32-bit. */
export function philox4x32(
  c0: number,
  c1: number,
  c2: number,
  c3: number,
  k0: number,
  k1: number,
  out: Uint32Array,
): void {
  let [x0, x1, x2, x3] = [c0 >>> 0, c1 >>> 0, c2 >>> 0, c3 >>> 0];
  let [key0, key1] = [k0 >>> 0, k1 >>> 0];
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = multiplyHigh(MULTIPLIER_0, x0);
    const low0 = Math.imul(MULTIPLIER_0, x0) >>> 0;
    const high1 = multiplyHigh(MULTIPLIER_1, x2);
    const low1 = Math.imul(MULTIPLIER_1, x2) >>> 0;
    x0 = (high1 ^ x1 ^ key0) >>> 0;
    x1 = low1;
    x2 = (high0 ^ x3 ^ key1) >>> 0;
    x3 = low0;
    key0 = (key0 + WEYL_0) >>> 0;
    key1 = (key1 + WEYL_1) >>> 0;
  }
  out[0] = x0;
  out[1] = x1;
  out[2] = x2;
  out[3] = x3;
}

const block = new Uint32Array(4);

/** A 53-bit uniform in [0, 1) from one of the two halves (0 or 1) of a block. */
function uniformFrom(words: Uint32Array, half: number): number {
  const upper = words[half * 2]! >>> 5;
  const lower = words[half * 2 + 1]! >>> 6;
  return (upper * 0x4000000 + lower) / 0x20000000000000;
}

/**
 * A uniform in [0, 1) with 53 bits.
 * @param lineage keeps the draws of an abandoned lineage apart from those that replace it: without it a token
 *   could depend on the number that had already shaped the schedule before it.
 */
export function uniform(
  seed: Seed,
  purpose: Purpose,
  position: number,
  lineage: number,
  index: number,
): number {
  philox4x32(index >>> 1, position, purpose, lineage, seed.low, seed.high, block);
  return uniformFrom(block, index & 1);
}

function gumbelFrom(u: number): number {
  // u = 0 would be -Infinity; half a step above it is as close to the truth as 53 bits can say.
  return -Math.log(-Math.log(u === 0 ? 2 ** -54 : u));
}

/** Standard Gumbel noise of a token at a position: a function of the seed alone, the same on every side. */
export function gumbel(seed: Seed, position: number, token: number): number {
  philox4x32(token >>> 1, position, Purpose.gumbel, 0, seed.low, seed.high, block);
  return gumbelFrom(uniformFrom(block, token & 1));
}

/**
 * @param value a whole number from 0 to 2^64 - 1, as a bigint, a number or decimal or 0x text
 * @throws SettingError for anything else
 * @example
 * import { toSeed } from "picospec";
 *
 * const seeds = [toSeed(7), toSeed(7n), toSeed("0x7")];
 * console.log(seeds.length);
 */
export function toSeed(value: bigint | number | string): Seed {
  let bits: bigint;
  try {
    if (typeof value === "string" && value.trim() === "") throw new Error("empty");
    bits = BigInt(value);
  } catch {
    throw new SettingError("seed", `seed must be a whole number, not "${value}"`);
  }
  if (bits < 0n || bits >= 1n << 64n) {
    throw new SettingError("seed", `seed must be from 0 to 2^64 - 1, not ${bits}`);
  }
  return { low: Number(bits & 0xffffffffn), high: Number(bits >> 32n) };
}

/**
 * The seed as decimal text: JSON numbers cannot hold 64 bits.
 * @example
 * import { seedText, toSeed } from "picospec";
 *
 * console.log(seedText(toSeed("0xffffffffffffffff")));
 */
export function seedText(seed: Seed): string {
  return ((BigInt(seed.high) << 32n) | BigInt(seed.low)).toString();
}
