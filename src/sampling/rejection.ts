import { assert } from "../util/assert.ts";
import { indexAt, sum } from "./cumulative.ts";
import type { Distribution } from "./distribution.ts";
import type { Rejection, SparseRejection, Witnesses } from "./question.ts";
import { Purpose, type Seed, uniform } from "./random.ts";

/** Past this many witnesses the whole of p is cheaper than more of them. */
const MOST_WITNESSES = 1024;

/** Result of a residual draw: the token, or what it needs to go on. */
export type ResidualStep =
  | { readonly kind: "token"; readonly token: number }
  | { readonly kind: "needWitnesses"; readonly from: number; readonly count: number }
  | { readonly kind: "needDense" };

/**
 * Draws from norm(max(0, p - q)) with q whole and p known by its K likeliest tokens, its tail mass and tokens
 * drawn from its tail ("witnesses").
 *
 * Let R = sum over the head of max(0, p - q). A turn takes the head with probability R / (R + tail) and a head
 * token in proportion to max(0, p - q); otherwise it takes the next witness t and keeps it with probability
 * max(0, 1 - q(t)/p(t)). So a turn gives token y with probability max(0, p(y) - q(y)) / (R + tail), head or
 * tail alike, and the turns are repeated until one gives a token. (Our derivation; checked by Monte-Carlo.)
 * It may pause for more witnesses and for all of p: turns are independent, so a pause changes nothing.
 */
export class ResidualDraw {
  private readonly rejection: Rejection;
  private readonly q: Distribution;
  private readonly gain: Float64Array;
  private readonly headMass: number;
  private readonly draw: () => number;
  private witnesses: Witnesses;
  private witnessesUsed = 0;
  private witnessesSeen = 0;

  /** @param q the distribution that the rejected draft was really drawn from */
  constructor(rejection: Rejection, q: Distribution, seed: Seed, position: number, lineage: number) {
    let drawn = 0;
    this.draw = () => uniform(seed, Purpose.residual, position, lineage, drawn++);
    this.rejection = rejection;
    this.q = q;
    this.witnesses =
      rejection.kind === "sparse"
        ? rejection.witnesses
        : { ids: new Int32Array(0), probabilities: new Float32Array(0) };
    this.gain = rejection.kind === "sparse" ? headGain(rejection, q) : new Float64Array(0);
    this.headMass = sum(this.gain);
  }

  /** Goes on until there is a token or the witnesses have run out. */
  next(): ResidualStep {
    if (this.rejection.kind === "dense") return this.finish(this.rejection.probabilities);
    const { ids, probabilities, tailMass } = this.rejection;
    if (this.headMass + tailMass <= 0) {
      // p = q but for rounding, so that a draw from p is a draw from either.
      return { kind: "token", token: ids[indexAt(probabilities, this.draw())]! };
    }
    for (;;) {
      // Paused between turns, never within one: a turn that had already chosen the tail could not be forgotten.
      if (tailMass > 0 && this.witnessesUsed === this.witnesses.ids.length) return this.pause();
      if (this.draw() * (this.headMass + tailMass) < this.headMass) {
        return { kind: "token", token: ids[indexAt(this.gain, this.draw())]! };
      }
      const witness = this.witnesses.ids[this.witnessesUsed]!;
      if (this.takesWitness()) return { kind: "token", token: witness };
    }
  }

  /** Goes on with witnesses that were asked for. */
  addWitnesses(witnesses: Witnesses): ResidualStep {
    assert(witnesses.ids.length > 0, "a refill brings at least one witness");
    this.witnessesSeen += this.witnesses.ids.length;
    this.witnesses = witnesses;
    this.witnessesUsed = 0;
    return this.next();
  }

  /** Ends it with all of p, Float32Array[V]. The turns that failed are forgotten: turns are independent. */
  finish(p: Float32Array): ResidualStep {
    return { kind: "token", token: denseResidual(p, this.q.dense(p.length), this.draw()) };
  }

  private pause(): ResidualStep {
    const seen = this.witnessesSeen + this.witnesses.ids.length;
    if (seen >= MOST_WITNESSES) return { kind: "needDense" };
    return { kind: "needWitnesses", from: seen, count: Math.max(16, seen) };
  }

  private takesWitness(): boolean {
    const index = this.witnessesUsed++;
    const p = this.witnesses.probabilities[index]!;
    return this.draw() * p < p - this.q.probability(this.witnesses.ids[index]!);
  }
}

function headGain(rejection: SparseRejection, q: Distribution): Float64Array {
  return Float64Array.from(rejection.ids, (id, i) =>
    Math.max(0, rejection.probabilities[i]! - q.probability(id)),
  );
}

/**
 * A draw from norm(max(0, p - q)) with both whole; from p where rounding left no difference.
 * @param p Float32Array[V]
 * @param q Float32Array[at most V]: a drafter's vocabulary may lack the target's padding
 * @param u uniform in [0, 1)
 */
export function denseResidual(p: Float32Array, q: Float32Array, u: number): number {
  assert(q.length <= p.length, "nothing is drafted past the target's vocabulary");
  const gain = new Float64Array(p.length);
  let total = 0;
  for (let id = 0; id < p.length; id++) total += gain[id] = Math.max(0, p[id]! - (q[id] ?? 0));
  return indexAt(total > 0 ? gain : p, u);
}
