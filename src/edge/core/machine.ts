import type { CloudUsage, StopReason } from "../../decoding/session.ts";
import type {
  DoneFrame,
  ErrorFrame,
  Resumption,
  VerdictFrame,
  WitnessesFrame,
} from "../../protocol/frame.ts";
import type { Rejection, TokenLogprobs } from "../../sampling/question.ts";
import type { ResidualStep } from "../../sampling/rejection.ts";

/** What goes into the edge's state machine and what comes out of it. */

export type EdgeEvent =
  | { readonly kind: "start" }
  /** the drafter's choice; late ones (of an older version) are dropped */
  | {
      readonly kind: "drafted";
      readonly version: number;
      readonly position: number;
      /** null: there is nothing to propose here */
      readonly token: number | null;
    }
  | { readonly kind: "draftFailed"; readonly message: string }
  | { readonly kind: "frame"; readonly frame: VerdictFrame | WitnessesFrame | DoneFrame | ErrorFrame }
  | { readonly kind: "resampled"; readonly step: ResidualStep }
  | { readonly kind: "wake" }
  /** the link broke and is being made anew */
  | { readonly kind: "suspend" }
  /** there is a link again */
  | { readonly kind: "resume" }
  /** something on this side, or what the cloud said, cannot be */
  | { readonly kind: "giveUp"; readonly code: string; readonly message: string }
  | { readonly kind: "cancel" }
  | { readonly kind: "lost"; readonly code: string; readonly reason: string };

/** What is told to the cloud: a draft frame without its q, which the rejection sampler knows. */
export interface Segment {
  readonly lineage: number;
  readonly first: number;
  readonly committedThrough: number;
  readonly final: boolean;
  readonly tokens: Int32Array;
}

/** Where a decided token came from: an accepted draft, a draw from the residual here, or the target itself. */
export type TokenOrigin = "draft" | "correction" | "target";

export type Outcome =
  | { readonly kind: "done"; readonly reason: StopReason; readonly usage: CloudUsage | null }
  | { readonly kind: "failed"; readonly code: string; readonly message: string };

export type EdgeEffect =
  /** propose the token at `position`, which is after all tokens of the sequence */
  | { readonly kind: "draft"; readonly version: number; readonly position: number; readonly lineage: number }
  /** tokens at `length` and past it are void, and so is a draft that is being made or waits to be */
  | { readonly kind: "rollback"; readonly length: number; readonly discarded: Int32Array }
  /** open the session with what is committed; null: for the first time */
  | { readonly kind: "open"; readonly tokens: Int32Array; readonly resume: Resumption | null }
  /** the draft that fell stands at the end of the sequence again, to be judged once more */
  | { readonly kind: "restore"; readonly position: number }
  | { readonly kind: "send"; readonly segment: Segment }
  | {
      readonly kind: "resample";
      readonly position: number;
      readonly lineage: number;
      readonly rejection: Rejection;
    }
  | { readonly kind: "refill"; readonly reply: WitnessesFrame["reply"] }
  | {
      readonly kind: "requestWitnesses";
      readonly lineage: number;
      readonly position: number;
      readonly from: number;
      readonly count: number;
    }
  | { readonly kind: "cancel" }
  | { readonly kind: "emit"; readonly position: number; readonly token: number; readonly origin: TokenOrigin }
  /** what the target thought of a decided token; of a correction that was drawn here it comes later than the token */
  | { readonly kind: "logprobs"; readonly position: number; readonly logprobs: TokenLogprobs }
  | { readonly kind: "wake"; readonly atMs: number }
  | { readonly kind: "finished"; readonly outcome: Outcome };
