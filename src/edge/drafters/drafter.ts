import type { Proposal } from "../../sampling/propose.ts";
import type { Coupling } from "../../sampling/question.ts";
import type { Seed } from "../../sampling/random.ts";
import type { SamplerSettings, TokenSet } from "../../sampling/sampler.ts";
import type { PicoSpecError } from "../../util/errors.ts";
import type { DrafterReach } from "../core/reach.ts";

/** One draft to make. */
export interface DraftRequest {
  /** whose sequence it continues */
  readonly owner: number;
  /** the tokens before the draft, Int32Array[n]: read when its turn comes */
  readonly prefix: () => Int32Array;
  readonly sampler: SamplerSettings;
  readonly coupling: Coupling;
  readonly seed: Seed;
  readonly lineage: number;
  /** of the target: what the drafter has past it is padding */
  readonly vocabularySize: number;
  /** ids that a model must not draft: they are other texts in the target, Int32Array[n]. Default: none */
  readonly barred?: Int32Array;
  /** what a grammar allows after a prefix; null or not given: everything */
  readonly allowed?: ((prefix: Int32Array) => TokenSet | null) | null;
  /**
   * Called once, unless the draft is interrupted first.
   * @param proposal null: there is nothing to propose here, and that is no failure
   */
  readonly done: (error: PicoSpecError | null, proposal: Proposal | null) => void;
}

/** Tokens of the sequences that drafts are made for now, by owner: Int32Array[n] each, drafts included. */
export type OpenSequences = ReadonlyMap<number, Int32Array>;

/** Makes drafts for the sequences of one device: one model, prompt lookup, or both. */
export interface Drafter {
  readonly reach: DrafterReach;
  /** it always proposes something; otherwise only a cloud that goes on by itself can be drafted for */
  readonly alwaysProposes: boolean;
  /** A name for a sequence that drafts will be asked for. */
  newOwner(): number;
  /** Queues a draft; the owner has no other waiting. */
  propose(request: DraftRequest): void;
  /**
   * The sequence is void from `length` on, over where that is Infinity; a draft of it that is made or waits is no longer
   * wanted.
   */
  interrupt(owner: number, length: number): void;
  /**
   * @param open all sequences that have an owner and are not over
   * @throws AssertionError when what is kept contradicts them, or belongs to none
   */
  checkIntegrity(open: OpenSequences): void;
}
