import type { PassLimits, PassPlan, Work } from "../core/machine.ts";
import type { Acquired, KvCache, Tenant } from "./kv-cache.ts";
import type { CloudSession } from "./session.ts";

/**
 * What goes into the next pass: a pure function of the sessions, the KV and the time. One pass at a time; every
 * session that has work and a sequence is in it.
 */

/** A session's share of the pass. */
export interface Grant {
  readonly session: CloudSession;
  readonly sequence: number;
  /** the sequence that has what this one begins with; null: it has that itself */
  readonly copyFrom: number | null;
  readonly plan: PassPlan;
}

export interface Schedule {
  /** empty: no pass now */
  readonly grants: readonly Grant[];
  /** sessions that lost their sequence */
  readonly evicted: readonly CloudSession[];
  /** look again at this time even if nothing happens; Infinity: no need */
  readonly wakeAtMs: number;
}

export interface SchedulerState {
  /** by key */
  readonly sessions: ReadonlyMap<number, CloudSession>;
  readonly kv: KvCache;
  readonly limits: PassLimits;
  /** how long a pass takes, ms; -1 when unknown */
  readonly passMs: number;
  /** what one more row in it costs, ms */
  readonly msPerRow: number;
}

interface Candidate {
  readonly session: CloudSession;
  readonly work: Work;
}

export function nextPass(state: SchedulerState, nowMs: number): Schedule {
  const { sessions, kv } = state;
  const candidates: Candidate[] = [];
  let wakeAtMs = Number.POSITIVE_INFINITY;
  for (const session of sessions.values()) {
    const work = session.work(nowMs);
    if (work.need !== "none") candidates.push({ session, work });
    wakeAtMs = Math.min(wakeAtMs, session.wakeAtMs(nowMs));
  }
  if (!candidates.some((candidate) => launches(candidate, state.passMs))) {
    return { grants: [], evicted: [], wakeAtMs };
  }
  // Whoever has waited longest first; rows ahead of drafts only fill what is left.
  candidates.sort((a, b) => rank(a) - rank(b) || a.session.readySinceMs - b.session.readySinceMs);
  const tokensPerMs = candidates.reduce((sum, { session }) => sum + session.tokensPerMs, 0);
  const pass = new PassBuilder(state, tokensPerMs, nowMs);
  for (const candidate of candidates) {
    if (!pass.add(candidate)) wakeAtMs = Math.min(wakeAtMs, kv.freeAtMs(pass.tenant));
  }
  return { grants: pass.grants, evicted: pass.evicted, wakeAtMs };
}

function rank({ work }: Candidate): number {
  return work.need === "now" ? 0 : 1;
}

/** Whether this alone is worth a pass. A row ahead is, when the pass is over before the drafts come. */
function launches({ session, work }: Candidate, passMs: number): boolean {
  if (work.need !== "ahead") return work.need === "now";
  return passMs >= 0 && session.outlook.gapMs >= passMs;
}

const NOTHING = new Int32Array(0);

class PassBuilder {
  readonly grants: Grant[] = [];
  readonly evicted: CloudSession[] = [];
  private readonly state: SchedulerState;
  private readonly tokensPerMs: number;
  private readonly nowMs: number;
  private readonly members = new Set<number>();
  private tokensLeft: number;
  private rowsLeft: number;
  private prefillLeft: number;

  /** @param tokensPerMs at which the server's tokens come: what a row's time is worth */
  constructor(state: SchedulerState, tokensPerMs: number, nowMs: number) {
    this.state = state;
    this.tokensPerMs = tokensPerMs;
    this.nowMs = nowMs;
    this.tokensLeft = state.limits.passTokens;
    this.rowsLeft = state.limits.passRows;
    this.prefillLeft = state.limits.prefillTokens;
  }

  readonly tenant = (key: number): Tenant => {
    const session = this.state.sessions.get(key);
    // A session that ended within a pass keeps its sequence until the pass is over.
    if (!session) return { pinned: true, idleSinceMs: Number.POSITIVE_INFINITY, held: () => NOTHING };
    const busy = session.work(this.nowMs).need === "now";
    return {
      pinned: session.inPass || this.members.has(key),
      idleSinceMs: busy ? Number.POSITIVE_INFINITY : session.lastHeardMs,
      held: () => session.held(),
    };
  };

  /** @returns false when the session has to wait for a sequence */
  add({ session, work }: Candidate): boolean {
    const { kv } = this.state;
    const { key } = session.identity;
    // It lost its KV to this very pass: what it had planned no longer fits.
    if (this.evicted.includes(session)) return true;
    if (this.part(session, work).tokens === 0) return true; // no room in this pass, the next one is near
    let sequence = kv.sequenceOf(key);
    let copyFrom: number | null = null;
    if (sequence < 0) {
      if (work.need !== "now") return true;
      const acquired = kv.acquire(key, session.wanted(), this.tenant, this.nowMs);
      if (!acquired) return false;
      sequence = acquired.sequence;
      if (acquired.evicted !== null) this.evict(acquired.evicted);
      copyFrom = this.reuse(session, acquired);
    }
    // What it shares with others it need not feed: that may be all that there was to do now.
    const { prefill, rows, tokens } = this.part(session, session.work(this.nowMs));
    if (tokens === 0) return true;
    this.members.add(key);
    this.tokensLeft -= prefill + rows;
    this.rowsLeft -= rows;
    this.prefillLeft -= prefill;
    kv.used(key, rows, this.nowMs);
    this.grants.push({ session, sequence, copyFrom, plan: session.plan(prefill, rows, this.state.msPerRow) });
    return true;
  }

  /** @returns the sequence to copy from */
  private reuse(session: CloudSession, { shared, donor }: Acquired): number | null {
    if (shared === 0) return null;
    session.reused(shared);
    if (donor === null || this.part(session, session.work(this.nowMs)).tokens > 0) return donor;
    // A copy needs a pass to be made in, and by the next one the donor may have moved on.
    session.reused(0);
    return null;
  }

  /** What of its work there is room for. */
  private part(session: CloudSession, work: Work): { prefill: number; rows: number; tokens: number } {
    const prefill = Math.min(work.prefillTokens, this.prefillLeft, this.tokensLeft);
    const reaches = prefill === work.prefillTokens;
    const worth = session.worthwhileRows(this.tokensPerMs, this.state.msPerRow, work.rows);
    const rows = reaches ? Math.min(work.rows, worth, this.rowsLeft, this.tokensLeft - prefill) : 0;
    return { prefill, rows, tokens: prefill + rows };
  }

  private evict(key: number): void {
    const session = this.state.sessions.get(key)!;
    session.evicted();
    this.evicted.push(session);
  }
}
