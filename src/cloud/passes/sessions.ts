import { rowsOf } from "../../engine/engine.ts";
import { ProtocolError } from "../../protocol/errors.ts";
import { assert, unreachable } from "../../util/assert.ts";
import type { CloudEffect, EngineSessions, Opening, SessionView } from "../core/machine.ts";
import type { Registry } from "../core/registry.ts";
import { FairShares } from "../trust/fair-shares.ts";
import { KvCache } from "./kv-cache.ts";
import type { LaunchTiming } from "./launch-timing.ts";
import type {
  KvCacheLimits,
  PassEffect,
  PassEvent,
  PassLimits,
  PassOutcome,
  PassPlan,
  PassShare,
  Work,
} from "./machine.ts";
import { PassCost } from "./pass-cost.ts";
import { type Grant, launches, nextPass, type PassDecision, type SessionRecord } from "./scheduler.ts";
import { MOST_CERTAIN_TOKENS, PassSession } from "./session.ts";

const NOTHING = new Int32Array(0);

/** The pass that is under way. */
interface RunningPass {
  /** keys of the sessions in it */
  readonly members: readonly number[];
  readonly startedMs: number;
  readonly rows: number;
  /** of prompts, fed without a row; 0: it decodes only */
  readonly promptTokens: number;
}

type Effects = CloudEffect<PassEffect>[];

/** The sessions over a pass engine: the KV that they share, the one pass that is under way, and what passes cost. */
export class PassSessions implements EngineSessions<PassSession, PassEvent, PassEffect> {
  private readonly registry: Registry<PassSession, PassEffect>;
  private readonly limits: PassLimits & KvCacheLimits;
  private readonly sessions = new Map<number, PassSession>();
  /** ended, but their tokens are still in the pass under way */
  private readonly leaving = new Map<number, PassSession>();
  /** of the last session that ended on each connection: the next one starts with it */
  private readonly timings = new Map<number, LaunchTiming>();
  private readonly kv: KvCache;
  private readonly cost = new PassCost();
  /** of the target's time, by principal */
  private readonly shares = new FairShares();
  private running: RunningPass | null = null;

  constructor(registry: Registry<PassSession, PassEffect>, limits: PassLimits & KvCacheLimits) {
    this.registry = registry;
    this.limits = limits;
    this.kv = new KvCache(limits.kvSlots);
  }

  open(opening: Opening<PassSession>, nowMs: number): PassSession {
    const { identity, settings, resumed } = opening;
    const last = this.timings.get(identity.connection);
    const before = resumed?.timing ?? (last?.isLike(settings.policy) ? last : undefined);
    const session = new PassSession(opening, nowMs, before, this.limits.wholeOnly);
    this.sessions.set(identity.key, session);
    this.shares.enter(identity.principal, identity.weight);
    return session;
  }

  forget(connection: number, nowMs: number): void {
    // What ended with the connection would come back as its last.
    this.dropEnded(nowMs);
    this.timings.delete(connection);
  }

  react(event: PassEvent, nowMs: number, out: Effects): void {
    switch (event.kind) {
      case "passEnded":
        this.passEnded(event.outcomes, nowMs, out);
        break;
      case "passFailed":
        this.passFailed(event.message, nowMs, out);
        break;
      case "answered": {
        const session = this.registry.get(event.session);
        if (session) this.registry.run(session, out, () => session.answered(event.answer, nowMs, out));
        break;
      }
      case "answerFailed": {
        const session = this.registry.get(event.session);
        if (session) this.registry.fail(session, new ProtocolError("model_output", event.message), out);
        break;
      }
      default:
        unreachable(event);
    }
  }

