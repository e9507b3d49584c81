import type { CloudUsage, SessionSettings, StopRule } from "../../decoding/session.ts";
import type { GrammarMatcher } from "../../grammar/grammar.ts";
import type { ProtocolError } from "../../protocol/errors.ts";
import type { Frame } from "../../protocol/frame.ts";
import type { Tenant } from "../trust/tenant.ts";
import type { Registry } from "./registry.ts";
import type { CloudEffect, CloudSession, SessionIdentity } from "./session.ts";

export type { CloudEffect, CloudSession, SessionIdentity };

/**
 * What goes into the cloud's state machine and what comes out of it.
 *
 * The contract: effects are performed in the order in which they are given, all of them before the next event. The
 * frames of a session go out in the order of its decisions, `done` and `error` last. A connection is closed after the
 * frame that says why. Effects of the engine come after the frames of the same event, so that a peer hears of a
 * decision before the next pass begins; `wake` comes last and replaces an earlier one.
 */

/** @typeParam Event of the engine, such as the end of a pass */
export type CloudEvent<Event> =
  /** null: this cloud takes everybody, and the connection is its own principal */
  | { readonly kind: "connected"; readonly connection: number; readonly tenant: Tenant | null }
  /** the keys have changed; by name */
  | { readonly kind: "tenants"; readonly tenants: ReadonlyMap<string, Tenant> }
  | { readonly kind: "frame"; readonly connection: number; readonly frame: Frame }
  /** the peer sent what is no frame */
  | { readonly kind: "garbage"; readonly connection: number; readonly error: ProtocolError }
  | { readonly kind: "disconnected"; readonly connection: number }
  | { readonly kind: "engine"; readonly event: Event }
  | { readonly kind: "wake" }
  /** no session begins any more, and what is open has so long to end */
  | { readonly kind: "drain"; readonly withinMs: number }
  | { readonly kind: "shutdown" };

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
  /** what it has taken so far */
  readonly usage: CloudUsage;
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
  forget(connection: number, nowMs: number): void;
  views(): SessionView[];
  /** @param atRest no session is open and no work is under way: then nothing may be left. @throws AssertionError */
  checkIntegrity(atRest: boolean): void;
}
