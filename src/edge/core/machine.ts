import type { CloudUsage, StopReason } from "../../decoding/session.ts";
import type {
  CancelFrame,
  DoneFrame,
  DraftFrame,
  ErrorFrame,
  OpenFrame,
  VerdictFrame,
  WitnessesFrame,
  WitnessRequestFrame,
} from "../../protocol/frame.ts";
import type { Proposal } from "../../sampling/propose.ts";
import type { TokenLogprobs } from "../../sampling/question.ts";

/**
 * What goes into the edge's state machine and what comes out of it. Effects are performed in their order, which is part
 * of the contract. After each event come, each where there is something to do:
 *
 * 1. what the event itself brings:
 *    - `start`: send (open).
 *    - `drafted`: emit, where the edge alone commits.
 *    - a verdict: for each token, by position: rollback, where it differs from the draft there; emit; logprobs. For its
 *      rejection: rollback; then emit (the correction) or send (witnessRequest).
 *    - witnesses: emit (the correction) or send (witnessRequest).
 *    - `resume`: send (open).
 *    - `cancel`, `giveUp`, `draftFailed`, and a frame that cannot be: send (cancel).
 * 2. send (draft): all that the cloud has not been told.
 * 3. draft: at most one is under way.
 * 4. wake: replaces the one before it.
 * 5. finished, instead of 2 to 4: once in a session, and nothing follows it.
 *
 * So the drafter is interrupted before it is asked for a draft of the new lineage, and the owner hears of a token
 * before the cloud can answer to it.
 */

export type EdgeEvent =
  | { readonly kind: "start" }
  /** the drafter's choice; late ones (of an older version) are dropped */
  | {
      readonly kind: "drafted";
      readonly version: number;
      readonly position: number;
      /** null: there is nothing to propose here */
      readonly proposal: Proposal | null;
    }
  | { readonly kind: "draftFailed"; readonly message: string }
  | { readonly kind: "frame"; readonly frame: VerdictFrame | WitnessesFrame | DoneFrame | ErrorFrame }
  | { readonly kind: "wake" }
  /** the link broke and is being made anew */
  | { readonly kind: "suspend" }
  /** there is a link again */
  | { readonly kind: "resume" }
  /** something on this side, or what the cloud said, cannot be */
  | { readonly kind: "giveUp"; readonly code: string; readonly message: string }
  | { readonly kind: "cancel" }
  | { readonly kind: "lost"; readonly code: string; readonly reason: string };

/** Where a committed token came from: an accepted draft, a draw from the residual here, or the target itself. */
export type TokenOrigin = "draft" | "correction" | "target";

export type Outcome =
  | { readonly kind: "done"; readonly reason: StopReason; readonly usage: CloudUsage | null }
  | {
      readonly kind: "failed";
      readonly code: string;
      readonly message: string;
      /** another try before this many ms is in vain; default: not known */
      readonly retryAfterMs?: number | undefined;
    };

/** What a session tells the cloud. */
export type EdgeFrame = OpenFrame | DraftFrame | WitnessRequestFrame | CancelFrame;

export type EdgeEffect =
  /** tokens at `length` and past it are void, and so is a draft that is being made or waits to be */
  | { readonly kind: "rollback"; readonly length: number; readonly discarded: Int32Array }
  | { readonly kind: "emit"; readonly position: number; readonly token: number; readonly origin: TokenOrigin }
  /** what the target thought of a committed token; of a correction that was drawn here it comes later than the token */
  | { readonly kind: "logprobs"; readonly position: number; readonly logprobs: TokenLogprobs }
  | { readonly kind: "send"; readonly frame: EdgeFrame }
  /** propose the token at `position`, which is after all tokens of the sequence */
  | { readonly kind: "draft"; readonly version: number; readonly position: number; readonly lineage: number }
  | { readonly kind: "wake"; readonly atMs: number }
  | { readonly kind: "finished"; readonly outcome: Outcome };
