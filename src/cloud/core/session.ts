import type { DecodingPolicy } from "../../decoding/policy.ts";
import type { CloudUsage, StopReason } from "../../decoding/session.ts";
import type { DraftFrame, Frame, VocabularyPart, WitnessRequestFrame } from "../../protocol/frame.ts";

/** One session, whichever way its engine verifies. A ProtocolError that it throws ends it, and nothing else. */
export interface CloudSession<Effect> {
  readonly identity: SessionIdentity;
  readonly ended: boolean;
  /** tokens that are final, prompt included */
  readonly committedTokens: number;
  /** Since when something of the edge is missing; Infinity: the session waits for the cloud itself. */
  silentSinceMs(nowMs: number): number;
  /** A resumed session may have been at its end already: the edge only lacks the last word. */
  start(nowMs: number, out: CloudEffect<Effect>[]): void;
  /** @throws ProtocolError `bad_draft` */
  draft(frame: DraftFrame, nowMs: number, out: CloudEffect<Effect>[]): void;
  /** @throws ProtocolError `bad_draft` */
  witnessRequest(frame: WitnessRequestFrame, nowMs: number, out: CloudEffect<Effect>[]): void;
  /** Ends it. `failed`: the edge is gone or is told by an error, so there is no done frame. */
  end(reason: StopReason | "failed", out: CloudEffect<Effect>[]): void;
  /** What it has taken so far. */
  report(): SessionReport;
  /** @throws AssertionError on a broken invariant */
  checkIntegrity(): void;
}

export interface SessionIdentity {
  /** unique on this cloud */
  readonly key: number;
  readonly connection: number;
  /** whose it is: nothing that another can observe may depend on its text */
  readonly principal: string;
  /** the principal goes by a key; else its name is this cloud's alone, until it ends */
  readonly isKeyed: boolean;
  /** of the principal, beside others: its share of what they share */
  readonly weight: number;
  /** what the edge calls it */
  readonly id: number;
  /** with it the session can be resumed, by the same tenant; null: it cannot */
  readonly secret: string | null;
  /** by which it is found again: the secret, of its tenant */
  readonly resumeKey: string | null;
  /** how often it was resumed before it came here */
  readonly epoch: number;
}

export interface SessionReport {
  /** why it ended; null: it goes on */
  readonly reason: StopReason | "failed" | null;
  readonly usage: CloudUsage;
}

/** A session that begins, for who observes. */
export interface SessionOpened {
  readonly identity: SessionIdentity;
  readonly policy: DecodingPolicy;
  readonly promptTokens: number;
  /** tokens that it begins with: the prompt, and what a resumed session had committed elsewhere */
  readonly tokens: number;
}

/** A session that is over, for who observes. */
export interface SessionEnded extends SessionReport {
  readonly identity: SessionIdentity;
  /** of the error that ended it; null: none did */
  readonly code: string | null;
}

/** @typeParam Effect on the engine, such as a pass to run */
export type CloudEffect<Effect> =
  | { readonly kind: "send"; readonly connection: number; readonly frame: Frame }
  /** a chunk that there is, as soon as it is made; a connection that is gone by then gets none */
  | {
      readonly kind: "vocabulary";
      readonly connection: number;
      readonly part: VocabularyPart;
      readonly chunk: number;
    }
  /** after what was sent before */
  | { readonly kind: "close"; readonly connection: number }
  | { readonly kind: "engine"; readonly effect: Effect }
  /** a drain has come to its end: no session is open. Once */
  | { readonly kind: "drained" }
  /** for who observes: a session begins, before its first frame; or is over */
  | { readonly kind: "opened"; readonly session: SessionOpened }
  | { readonly kind: "ended"; readonly session: SessionEnded }
  /** replaces an earlier one */
  | { readonly kind: "wake"; readonly atMs: number };
