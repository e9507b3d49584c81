import type { Seed } from "./random.ts";
import type { SamplerSettings, TokenSet } from "./sampler.ts";

/**
 * What the state machines ask about a row of the target, and what they get. They never see the row itself, so
 * that an engine that only has some log-probabilities can answer too.
 */

/** How drafts and target are tied together: see docs/architecture.md, "Exact sampling". */
export type Coupling = "rejection" | "gumbel";

/**
 * What travels for a rejection: `sparse` is O(K); `denseDown` sends all of p to the edge; `denseUp` sends all
 * of q with every draft, and the cloud resamples.
 */
export type Exchange = "sparse" | "denseDown" | "denseUp";

interface QuestionBase {
  readonly sampler: SamplerSettings;
  readonly seed: Seed;
  /** the position that the row predicts */
  readonly position: number;
  readonly lineage: number;
  /** the tokens before `position`, as many as the penalties look back on */
  readonly history: Int32Array;
  /** what a grammar allows at `position`; null or not given: everything */
  readonly allowed?: TokenSet | null;
  /** how many of the likeliest tokens to report with a decision; null or not given: report nothing */
  readonly logprobs?: number | null;
}

/** Is this draft accepted? */
export interface DecideQuestion extends QuestionBase {
  readonly ask: "decide";
  readonly coupling: Coupling;
  readonly exchange: Exchange;
  /** how many tokens of p go along with a sparse rejection */
  readonly topK: number;
  readonly draft: number;
  /** q(draft); the whole of q, Float32Array[V], where the exchange is denseUp; unused under Gumbel coupling */
  readonly q: number | Float32Array;
}

/** What does the target itself say here? */
export interface SampleQuestion extends QuestionBase {
  readonly ask: "sample";
}

/** More witnesses of the tail for a rejection that ran out of them: numbers [from, from + count). */
export interface WitnessQuestion extends QuestionBase {
  readonly ask: "witnesses";
  readonly topK: number;
  readonly from: number;
  readonly count: number;
}

/** All of p, for the rejection that no number of witnesses settles. */
export interface DenseQuestion extends QuestionBase {
  readonly ask: "dense";
}

export type Question = DecideQuestion | SampleQuestion | WitnessQuestion | DenseQuestion;

/** Tokens drawn from the tail of p, with their p: Int32Array[m] and Float32Array[m]. */
export interface Witnesses {
  readonly ids: Int32Array;
  readonly probabilities: Float32Array;
}

/** What the edge needs to draw from norm(max(0, p - q)), exactly. */
export interface SparseRejection {
  readonly kind: "sparse";
  /** Int32Array[k], by falling probability */
  readonly ids: Int32Array;
  /** Float32Array[k] */
  readonly probabilities: Float32Array;
  readonly tailMass: number;
  readonly witnesses: Witnesses;
}

export interface DenseRejection {
  readonly kind: "dense";
  /** all of p, Float32Array[V] */
  readonly probabilities: Float32Array;
}

export type Rejection = SparseRejection | DenseRejection;

/** What the target itself thought of a committed token: natural logarithms, before the sampler chain. */
export interface TokenLogprobs {
  readonly logprob: number;
  /** the likeliest tokens, Int32Array[n], by falling probability */
  readonly topIds: Int32Array;
  /** Float32Array[n] */
  readonly topLogprobs: Float32Array;
}

export type Answer =
  | { readonly kind: "accepted"; readonly logprobs?: TokenLogprobs | null }
  /** the target's own token: instead of a draft, or where there was none */
  | { readonly kind: "token"; readonly token: number; readonly logprobs?: TokenLogprobs | null }
  | { readonly kind: "rejected"; readonly rejection: Rejection }
  | { readonly kind: "witnesses"; readonly witnesses: Witnesses }
  | { readonly kind: "dense"; readonly probabilities: Float32Array };
