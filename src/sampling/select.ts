import { assert } from "../util/assert.ts";
import { PicoSpecError } from "../util/errors.ts";

/** Above this many a sort of everything is faster than a heap. */
const MOST_HEAPED = 512;
const INDEX_RANGE = 2 ** 20;
const SIGN = 0x80000000;

/** Finding the largest of V numbers. Ties go to the lowest index everywhere. */

/**
 * @param row Float32Array[V]
 * @returns index of the largest element, the lowest of equals
 * @throws PicoSpecError `model_output` when no element is above -Infinity
 */
export function argmax(row: Float32Array): number {
  let best = -1;
  let bestValue = -Infinity;
  for (let i = 0; i < row.length; i++) {
    const value = row[i]!;
    if (value > bestValue) {
      bestValue = value;
      best = i;
    }
  }
  if (best < 0) {
    throw badLogits();
  }
  return best;
}

export function badLogits(): PicoSpecError {
  return new PicoSpecError("model_output", "the model gave no finite logits; its file may be damaged");
}

/**
 * Indices of the `count` largest elements, descending, equals by rising index. A min-heap of the best so far:
 * O(V) for the common case in which few elements enter it.
 * @param row Float32Array[V]
 * @param count 1 to V
 */
export function selectTop(row: Float32Array, count: number): Int32Array {
  assert(count >= 1 && count <= row.length, `cannot select ${count} of ${row.length}`);
  if (count > MOST_HEAPED) return sortByValue(row, Int32Array.from(row.keys())).subarray(0, count);
  const heap = new Int32Array(count);
  let size = 0;
  while (size < count) {
    heap[size] = size;
    size++;
  }
  for (let i = (count >> 1) - 1; i >= 0; i--) siftDown(heap, row, i);
  let threshold = row[heap[0]!]!;
  for (let i = count; i < row.length; i++) {
    // An equal element has a higher index than those in the heap, so it never displaces one.
    if (row[i]! > threshold) {
      heap[0] = i;
      siftDown(heap, row, 0);
      threshold = row[heap[0]!]!;
    }
  }
  return heap.sort((a, b) => (worse(row, b, a) ? -1 : 1));
}

/**
 * Orders ids by falling element, equals by rising index: with one native sort of 64-bit keys, since a comparison
 * function would cost 100 ms for a large vocabulary. A key is the element's bits, made to sort as numbers do,
 * times 2^20, less the index: 52 bits, which a double holds.
 * @param ids indices below 2^20; reordered and given back
 */
export function sortByValue(row: Float32Array, ids: Int32Array): Int32Array {
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

/** Whether element a ranks below element b: smaller, or equal with a higher index. */
function worse(row: Float32Array, a: number, b: number): boolean {
  const x = row[a]!;
  const y = row[b]!;
  return x < y || (x === y && a > b);
}

function siftDown(heap: Int32Array, row: Float32Array, start: number): void {
  const item = heap[start]!;
  let parent = start;
  for (;;) {
    let child = 2 * parent + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && worse(row, heap[child + 1]!, heap[child]!)) child++;
    if (!worse(row, heap[child]!, item)) break;
    heap[parent] = heap[child]!;
    parent = child;
  }
  heap[parent] = item;
}
