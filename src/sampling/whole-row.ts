import { assert } from "../util/assert.ts";
import { BUCKETS_PER_NAT, LAST_BUCKET, loadRowKernel, type Masses, type RowKernel } from "./row-kernel.ts";
import { expNonPositive } from "./softmax.ts";

/** Questions about all elements of a row at once. */

let kernel: RowKernel | null = null;

/** The fastest kernel that this platform has. */
export function rowKernel(): RowKernel {
  kernel ??= loadRowKernel() ?? plainRowKernel();
  return kernel;
}

/** `RowKernel` in plain JavaScript. */
export function plainRowKernel(): RowKernel {
  const buckets = new Float64Array(LAST_BUCKET + 1);
  return {
    masses: (row) => plainMasses(row, buckets),
    ordered: (row, least) => sortByValue(row, notBelow(row, least)),
  };
}

function plainMasses(row: Float32Array, buckets: Float64Array): Masses {
  const maximum = row.reduce((most, element) => (element > most ? element : most), Number.NEGATIVE_INFINITY);
  buckets.fill(0);
  const sums: [number, number] = [0, 0];
  for (let i = 0; i < row.length; i++) {
    const distance = maximum - row[i]!;
    const weight = expNonPositive(-distance);
    sums[i % 2 === 0 ? 0 : 1] += weight;
    if (weight > 0) buckets[Math.floor(distance * BUCKETS_PER_NAT)]! += weight;
  }
  return { maximum, total: sums[0] + sums[1], buckets };
}

/** Rising ids of elements that are not below `least`: what is no number is among them. */
function notBelow(row: Float32Array, least: number): Int32Array {
  const ids = new Int32Array(row.length);
  let count = 0;
  for (let id = 0; id < row.length; id++) if (!(row[id]! < least)) ids[count++] = id;
  return ids.subarray(0, count);
}

const INDEX_RANGE = 2 ** 20;
const SIGN = 0x80000000;

/**
 * Orders ids by falling element, equals by rising index: with one native sort of 64-bit keys, since a comparison
 * function would cost 100 ms for a large vocabulary. A key is the element's bits, made to sort as numbers do,
 * times 2^20, less the index: 52 bits, which a double holds.
 * @param ids indices below 2^20; reordered and given back
 */
function sortByValue(row: Float32Array, ids: Int32Array): Int32Array {
  assert(row.length <= INDEX_RANGE, `cannot order a row of ${row.length}`);
  const bits = new Uint32Array(row.buffer, row.byteOffset, row.length);
  const keys = new Float64Array(ids.length);
  for (let i = 0; i < ids.length; i++) {
    const word = bits[ids[i]!]!;
    // -0 counts as 0.
    const ascending = row[ids[i]!] === 0 ? SIGN : (word & SIGN) !== 0 ? ~word >>> 0 : word + SIGN;
    keys[i] = ascending * INDEX_RANGE + (INDEX_RANGE - 1 - ids[i]!);
  }
  keys.sort();
  for (let i = 0; i < ids.length; i++) {
    ids[i] = INDEX_RANGE - 1 - (keys[ids.length - 1 - i]! % INDEX_RANGE);
  }
  return ids;
}
