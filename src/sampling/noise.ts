import { assert } from "../util/assert.ts";
import { loadNoiseKernel, type NoiseKernel } from "./noise-kernel.ts";
import { Purpose, philox4x32, type Seed } from "./random.ts";

/** Bounds of Gumbel noise for many tokens at once, so that `gumbel` itself is asked about very few of them. */

/** Most tokens of one call to `shortfalls`: the bounds and their weights stay in the processor's first cache. */
export const NOISE_CHUNK = 1024;

/** A shortfall of 2^27 would be all of [0, 1). */
export const SHORTFALL_UNIT = 2 ** -27;

let kernel: NoiseKernel | null = null;

/**
 * How far the uniforms under the noise of tokens [from, from + NOISE_CHUNK) stay below 1: u < 1 - n / 2^27, with
 * the largest n there is. Since -log u > 1 - u, their noise is below -log(n / 2^27). O(1) a token, no logarithm.
 * @param from even
 * @param count how many are wanted, at most NOISE_CHUNK
 * @returns Int32Array[at least count], valid until the next call
 */
export function shortfalls(seed: Seed, position: number, from: number, count: number): Int32Array {
  assert(from % 2 === 0 && count > 0 && count <= NOISE_CHUNK, `no chunk of noise: ${count} from ${from}`);
  kernel ??= loadNoiseKernel() ?? plainKernel();
  kernel.fill(from >>> 1, Math.ceil(count / 8) * 4, position, seed.low, seed.high);
  return kernel.shortfalls;
}

/**
 * The same for any tokens.
 * @param ids Int32Array[1 to NOISE_CHUNK]
 * @returns Int32Array[at least ids.length], in their order, valid until the next call
 */
export function shortfallsOf(seed: Seed, position: number, ids: Int32Array): Int32Array {
  assert(ids.length > 0 && ids.length <= NOISE_CHUNK, `no chunk of noise: ${ids.length}`);
  kernel ??= loadNoiseKernel() ?? plainKernel();
  kernel.ids.set(ids);
  kernel.fillOf(Math.ceil(ids.length / 4) * 4, position, seed.low, seed.high);
  return kernel.shortfalls;
}

/** `NoiseKernel` in plain JavaScript. */
export function plainKernel(): NoiseKernel {
  const numbers = new Int32Array(NOISE_CHUNK);
  const ids = new Int32Array(NOISE_CHUNK);
  const words = new Uint32Array(4);
  const fill = (block: number, count: number, position: number, low: number, high: number) => {
    for (let i = 0; i < count; i++) {
      philox4x32(block + i, position, Purpose.gumbel, 0, low, high, words);
      numbers[2 * i] = ~words[0]! >>> 5;
      numbers[2 * i + 1] = ~words[2]! >>> 5;
    }
  };
  const fillOf = (count: number, position: number, low: number, high: number) => {
    for (let i = 0; i < count; i++) {
      philox4x32(ids[i]! >>> 1, position, Purpose.gumbel, 0, low, high, words);
      numbers[i] = ~words[2 * (ids[i]! & 1)]! >>> 5;
    }
  };
  return { fill, fillOf, shortfalls: numbers, ids };
}
