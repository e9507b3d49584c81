import { assert } from "../util/assert.ts";
import { badLogits } from "./bad-logits.ts";
import { rowKernel } from "./whole-row.ts";

/** Above this many a sort of all that may be among them is faster than a heap. */
const MOST_HEAPED = 512;

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

/**
 * Indices of the `count` largest elements, descending, equals by rising index. A min-heap of the best so far:
 * O(V) for the common case in which few elements enter it.
 * @param row Float32Array[V]
 * @param count 1 to V
 */
export function selectTop(row: Float32Array, count: number): Int32Array {
  assert(count >= 1 && count <= row.length, `cannot select ${count} of ${row.length}`);
  if (count > MOST_HEAPED) return rowKernel().ordered(row, leastOf(row, count)).subarray(0, count);
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

/** How many elements there are of each upper half of a key. */
const upperHalves = new Uint32Array(2 ** 16);

/** A number that `count` elements at least are not below, and few more. */
function leastOf(row: Float32Array, count: number): number {
  const bits = new Uint32Array(row.buffer, row.byteOffset, row.length);
  upperHalves.fill(0);
  for (let i = 0; i < bits.length; i++) upperHalves[upperHalfOf(bits[i]!)]!++;
  let half = 0;
  for (let found = upperHalves[0]!; found < count; found += upperHalves[half]!) half++;
  const least = half < SIGN ? (SIGN - 1 - half) * 2 ** 16 : half * 2 ** 16 + 0xffff;
  const [number] = new Float32Array(Uint32Array.of(least).buffer);
  return Number.isNaN(number) ? Number.NEGATIVE_INFINITY : number!;
}

/** The sign in the upper half of a 32-bit float. */
const SIGN = 0x8000;

/** The upper half of a 32-bit float, as a whole number that falls where the float rises. */
function upperHalfOf(bits: number): number {
  const half = bits >>> 16;
  return half < SIGN ? SIGN - 1 - half : half;
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