  /** Starts the next pass when none is under way and there is work for one. */
  goOn(nowMs: number, out: Effects): number | null {
    this.dropEnded(nowMs);
    if (this.running) return null;
    const { passMs, msPerRow } = this.cost;
    const working: PassSession[] = [];
    const works: Work[] = [];
    let wakeAtMs = Number.POSITIVE_INFINITY;
    let due = false;
    for (const session of this.sessions.values()) {
      const work = session.work(nowMs);
      wakeAtMs = Math.min(wakeAtMs, session.wakeAtMs(nowMs));
      if (work.need === "none") continue;
      working.push(session);
      works.push(work);
      due ||= launches(work.need, session.timing.outlook.gapMs, passMs);
    }
    if (!due) return wakeAtMs;
    const sessions = working.map((session, i) =>
      session.record(works[i]!, this.kv.slotOf(session.identity.key), nowMs),
    );
    const { baseMs, msPerPromptToken, isStale, byRowsMs } = this.cost;
    const decision = nextPass(
      {
        sessions,
        slots: this.slots(sessions, nowMs),
        limits: this.limits,
        shares: this.shares.shares(nowMs),
        cost: { baseMs, msPerRow, msPerPromptToken, isStale, byRowsMs },
      },
      nowMs,
    );
    const planned = this.carryOut(decision, msPerRow, nowMs, out);
    // Sessions whose grammars failed have ended: others may have waited for them.
    if (!planned) return this.goOn(nowMs, out);
    return Math.min(wakeAtMs, decision.slotFreeAtMs);
  }

  /** How many sessions believe that a row is held for them. */
  get heldRows(): number {
    let rows = 0;
    for (const session of this.sessions.values()) if (session.holdsRow) rows++;
    return rows;
  }

  views(): SessionView[] {
    const all = [...this.sessions.values(), ...this.leaving.values()];
    return all.map((session) => session.view(this.kv.slotOf(session.identity.key)));
  }

  checkIntegrity(atRest: boolean): void {
    const { running, leaving, sessions, kv } = this;
    this.shares.checkIntegrity(atRest);
    kv.checkIntegrity((key) => sessions.has(key) || leaving.has(key));
    const inPass = [...sessions, ...leaving].filter(([, session]) => session.inPass).map(([key]) => key);
    const members = new Set(running?.members ?? []);
    assert(inPass.length === members.size, `${inPass.length} of ${members.size} sessions know of their pass`);
    for (const key of inPass) assert(members.has(key), `session ${key} is in no pass`);
    for (const [key, session] of sessions) {
      const slotless = kv.slotOf(key) < 0;
      assert(!slotless || session.held().length === 0, `session ${key} has KV and no slot`);
      assert(this.registry.get(key) === session || session.ended, `session ${key} is not registered`);
    }
    if (!atRest) return;
    const left = { sessions: sessions.size, leaving: leaving.size, timings: this.timings.size };
    const nothing = Object.values(left).every((count) => count === 0);
    assert(nothing && !running, `a cloud at rest is left with ${JSON.stringify(left)}`);
  }

  private slots(sessions: readonly SessionRecord[], nowMs: number) {
    if (!sessions.some(({ slot, need }) => slot < 0 && need === "now")) return [];
    return this.kv.records((key) => {
      const session = this.sessions.get(key);
      assert(session, `slot of session ${key}, which is gone`);
      return { idleSinceMs: session.idleSinceMs(nowMs), held: session.held() };
    });
  }

