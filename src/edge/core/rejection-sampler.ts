import type { DraftProbabilities, WitnessesFrame } from "../../protocol/frame.ts";
import type { Proposal } from "../../sampling/propose.ts";
import type { Exchange, Rejection } from "../../sampling/question.ts";
import type { Seed } from "../../sampling/random.ts";
import { ResidualDraw, type ResidualStep } from "../../sampling/rejection.ts";
import { assert } from "../../util/assert.ts";

/**
 * Keeps q of the drafts that are not decided and resamples on the edge, where q is known whole: only q(x) of a
 * draft x goes up, and only the likeliest tokens of p come down.
 */
export class RejectionSampler {
  private readonly seed: Seed;
  private readonly exchange: Exchange;
  /** tokens that can be drafted: the smaller of the two vocabularies */
  private readonly width: number;
  private readonly proposals = new Map<number, Proposal>();
  private draw: ResidualDraw | null = null;
  /** the proposal that is being replaced, until its position is decided */
  private fallen: Proposal | null = null;

  constructor(seed: Seed, exchange: Exchange, width: number) {
    this.seed = seed;
    this.exchange = exchange;
    this.width = width;
  }

  drafted(position: number, proposal: Proposal): void {
    this.proposals.set(position, proposal);
  }

  /** The position is decided: nobody asks for its q any more. */
  decided(position: number): void {
    this.proposals.delete(position);
    this.fallen = null;
  }

  /** Drafts at `length` and past it are void. */
  rollback(length: number): void {
    for (const position of this.proposals.keys()) if (position >= length) this.proposals.delete(position);
  }

  /** Draws what stands instead of the rejected draft, or says what it needs for that. */
  resample(position: number, lineage: number, rejection: Rejection): ResidualStep {
    this.fallen = this.proposals.get(position) ?? null;
    const distribution = this.fallen?.distribution;
    assert(distribution, `q of the rejected draft at ${position} is not known`);
    this.draw = new ResidualDraw(rejection, distribution, this.seed, position, lineage);
    return this.draw.next();
  }

  /** The draft that fell is to be judged once more. */
  restore(position: number): void {
    assert(this.fallen, "no draft fell");
    this.proposals.set(position, this.fallen);
    this.draw = null;
  }

  /** Goes on with what was asked for. */
  refill(reply: WitnessesFrame["reply"]): ResidualStep {
    assert(this.draw, "a refill without a draw");
    return reply.kind === "dense"
      ? this.draw.finish(reply.probabilities)
      : this.draw.addWitnesses(reply.witnesses);
  }

  /**
   * What travels with the tokens at [first, first + tokens): q of each draft, or all of q. A token that is
   * decided already, a correction, has no q: with 0 it stands for certain.
   */
  probabilities(first: number, tokens: number): DraftProbabilities {
    if (this.exchange !== "denseUp") {
      const values = new Float32Array(tokens);
      for (let i = 0; i < tokens; i++) values[i] = this.proposals.get(first + i)?.q ?? 0;
      return { kind: "sparse", values };
    }
    const proposals = Array.from({ length: tokens }, (_, i) => this.proposals.get(first + i));
    const rows = proposals.map((proposal) => proposal?.distribution?.dense(this.width) ?? null);
    const values = new Float32Array(tokens * this.width);
    for (const [i, row] of rows.entries()) if (row) values.set(row, i * this.width);
    return { kind: "dense", width: this.width, values };
  }
}
