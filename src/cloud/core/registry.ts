import { ProtocolError } from "../../protocol/errors.ts";
import type { Frame } from "../../protocol/frame.ts";
import { assert } from "../../util/assert.ts";
import type { CloudEffect, CloudSession } from "./session.ts";

/** Longer messages are cut: they may quote what a peer sent. */
const MOST_MESSAGE_UNITS = 1000;

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

/** The open sessions of all connections: their numbers, secrets and silence. What engines know of them is not here. */
export class Registry<Session extends CloudSession<Effect>, Effect> {
  private readonly limits: RegistryLimits;
  private readonly sessions = new Map<number, Session>();
  /** connection, then the edge's id */
  private readonly byConnection = new Map<number, Map<number, Session>>();
  private readonly byResumeKey = new Map<string, Session>();
  private readonly ofPrincipals = new Map<string, number>();
  private readonly removed: (session: Session) => void;

  /** @param removed a session has ended and is listed no more */
  constructor(limits: RegistryLimits, removed: (session: Session) => void) {
    this.limits = limits;
    this.removed = removed;
  }

  get size(): number {
    return this.sessions.size;
  }

  get(key: number): Session | undefined {
    return this.sessions.get(key);
  }

  find(connection: number, id: number): Session | undefined {
    return this.byConnection.get(connection)?.get(id);
  }

  resumable(resumeKey: string): Session | undefined {
    return this.byResumeKey.get(resumeKey);
  }

  ofConnection(connection: number): Session[] {
    return [...(this.byConnection.get(connection)?.values() ?? [])];
  }

  /** How many open sessions a principal has. */
  countOf(principal: string): number {
    return this.ofPrincipals.get(principal) ?? 0;
  }

  /** Every open session. */
  all(): IterableIterator<Session> {
    return this.sessions.values();
  }

  add(session: Session): void {
    const { key, connection, id, resumeKey, principal } = session.identity;
    assert(!this.find(connection, id), "a session id is open once");
    this.sessions.set(key, session);
    this.ofPrincipals.set(principal, this.countOf(principal) + 1);
    if (resumeKey !== null) this.byResumeKey.set(resumeKey, session);
    const siblings = this.byConnection.get(connection) ?? new Map<number, Session>();
    this.byConnection.set(connection, siblings.set(id, session));
  }

  /**
   * Lets a session act. One that breaks a rule is ended, and only that one; one that has ended is forgotten.
   * @param code why it ends, where it does
   */
  run(session: Session, out: CloudEffect<Effect>[], act: () => void, code: string | null = null): void {
    try {
      act();
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.fail(session, error, out);
    }
    if (session.ended) this.remove(session, code, out);
  }

  /** Ends a session and tells its edge why. */
  fail(session: Session, error: ProtocolError, out: CloudEffect<Effect>[]): void {
    if (session.ended) return;
    session.end("failed", out);
    this.remove(session, error.code, out);
    const { connection, id } = session.identity;
    out.push({ kind: "send", connection, frame: errorFrame(id, error) });
  }

  /** Ends sessions whose edges have said nothing for too long: one that hangs must not hold a place for ever. */
  endSilent(nowMs: number, out: CloudEffect<Effect>[]): void {
    const { silentAfterMs } = this.limits;
    for (const session of [...this.sessions.values()]) {
      if (nowMs < session.silentSinceMs(nowMs) + silentAfterMs) continue;
      const message = `nothing was heard for ${silentAfterMs / 1000} s`;
      this.fail(session, new ProtocolError("slow_peer", message), out);
    }
  }

  /** When the first session will have been silent for too long; Infinity: none. */
  silenceAtMs(nowMs: number): number {
    let earliest = Number.POSITIVE_INFINITY;
    for (const session of this.sessions.values()) {
      earliest = Math.min(earliest, session.silentSinceMs(nowMs) + this.limits.silentAfterMs);
    }
    return earliest;
  }

  /** @throws AssertionError when the tables disagree or hold what has ended */
  checkIntegrity(): void {
    let siblings = 0;
    for (const [connection, sessions] of this.byConnection) {
      assert(sessions.size > 0, `connection ${connection} is kept for no session`);
      siblings += sessions.size;
    }
    assert(
      siblings === this.sessions.size,
      `${siblings} of ${this.sessions.size} sessions have a connection`,
    );
    assert(this.sessions.size <= this.limits.sessions, `${this.sessions.size} sessions are open`);
    const counted = [...this.ofPrincipals.values()].reduce((sum, count) => sum + count, 0);
    assert(counted === this.sessions.size, `${counted} of ${this.sessions.size} sessions have a principal`);
    for (const session of this.byResumeKey.values()) {
      const { key } = session.identity;
      assert(this.sessions.get(key) === session, `the secret of session ${key} outlives it`);
    }
    for (const [key, session] of this.sessions) {
      assert(!session.ended, `session ${key} has ended and is still listed`);
      const { resumeKey } = session.identity;
      const newest = resumeKey === null ? session : this.byResumeKey.get(resumeKey);
      assert(newest === session, `session ${key} goes on beside the one that resumed it`);
      session.checkIntegrity();
    }
  }

  private remove(session: Session, code: string | null, out: CloudEffect<Effect>[]): void {
    const { identity } = session;
    const { key, connection, id, resumeKey, principal } = identity;
    if (!this.sessions.delete(key)) return;
    const { reason, usage } = session.report();
    out.push({ kind: "ended", session: { identity, code, reason, usage } });
    const others = this.countOf(principal) - 1;
    if (others > 0) this.ofPrincipals.set(principal, others);
    else this.ofPrincipals.delete(principal);
    if (resumeKey !== null && this.byResumeKey.get(resumeKey) === session) this.byResumeKey.delete(resumeKey);
    const siblings = this.byConnection.get(connection);
    siblings?.delete(id);
    if (siblings?.size === 0) this.byConnection.delete(connection);
    this.removed(session);
  }
}

export function errorFrame(session: number, { code, message, retryAfterMs }: ProtocolError): Frame {
  const later = retryAfterMs === undefined ? {} : { retryAfterMs };
  return { type: "error", session, code, message: message.slice(0, MOST_MESSAGE_UNITS), ...later };
}
