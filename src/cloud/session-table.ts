import type { DecodingPolicy } from "../decoding/policy.ts";
import { rowsOf } from "../engine/engine.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { assert, unreachable } from "../util/assert.ts";
import type { CloudEffect, CloudLimits, PassOutcome, SessionEffect } from "./core/machine.ts";
import { KvCache } from "./passes/kv-cache.ts";
import type { SessionPace } from "./passes/launch-timing.ts";
import { PassCost } from "./passes/pass-cost.ts";
import { nextPass } from "./passes/scheduler.ts";
import type { CloudSession } from "./passes/session.ts";

const NOTHING = new Int32Array(0);

/** The open sessions, the KV that they share, and the one pass that is under way. */
export class SessionTable {
  private readonly limits: CloudLimits;
  private readonly byKey = new Map<number, CloudSession>();
  /** connection, then the edge's id */
  private readonly byConnection = new Map<number, Map<number, CloudSession>>();
  private readonly bySecret = new Map<string, number>();
  /** of the last session that ended on each connection: the next one starts with it */
  private readonly paces = new Map<number, SessionPace>();
  /** ended, but their tokens are still in the pass under way */
  private readonly leaving = new Map<number, CloudSession>();
  private readonly kv: KvCache;
  /** keys of the sessions in the pass under way */
  private members: readonly number[] | null = null;
  private passStartedMs = 0;
  private passRows = 0;
  private passDecodesOnly = false;
  private readonly cost = new PassCost();

  constructor(limits: CloudLimits) {
    this.limits = limits;
    this.kv = new KvCache(limits);
  }

  get size(): number {
    return this.byKey.size;
  }

  find(connection: number, id: number): CloudSession | undefined {
    return this.byConnection.get(connection)?.get(id);
  }

  withSecret(secret: string): CloudSession | undefined {
    const key = this.bySecret.get(secret);
    return key === undefined ? undefined : this.byKey.get(key);
  }

  ofConnection(connection: number): CloudSession[] {
    return [...(this.byConnection.get(connection)?.values() ?? [])];
  }

  /** What an edge's next session starts with; undefined: no session like it has ended. */
  lastPace(connection: number, policy: DecodingPolicy): SessionPace | undefined {
    const pace = this.paces.get(connection);
    return pace?.isLike(policy) ? pace : undefined;
  }

  /** The connection is gone, and its sessions have ended. */
  forget(connection: number): void {
    this.paces.delete(connection);
  }

  add(session: CloudSession): void {
    const { key, connection, id, secret } = session.identity;
    if (secret !== null) this.bySecret.set(secret, key);
    assert(!this.find(connection, id), "a session id is open once");
    this.byKey.set(key, session);
    const siblings = this.byConnection.get(connection) ?? new Map<number, CloudSession>();
    this.byConnection.set(connection, siblings.set(id, session));
  }

  /** Starts the next pass when none is under way and somebody has work; says when to look again, by `otherWakeMs` at the latest. */
  schedule(nowMs: number, otherWakeMs: number, out: CloudEffect[]): void {
    if (this.members) return;
    const { kv, limits } = this;
    const { passMs, msPerRow } = this.cost;
    const { grants, wakeAtMs } = nextPass({ sessions: this.byKey, kv, limits, passMs, msPerRow }, nowMs);
    if (grants.length > 0) {
      this.members = grants.map(({ session }) => session.identity.key);
      this.passStartedMs = nowMs;
      this.passRows = grants.reduce((sum, grant) => sum + rowsOf(grant.plan), 0);
      this.passDecodesOnly = grants.every((grant) => grant.plan.tokens.length === rowsOf(grant.plan));
      const shares = grants.map(({ session, sequence, copyFrom, plan }) => {
        const { from, tokens, questions, hold } = plan;
        return { session: session.identity.key, sequence, copyFrom, from, tokens, questions, hold };
      });
      out.push({ kind: "pass", shares });
    }
    const wake = Math.min(wakeAtMs, otherWakeMs, this.silenceAtMs(nowMs));
    if (wake < Number.POSITIVE_INFINITY) out.push({ kind: "wake", atMs: wake });
  }

