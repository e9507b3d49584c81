import type { DraftProbabilities, WitnessesFrame } from "../../protocol/frame.ts";
import type { DraftSource, Proposal } from "../../sampling/propose.ts";
import type { Exchange, Rejection } from "../../sampling/question.ts";
import type { Seed } from "../../sampling/random.ts";
import { ResidualDraw, type ResidualStep } from "../../sampling/rejection.ts";
import { assert } from "../../util/assert.ts";

/** Result of a draw: the token that replaces the rejected draft, or what the cloud is asked for. */
export type ReplacementStep =
  | { readonly kind: "token"; readonly token: number }
  | {
      readonly kind: "ask";
      readonly position: number;
      readonly lineage: number;
      /** the first witness that is wanted */
      readonly from: number;
      /** 0: all of p */
      readonly count: number;
    };

/** A rejected draft, as it is judged again after a broken link. */
export interface RejectedDraft {
  readonly position: number;
  readonly lineage: number;
  readonly token: number;
  readonly source: DraftSource;
}

/** A draft that the cloud rejected, from then until another token is committed in its place. */
interface Replacement {
  readonly position: number;
  readonly lineage: number;
  readonly proposal: Proposal;
  readonly draw: ResidualDraw;
  /** the witnesses that are on their way; count 0: all of p */
  asked: { readonly from: number; readonly count: number };
}

/**
 * The paper's Rejection Sampler, for sessions under rejection coupling. It keeps q of the drafts that are not
 * committed and resamples on the edge, where q is known whole: only q(x) of a draft x goes up, and only the likeliest
 * tokens of p come down. At most one rejected draft is being replaced at a time: nothing is drafted meanwhile.
 */
export class RejectionSampler {
  private readonly seed: Seed;
  private readonly exchange: Exchange;
  /** tokens that can be drafted: the smaller of the two vocabularies */
  private readonly width: number;
  /** of the drafts that are not committed, by position */
  private readonly proposals = new Map<number, Proposal>();
  private replacement: Replacement | null = null;

  constructor(seed: Seed, exchange: Exchange, width: number) {
    this.seed = seed;
    this.exchange = exchange;
    this.width = width;
  }

  /** A rejected draft has no replacement yet: the draw waits for witnesses. */
  get replacing(): boolean {
    return this.replacement !== null;
  }

  drafted(position: number, proposal: Proposal): void {
    this.proposals.set(position, proposal);
  }

  /** The position is committed: its q is not needed any more. */
  committed(position: number): void {
    this.proposals.delete(position);
  }

  /** Drafts at `length` and past it are discarded. */
  rollback(length: number): void {
    for (const position of this.proposals.keys()) if (position >= length) this.proposals.delete(position);
  }

  /**
   * Draws what replaces the rejected draft, or says what it needs for that.
   * To be called before the rollback, which forgets q of the draft.
   */
  reject(position: number, lineage: number, rejection: Rejection): ReplacementStep {
    assert(!this.replacement, "a draft is rejected while another is being replaced");
    const proposal = this.proposals.get(position);
    assert(proposal?.distribution, `q of the rejected draft at ${position} is not known`);
    const draw = new ResidualDraw(rejection, proposal.distribution, this.seed, position, lineage);
    const replacement = { position, lineage, proposal, draw, asked: { from: 0, count: 0 } };
    return this.step(replacement, draw.next());
  }

  /** Goes on with what was asked for. @returns null where the frame is not that, and nothing has changed */
  refill({ lineage, position, from, reply }: WitnessesFrame): ReplacementStep | null {
    const { replacement } = this;
    if (!replacement) return null;
    const { asked, draw } = replacement;
    const count = reply.kind === "dense" ? 0 : reply.witnesses.ids.length;
    const fits =
      lineage === replacement.lineage &&
      position === replacement.position &&
      from === asked.from &&
      count === asked.count &&
      (reply.kind === "dense") === (asked.count === 0);
    if (!fits) return null;
    const step =
      reply.kind === "dense" ? draw.finish(reply.probabilities) : draw.addWitnesses(reply.witnesses);
    return this.step(replacement, step);
  }

  /**
   * After a broken link the rejected draft is put back, to be judged again. The rest of an interrupted draw can only be
   * had from the row that it is about, and the new session has none; the same numbers reject the same draft again. To
   * start over with a fresh draft would not be exact: that it was rejected says something about it.
   * @returns null where none is being replaced
   */
  putBack(): RejectedDraft | null {
    const { replacement } = this;
    if (!replacement) return null;
    const { position, lineage, proposal } = replacement;
    this.proposals.set(position, proposal);
    this.replacement = null;
    return { position, lineage, token: proposal.token, source: proposal.source ?? "model" };
  }

  /** The session is over. */
  clear(): void {
    this.proposals.clear();
    this.replacement = null;
  }

  /**
   * What travels with the tokens at [first, first + tokens): q of each draft, or all of q. A token that is
   * committed already, a correction, has no q: with 0 it is certain.
   */
  probabilities(first: number, tokens: number): DraftProbabilities {
    if (this.exchange !== "denseUp") {
      const values = new Float32Array(tokens);
      for (let i = 0; i < tokens; i++) values[i] = this.proposals.get(first + i)?.q ?? 0;
      return { kind: "sparse", values };
    }
    const values = new Float32Array(tokens * this.width);
    for (let i = 0; i < tokens; i++) {
      const row = this.proposals.get(first + i)?.distribution?.dense(this.width);
      if (row) values.set(row, i * this.width);
    }
    return { kind: "dense", width: this.width, values };
  }

  /**
   * q is kept of the drafts at [committed, length), and of no other position.
   * @throws AssertionError
   */
  checkIntegrity(committed: number, length: number): void {
    const { proposals, replacement } = this;
    const drafts = length - committed;
    assert(proposals.size === drafts, `${proposals.size} q are kept for ${drafts} drafts`);
    for (let i = committed; i < length; i++) assert(proposals.has(i), `q of the draft at ${i} is not known`);
    if (!replacement) return;
    assert(drafts === 0, "there are drafts past a draft that is being replaced");
    assert(replacement.position === committed, "the draft that is being replaced is not the next position");
  }

  private step(replacement: Replacement, step: ResidualStep): ReplacementStep {
    if (step.kind === "token") {
      this.replacement = null;
      return step;
    }
    const { position, lineage } = replacement;
    const asked = step.kind === "needWitnesses" ? step : { from: 0, count: 0 };
    replacement.asked = { from: asked.from, count: asked.count };
    this.replacement = replacement;
    return { kind: "ask", position, lineage, from: asked.from, count: asked.count };
  }
}
