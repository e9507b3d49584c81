import { badLogits } from "./bad-logits.ts";
import { BUCKETS_PER_NAT, LAST_BUCKET, type Masses } from "./row-kernel.ts";
import { rowKernel } from "./whole-row.ts";

/**
 * The buckets of a row are added up with another exponential than the nucleus, and in another order: of any sum over some of
 * a row, both say the same but for this share of it.
 */
const UNSURE = 2e-8;

/**
 * Top-p over a whole vocabulary: the fewest tokens that hold the share p of all mass, at a tie those of the lowest ids. It is
 * defined by tokens sorted by falling logit whose `Math.exp` are added up one by one until they reach p times
 * `softmaxTotal`. Yet hardly more is sorted than is kept, and one bucket is added up: buckets of mass by distance from the
 * largest logit say in which of them the nucleus ends. Where rounding could decide, all is added up as defined.
 * @param logits Float32Array[V]
 * @param p above 0, below 1
 * @returns token ids, Int32Array[k], by falling logit, equals by rising id
 * @throws PicoSpecError `model_output` when the row holds no finite number
 */
export function nucleus(logits: Float32Array, p: number, kernel = rowKernel()): Int32Array {
  const masses = kernel.masses(logits);
  const { maximum } = masses;
  if (maximum === Number.NEGATIVE_INFINITY) throw badLogits();
  const target = p * masses.total;
  const end = endOf(masses, target);
  const sorted = kernel.ordered(logits, leastOf(maximum, end.bucket));
  const size = sizeByBuckets(logits, sorted, maximum, target, end) ?? sizeOf(logits, sorted, maximum, target);
  if (size !== null) return sorted.subarray(0, size);
  // The last few of a p near 1, which rounding puts out of reach; or a row that is damaged.
  const all = kernel.ordered(logits, Number.NEGATIVE_INFINITY);
  return all.subarray(0, sizeOf(logits, all, maximum, target) ?? all.length);
}

/** The bucket in which the target is surely reached, and the mass above it. */
interface End {
  readonly bucket: number;
  readonly above: number;
}

function endOf({ buckets }: Masses, target: number): End {
  let above = 0;
  for (let bucket = 0; bucket < LAST_BUCKET; bucket++) {
    const below = above + buckets[bucket]!;
    if (below >= target * (1 + UNSURE)) return { bucket, above };
    above = below;
  }
  return { bucket: LAST_BUCKET, above };
}

/** What no logit of these buckets is below. */
function leastOf(maximum: number, bucket: number): number {
  return bucket < LAST_BUCKET ? maximum - (bucket + 1) / BUCKETS_PER_NAT : Number.NEGATIVE_INFINITY;
}

/** How many of the sorted ids reach the target; null where rounding could decide it. */
function sizeByBuckets(
  logits: Float32Array,
  sorted: Int32Array,
  maximum: number,
  target: number,
  { bucket, above }: End,
): number | null {
  if (above >= target * (1 - UNSURE)) return null;
  let running = above;
  for (let i = startOf(logits, sorted, maximum, bucket); i < sorted.length; i++) {
    running += Math.exp(logits[sorted[i]!]! - maximum);
    if (running >= target * (1 + UNSURE)) return i + 1;
    if (running >= target * (1 - UNSURE)) return null;
  }
  return null;
}

/** Where a bucket begins among sorted ids. */
function startOf(logits: Float32Array, sorted: Int32Array, maximum: number, bucket: number): number {
  let [from, to] = [0, sorted.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (Math.floor((maximum - logits[sorted[middle]!]!) * BUCKETS_PER_NAT) < bucket) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** How many of the sorted ids reach the target as it is defined; null where all of them do not. */
function sizeOf(logits: Float32Array, sorted: Int32Array, maximum: number, target: number): number | null {
  let running = 0;
  for (let i = 0; i < sorted.length; i++) {
    running += Math.exp(logits[sorted[i]!]! - maximum);
    if (running >= target) return i + 1;
  }
  return null;
}
