import type { Answer, Question } from "../../sampling/question.ts";

/** What sessions over a pass engine exchange with it: passes and questions out, their ends in. */

/** Bounds on one pass over the target. */
export interface PassLimits {
  readonly passTokens: number;
  readonly passRows: number;
  /** prompt tokens of all sessions in one pass, so that a long prompt does not hold up the others */
  readonly prefillTokens: number;
}

export interface KvCacheLimits {
  readonly kvSlots: number;
  /** rows that a session may have computed before it has to make way for one that waits */
  readonly quantumRows: number;
  /** a session without work for so long makes way before its quantum is used up */
  readonly idleAfterMs: number;
  /** the engine cannot cut a KV back: it is kept or copied as a whole, or not at all; default false */
  readonly wholeOnly?: boolean;
  /** tokens that begin the prompts of several principals, by the operator's word, Int32Array[n]; default: none */
  readonly sharedPrefix?: Int32Array;
}

/**
 * What a session would do with a pass. `now`: the text waits for it. `ahead`: a row that later drafts will be
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

/** One session's part of a pass, for the verifier. */
export interface PassShare extends PassPlan {
  readonly session: number;
  readonly slot: number;
  /** the slot that has what this one begins with; null: it has that itself */
  readonly copyFrom: number | null;
}

/** What a pass gave one session. */
export interface PassOutcome {
  readonly session: number;
  readonly answers: readonly Answer[];
  /** a row was kept for it */
  readonly held: boolean;
  /** the KV slot holds the session's tokens [0, resident) and nothing past them, or is as the pass left it */
  readonly resident: number;
  /** its rows were of no use; null: they were */
  readonly failure: string | null;
}

export type PassEvent =
  | { readonly kind: "passEnded"; readonly outcomes: readonly PassOutcome[] }
  /** the KV of every session in the pass is empty now */
  | { readonly kind: "passFailed"; readonly message: string }
  | { readonly kind: "answered"; readonly session: number; readonly answer: Answer }
  | { readonly kind: "answerFailed"; readonly session: number; readonly message: string };

export type PassEffect =
  | { readonly kind: "pass"; readonly shares: readonly PassShare[] }
  /** about the session's held row; `answered` or `answerFailed` follows */
  | { readonly kind: "ask"; readonly session: number; readonly question: Question }
  | { readonly kind: "releaseRow"; readonly session: number };
