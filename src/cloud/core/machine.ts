import type { SessionSettings, StopReason, StopRule } from "../../decoding/session.ts";
import type { GrammarMatcher } from "../../grammar/grammar.ts";
import type { ProtocolError } from "../../protocol/errors.ts";
import type { DraftFrame, Frame, WitnessRequestFrame } from "../../protocol/frame.ts";
import type { Registry } from "./registry.ts";

/**
 * What goes into the cloud's state machine and what comes out of it.
 *
 * The contract: effects are performed in the order in which they are given, all of them before the next event. The
 * frames of a session go out in the order of its decisions, `done` and `error` last. A connection is closed after the
 * frame that says why. Effects of the engine come after the frames of the same event, so that a peer hears of a
 * decision before the next pass begins; `wake` comes last and replaces an earlier one.
 */

/** Bounds on what peers may hold open, whatever the engine. */
export interface RegistryLimits {
  readonly connections: number;
  /** open sessions, all connections together: each costs its tokens, and perhaps a held row */
  readonly sessions: number;
  readonly sessionsPerConnection: number;
  /** a session whose edge says nothing for so long is ended */
  readonly silentAfterMs: number;
  /** a connection that has not said hello by then is cut off: it holds a place */
  readonly helloWithinMs: number;
}

export interface SessionIdentity {
  /** unique on this cloud */
  readonly key: number;
  readonly connection: number;
  /** what the edge calls it */
  readonly id: number;
  /** with it the session can be resumed; null: it cannot */
  readonly secret: string | null;
  /** how often it was resumed before it came here */
  readonly epoch: number;
}

/** @typeParam Event of the engine, such as the end of a pass */
export type CloudEvent<Event> =
  | { readonly kind: "connected"; readonly connection: number }
  | { readonly kind: "frame"; readonly connection: number; readonly frame: Frame }
  /** the peer sent what is no frame */
  | { readonly kind: "garbage"; readonly connection: number; readonly error: ProtocolError }
  | { readonly kind: "disconnected"; readonly connection: number }
  | { readonly kind: "engine"; readonly event: Event }
  | { readonly kind: "wake" }
  | { readonly kind: "shutdown" };

/** @typeParam Effect on the engine, such as a pass to run */
export type CloudEffect<Effect> =
  | { readonly kind: "send"; readonly connection: number; readonly frame: Frame }
  /** after what was sent before */
  | { readonly kind: "close"; readonly connection: number }
  | { readonly kind: "engine"; readonly effect: Effect }
  /** replaces an earlier one */
  | { readonly kind: "wake"; readonly atMs: number };

/** One session, whichever way its engine verifies. A ProtocolError that it throws ends it, and nothing else. */
export interface CloudSession<Effect> {
  readonly identity: SessionIdentity;
  readonly ended: boolean;
  /** Since when something of the edge is missing; Infinity: the session waits for the cloud itself. */
  silentSinceMs(nowMs: number): number;
  /** A resumed session may have been at its end already: the edge only lacks the last word. */
  start(out: CloudEffect<Effect>[]): void;
  /** @throws ProtocolError `bad_draft` */
  draft(frame: DraftFrame, nowMs: number, out: CloudEffect<Effect>[]): void;
  /** @throws ProtocolError `bad_draft` */
  witnessRequest(frame: WitnessRequestFrame, nowMs: number, out: CloudEffect<Effect>[]): void;
  /** Ends it. `failed`: the edge is gone or is told by an error, so there is no done frame. */
  end(reason: StopReason | "failed", out: CloudEffect<Effect>[]): void;
  /** @throws AssertionError on a broken invariant */
  checkIntegrity(): void;
}

/** What carries a machine's effects to an engine and brings back its events. */
export interface Performer<Effect> {
  perform(effect: Effect): void;
  /** the engine works on something whose end will be told */
  readonly busy: boolean;
  /** @throws AssertionError */
  checkIntegrity(): void;
}

/** One kind of engine: the sessions over it, and what carries their effects to it. */
export interface EngineKind<Session extends CloudSession<Effect>, Event, Effect> {
  /** called once */
  sessions(registry: Registry<Session, Effect>): EngineSessions<Session, Event, Effect>;
  /** called once, after `sessions` */
  performer(tell: (event: Event) => void): Performer<Effect>;
}

/** What a session is opened with, checked already. */
export interface Opening<Session> {
  readonly identity: SessionIdentity;
  readonly settings: SessionSettings;
  /** the prompt, and what a resumed session had committed, Int32Array[n] */
  readonly tokens: Int32Array;
  readonly rule: StopRule;
  readonly vocabularySize: number;
  /** the newest that a resumed session had; 0 for a new one */
  readonly lineage: number;
  /** that the answer keeps to, the session's from here on; null: none */
  readonly grammar: GrammarMatcher | null;
  /** the session that this one resumes; null: none is left of it */
  readonly resumed: Session | null;
}

/** An open session as it can be looked at: by tests, and by an operator who asks what a cloud is doing. */
export interface SessionView {
  readonly identity: SessionIdentity;
  /** ended, and only waits for the engine to be done with it */
  readonly ended: boolean;
  readonly promptTokens: number;
  /** the committed tokens, prompt included, Int32Array[n]; valid until the next event */
  readonly committed: Int32Array;
  /** its KV slot; -1: none */
  readonly slot: number;
  /** tokens that the KV slot holds, from the first */
  readonly cached: number;
  /** in a pass */
  readonly busy: boolean;
}

/** All sessions over one engine, and what they share of it. */
export interface EngineSessions<Session extends CloudSession<Effect>, Event, Effect> {
  open(opening: Opening<Session>, nowMs: number): Session;
  /** Something of the engine came. */
  react(event: Event, nowMs: number, out: CloudEffect<Effect>[]): void;
  /**
   * After every event: starts what is due.
   * @returns when to look again though nothing happens, Infinity: no need; null: the end of what runs is looked at
   */
  goOn(nowMs: number, out: CloudEffect<Effect>[]): number | null;
  /** The connection is gone, and its sessions have ended. */
  forget(connection: number): void;
  views(): SessionView[];
  /** @param atRest no session is open and no work is under way: then nothing may be left. @throws AssertionError */
  checkIntegrity(atRest: boolean): void;
}
