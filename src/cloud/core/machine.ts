import type { ProtocolError } from "../../protocol/errors.ts";
import type { Frame } from "../../protocol/frame.ts";
import type { Answer, Question } from "../../sampling/question.ts";

/** What goes into the cloud's state machine and what comes out of it. */

/** Bounds on one pass over the target. */
export interface PassLimits {
  readonly passTokens: number;
  readonly passRows: number;
  /** prompt tokens of all sessions in one pass, so that a long prompt does not hold up the others */
  readonly prefillTokens: number;
}

export interface KvCacheLimits {
  readonly sequences: number;
  /** rows that a session may have computed before it has to make way for one that waits */
  readonly quantumRows: number;
  /** a session without work for so long makes way before its quantum is used up */
  readonly idleAfterMs: number;
}

export interface CloudLimits extends PassLimits, KvCacheLimits {
  readonly connections: number;
  /** open sessions, all connections together: each costs its tokens, and perhaps a held row */
  readonly sessions: number;
  readonly sessionsPerConnection: number;
  /** a session whose edge says nothing for so long is ended */
  readonly silentAfterMs: number;
  /** a connection that has not said hello by then is cut off: it holds a place */
  readonly helloWithinMs: number;
}

// One session

export type SessionEffect =
  | { readonly kind: "send"; readonly frame: Frame }
  /** a question about the held row; its answer comes back through `answered` */
  | { readonly kind: "ask"; readonly question: Question }
  | { readonly kind: "releaseRow" }
  /** nothing follows, but for the end of a pass that is under way */
  | { readonly kind: "ended" };

/**
 * What a session would do with a pass. `now`: somebody waits for it. `ahead`: a row that later drafts will be
 * decided by; it rides along, or has a pass of its own when that is over before the drafts come. `along`: it waits
 * for drafts and only rides along.
 */
export interface Work {
  readonly need: "none" | "along" | "ahead" | "now";
  /** tokens without rows that have to be fed first */
  readonly prefillTokens: number;
  readonly rows: number;
}

/** What a pass does for a session. */
export interface PassPlan {
  /** position of tokens[0] */
  readonly from: number;
  readonly tokens: Int32Array;
  /** one for each of the last tokens, but for the very last with `hold` */
  readonly questions: readonly Question[];
  readonly hold: boolean;
}

export interface SessionIdentity {
  /** unique on this cloud */
  readonly key: number;
  readonly connection: number;
  /** what the edge calls it */
  readonly id: number;
  /** who knows it may resume the session; null: nobody */
  readonly secret: string | null;
  /** how often it was resumed before it came here */
  readonly epoch: number;
}

// All of them

/** One session's part of a pass, for the verifier. */
export interface PassShare extends PassPlan {
  readonly session: number;
  readonly sequence: number;
  /** the sequence that has what this one begins with; null: it has that itself */
  readonly copyFrom: number | null;
}

/** What a pass came to for one session. */
export interface PassOutcome {
  readonly session: number;
  readonly answers: readonly Answer[];
  /** a row was kept for it */
  readonly held: boolean;
  /** its rows were of no use; null: they were */
  readonly failure: string | null;
}

export type CloudEvent =
  | { readonly kind: "connected"; readonly connection: number }
  | { readonly kind: "frame"; readonly connection: number; readonly frame: Frame }
  /** the peer sent what is no frame */
  | { readonly kind: "garbage"; readonly connection: number; readonly error: ProtocolError }
  | { readonly kind: "disconnected"; readonly connection: number }
  | { readonly kind: "passEnded"; readonly outcomes: readonly PassOutcome[] }
  /** the KV of every session in the pass is empty now */
  | { readonly kind: "passFailed"; readonly message: string }
  | { readonly kind: "answered"; readonly session: number; readonly answer: Answer }
  | { readonly kind: "answerFailed"; readonly session: number; readonly message: string }
  | { readonly kind: "wake" }
  | { readonly kind: "shutdown" };

export type CloudEffect =
  | { readonly kind: "send"; readonly connection: number; readonly frame: Frame }
  /** after what was sent before */
  | { readonly kind: "close"; readonly connection: number }
  | { readonly kind: "pass"; readonly shares: readonly PassShare[] }
  /** about the session's held row */
  | { readonly kind: "ask"; readonly session: number; readonly question: Question }
  | { readonly kind: "releaseRow"; readonly session: number }
  /** replaces an earlier one */
  | { readonly kind: "wake"; readonly atMs: number };