  passEnded(outcomes: readonly PassOutcome[], nowMs: number, out: CloudEffect[]): void {
    const tookMs = nowMs - this.passStartedMs;
    this.cost.add(this.passRows, tookMs, this.passDecodesOnly);
    this.members = null;
    for (const { session: key, answers, held, failure } of outcomes) {
      const session = this.byKey.get(key) ?? this.leaving.get(key);
      assert(session, "a session stays known until its pass is over");
      if (this.leaving.delete(key)) this.kv.release(key, session.held());
      this.run(session, out, (effects) =>
        session.passEnded(answers, held, tookMs, this.passDecodesOnly, nowMs, effects),
      );
      if (failure !== null) this.fail(session, new ProtocolError("model_output", failure), out);
    }
  }

  passFailed(message: string, out: CloudEffect[]): void {
    const members = this.members ?? [];
    this.members = null;
    const error = new ProtocolError("internal", `the model failed: ${message}`);
    for (const key of members) {
      if (this.leaving.delete(key)) this.kv.release(key, NOTHING);
      const session = this.byKey.get(key);
      if (!session) continue;
      // Out of the pass first: a session in one would keep its sequence.
      session.passFailed();
      this.fail(session, error, out);
    }
  }

  /** Lets the session with this key act, if it still is there. */
  runKey(
    key: number,
    out: CloudEffect[],
    act: (session: CloudSession, effects: SessionEffect[]) => void,
  ): void {
    const session = this.byKey.get(key);
    if (session) this.run(session, out, (effects) => act(session, effects));
  }

  /** Lets a session act and carries its effects on; one that broke a rule is ended, and only that one. */
  run(session: CloudSession, out: CloudEffect[], act: (effects: SessionEffect[]) => void): void {
    const effects: SessionEffect[] = [];
    let failure: ProtocolError | null = null;
    try {
      act(effects);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      failure = error;
    }
    this.carry(session, effects, out);
    if (failure) this.fail(session, failure, out);
  }

  /** Ends a session and tells its edge why. */
  fail(session: CloudSession, error: ProtocolError, out: CloudEffect[]): void {
    if (session.ended) return;
    this.run(session, out, (effects) => session.end("failed", effects));
    const { connection, id } = session.identity;
    const { code, message } = error;
    out.push({ kind: "send", connection, frame: { type: "error", session: id, code, message } });
  }

  /** Ends sessions that have said nothing for too long: an edge that hangs must not hold one for ever. */
  endSilent(nowMs: number, out: CloudEffect[]): void {
    for (const session of [...this.byKey.values()]) {
      if (nowMs < session.silentSinceMs(nowMs) + this.limits.silentAfterMs) continue;
      const message = `nothing was heard for ${this.limits.silentAfterMs / 1000} s`;
      this.fail(session, new ProtocolError("slow_peer", message), out);
    }
  }

  private silenceAtMs(nowMs: number): number {
    let earliest = Number.POSITIVE_INFINITY;
    for (const session of this.byKey.values()) {
      earliest = Math.min(earliest, session.silentSinceMs(nowMs) + this.limits.silentAfterMs);
    }
    return earliest;
  }

  private carry(session: CloudSession, effects: readonly SessionEffect[], out: CloudEffect[]): void {
    const { key, connection } = session.identity;
    for (const effect of effects) {
      switch (effect.kind) {
        case "send":
          out.push({ kind: "send", connection, frame: effect.frame });
          break;
        case "ask":
          out.push({ kind: "ask", session: key, question: effect.question });
          break;
        case "releaseRow":
          out.push({ kind: "releaseRow", session: key });
          break;
        case "ended":
          this.remove(session);
          break;
        default:
          unreachable(effect);
      }
    }
  }

  private remove(session: CloudSession): void {
    const { key, connection, id, secret } = session.identity;
    this.byKey.delete(key);
    if (session.outlook.learnt) this.paces.set(connection, session.pace);
    if (secret !== null && this.bySecret.get(secret) === key) this.bySecret.delete(secret);
    const siblings = this.byConnection.get(connection);
    siblings?.delete(id);
    if (siblings?.size === 0) this.byConnection.delete(connection);
    if (session.inPass) this.leaving.set(key, session);
    else this.kv.release(key, session.held());
  }
}