  /** @returns false where no session of the pass could be planned */
  private carryOut(
    { acquisitions, grants }: PassDecision,
    msPerRow: number,
    nowMs: number,
    out: Effects,
  ): boolean {
    for (const acquisition of acquisitions) {
      const { session, evicted, shared } = acquisition;
      if (evicted !== null) this.session(evicted).evicted();
      this.kv.acquire(acquisition, this.session(session).identity.principal, nowMs);
      this.session(session).gotSlot(shared);
    }
    if (grants.length === 0) return true;
    let rows = 0;
    let promptTokens = 0;
    const members: number[] = [];
    const shares: PassShare[] = [];
    /** slots that would have got a copy in this pass, and do not */
    const unfilled = new Set<number>();
    for (const grant of grants) {
      const { session, slot, copyFrom } = grant;
      const { dictates } = this.session(session);
      const plan = copyFrom !== null && unfilled.has(copyFrom) ? null : this.plan(grant, msPerRow, out);
      if (!plan) {
        if (copyFrom === null) continue;
        // What the slot was to get, and others from it, it has not.
        unfilled.add(slot);
        this.session(session).evicted();
        continue;
      }
      this.kv.used(session, grant.rows, nowMs);
      const { from, tokens, questions, hold } = plan;
      rows += rowsOf(plan);
      // Tokens that a grammar dictated need no row: a few are no prompt.
      const rowless = tokens.length - rowsOf(plan);
      if (!dictates || rowless > MOST_CERTAIN_TOKENS) promptTokens += rowless;
      this.shares.charge(this.session(session).identity.principal, tokens.length);
      shares.push({ session, slot, copyFrom, from, tokens, questions, hold });
      members.push(session);
    }
    if (members.length === 0) return false;
    this.running = { members, startedMs: nowMs, rows, promptTokens };
    out.push({ kind: "engine", effect: { kind: "pass", shares } });
    return true;
  }

  /** A session's part of a pass; null: it failed over it, and has ended. */
  private plan(
    { session: key, prefillTokens, rows }: Grant,
    msPerRow: number,
    out: Effects,
  ): PassPlan | null {
    const session = this.session(key);
    let plan: PassPlan | null = null;
    this.registry.run(session, out, () => {
      plan = session.plan(prefillTokens, rows, msPerRow);
    });
    return plan;
  }

  private passEnded(outcomes: readonly PassOutcome[], nowMs: number, out: Effects): void {
    const { running } = this;
    assert(running, "a pass ended that never began");
    const tookMs = nowMs - running.startedMs;
    this.cost.add(running.rows, tookMs, running.promptTokens);
    const decodesOnly = running.promptTokens === 0;
    this.running = null;
    for (const outcome of outcomes) {
      const { session: key, failure } = outcome;
      const session = this.registry.get(key);
      const act = (one: PassSession) => one.passEnded(outcome, tookMs, decodesOnly, nowMs, out);
      if (session) this.registry.run(session, out, () => act(session));
      else {
        const leaving = this.take(key, nowMs);
        act(leaving);
        this.kv.release(key, leaving.held().slice());
      }
      if (session && failure !== null) {
        this.registry.fail(session, new ProtocolError("model_output", failure), out);
      }
    }
  }

  private passFailed(message: string, nowMs: number, out: Effects): void {
    const members = this.running?.members ?? [];
    this.running = null;
    const error = new ProtocolError("internal", `the model failed: ${message}`);
    for (const key of members) {
      const session = this.registry.get(key);
      // Out of the pass first: a session in one would keep its slot.
      if (session) {
        session.passFailed();
        this.registry.fail(session, error, out);
      } else {
        this.take(key, nowMs).passFailed();
        this.kv.release(key, NOTHING);
      }
    }
  }

  private session(key: number): PassSession {
    const session = this.sessions.get(key);
    assert(session, `session ${key} is not known`);
    return session;
  }

  /** A session that ended in the pass that is over. */
  private take(key: number, nowMs: number): PassSession {
    this.dropEnded(nowMs);
    const session = this.leaving.get(key);
    assert(session, "a session stays known until its pass is over");
    this.leaving.delete(key);
    return session;
  }

  /** Sessions that have ended give back their slots, unless their tokens are still in a pass. */
  private dropEnded(nowMs: number): void {
    for (const session of this.sessions.values()) {
      if (!session.ended) continue;
      const { key } = session.identity;
      this.sessions.delete(key);
      this.shares.leave(session.identity.principal, nowMs);
      if (session.timing.outlook.learnt) this.timings.set(session.identity.connection, session.timing);
      if (session.inPass) this.leaving.set(key, session);
      else this.kv.release(key, session.held().slice());
    }
  }
}
