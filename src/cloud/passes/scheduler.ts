import { EQUAL_SHARE, type Share } from "../trust/fair-shares.ts";
import { type Acquisition, chooseSlot, freeAtMs, type SlotRecord } from "./kv-cache.ts";
import { worthwhileRows } from "./launch.ts";
import type { KvCacheLimits, PassLimits, Work } from "./machine.ts";
import { extraRowsMs } from "./row-curve.ts";

/**
 * What goes into the next pass. Plain records in, a decision out: nothing is changed here, and the same records give
 * the same decision. One pass at a time; every session that has work and a KV slot is in it, the one that has waited
 * longest first; rows ahead of drafts only fill what is left.
 *
 * Between principals the one that was served least comes first, and none makes another wait for longer than that one's
 * own work takes: see `PassBuilder.timeFor`.
 */

/** A session that has work, as a plain value. */
export interface SessionRecord {
  readonly key: number;
  /** whose it is */
  readonly principal: string;
  readonly need: Work["need"];
  /** tokens without rows that have to be fed first */
  readonly prefillTokens: number;
  readonly rows: number;
  /** since when its text waits for the work */
  readonly readySinceMs: number;
  /** rate at which its tokens come, tokens/ms */
  readonly tokensPerMs: number;
  /** probability that a draft is accepted; null: its policy wants all rows whatever they cost */
  readonly acceptance: number | null;
  /** its KV slot, or -1 */
  readonly slot: number;
  /** without a slot: the tokens before its first row, Int32Array[n]; with one: empty */
  readonly wanted: Int32Array;
  /** without a slot: its rows once all of `wanted` is held */
  readonly rowsOnceHeld: number;
}

export interface SchedulerState {
  readonly sessions: readonly SessionRecord[];
  /** in order of their numbers; only looked at where a session has none */
  readonly slots: readonly SlotRecord[];
  readonly limits: PassLimits & KvCacheLimits;
  /** of every principal with an open session, whether it has work or not */
  readonly shares: ReadonlyMap<string, Share>;
  readonly cost: WorkCost;
}

/** What the parts of a pass take, ms. */
export interface WorkCost {
  /** whatever is in it; -1: not known */
  readonly baseMs: number;
  /** it is time to learn `baseMs`, by a pass that feeds no prompt */
  readonly isStale: boolean;
  readonly msPerRow: number;
  readonly msPerPromptToken: number;
  /** times of passes by their rows, but for a constant, ms, Float64Array[n]; empty: each row takes `msPerRow` */
  readonly byRowsMs: Float64Array;
}

/** A session's share of the pass. */
export interface Grant {
  readonly session: number;
  readonly slot: number;
  /** the slot that has what this one begins with; null: it has that itself */
  readonly copyFrom: number | null;
  readonly prefillTokens: number;
  readonly rows: number;
}

export interface PassDecision {
  /** sessions that get a slot, in this order; some lose theirs by it, and not all are in the pass */
  readonly acquisitions: readonly Acquisition[];
  /** empty: no pass now */
  readonly grants: readonly Grant[];
  /** when a session that waits for a slot may get one; Infinity: not by waiting */
  readonly slotFreeAtMs: number;
}

/** Whether a session's work alone is worth a pass. A row ahead is, when the pass is over before the drafts come. */
export function launches(need: Work["need"], draftGapMs: number, passMs: number): boolean {
  if (need !== "ahead") return need === "now";
  return passMs >= 0 && draftGapMs >= passMs;
}

export function nextPass(state: SchedulerState, nowMs: number): PassDecision {
  const pass = new PassBuilder(state, nowMs);
  if (state.sessions.length === 1) pass.add(state.sessions[0]!);
  else for (const session of [...state.sessions].sort(byTurn(state.shares))) pass.add(session);
  return { acquisitions: pass.acquisitions, grants: pass.grants, slotFreeAtMs: pass.slotFreeAtMs };
}

function byTurn(shares: SchedulerState["shares"]): (a: SessionRecord, b: SessionRecord) => number {
  const served = ({ principal }: SessionRecord) => (shares.get(principal) ?? EQUAL_SHARE).served;
  return (a, b) => rank(a) - rank(b) || served(a) - served(b) || a.readySinceMs - b.readySinceMs;
}

function rank({ need }: SessionRecord): number {
  return need === "now" ? 0 : 1;
}

/** What of a session's work there is room for. */
interface Part {
  readonly prefill: number;
  readonly rows: number;
}

class PassBuilder {
  readonly acquisitions: Acquisition[] = [];
  readonly grants: Grant[] = [];
  slotFreeAtMs = Number.POSITIVE_INFINITY;
  private readonly state: SchedulerState;
  private readonly nowMs: number;
  /** what the server's tokens come at, tokens/ms: what a row's time is worth */
  private readonly tokensPerMs: number;
  private readonly slots: SlotRecord[];
  /** keys of sessions that lose their slots: hardly ever any, and a set for each pass would cost more */
  private readonly evicted: number[] = [];
  /** of principals that share passes with others: what each may add to this one, and what it has, ms */
  private readonly timeMs = new Map<string, number>();
  private readonly spentMs = new Map<string, number>();
  /** several principals have open sessions, and what passes cost is known */
  private readonly isShared: boolean;
  private tokensLeft: number;
  private rowsLeft: number;
  private prefillLeft: number;

  constructor(state: SchedulerState, nowMs: number) {
    this.state = state;
    this.nowMs = nowMs;
    let tokensPerMs = 0;
    for (const session of state.sessions) tokensPerMs += session.tokensPerMs;
    this.tokensPerMs = tokensPerMs;
    this.slots = [...state.slots];
    const { cost, shares } = state;
    this.isShared = shares.size > 1 && cost.baseMs >= 0;
    this.tokensLeft = state.limits.passTokens;
    this.rowsLeft = state.limits.passRows;
    const decodes = ({ need, prefillTokens, rows, slot }: SessionRecord) =>
      need === "now" && slot >= 0 && prefillTokens === 0 && rows > 0;
    const prompts = state.sessions.reduce((sum, { prefillTokens }) => sum + prefillTokens, 0);
    // Short prompts hold nobody up.
    const learns =
      shares.size > 1 &&
      cost.isStale &&
      prompts >= state.limits.prefillTokens &&
      state.sessions.some(decodes);
    this.prefillLeft = learns ? 0 : state.limits.prefillTokens;
  }

  add(session: SessionRecord): void {
    // It loses its KV to this very pass: what it had planned no longer fits.
    if (this.evicted.includes(session.key)) return;
    const part = this.part(session, session.prefillTokens, session.rows);
    if (part.prefill + part.rows === 0) return; // no room in this pass, the next one is near
    if (session.slot >= 0) this.grant(session, session.slot, null, part);
    else if (session.need === "now") this.addWithoutSlot(session);
  }

  private addWithoutSlot(session: SessionRecord): void {
    const { limits } = this.state;
    const { key, principal, wanted } = session;
    const { shares } = this.state;
    const weightOf = (whose: string) => (shares.get(whose) ?? EQUAL_SHARE).weight;
    const pinned = (other: number) => this.grants.some(({ session: member }) => member === other);
    const choice = chooseSlot(this.slots, { ...session, weightOf }, pinned, limits, this.nowMs);
    if (!choice) {
      this.slotFreeAtMs = Math.min(this.slotFreeAtMs, freeAtMs(this.slots, pinned, limits));
      return;
    }
    const { slot, evicted, shared, donor } = choice;
    if (evicted !== null) this.evicted.push(evicted);
    this.slots[slot] = {
      slot,
      owner: key,
      principal,
      rowsServed: 0,
      lastUsedMs: this.nowMs,
      idleSinceMs: Number.POSITIVE_INFINITY,
      held: wanted.subarray(0, shared),
    };
    // What it shares with others it need not feed: that may be all that there was to do now.
    const missing = wanted.length - shared;
    const part = this.part(session, missing, missing > 0 ? session.rows : session.rowsOnceHeld);
    if (part.prefill + part.rows > 0) {
      this.acquisitions.push(choice);
      this.grant(session, slot, donor, part);
      return;
    }
    if (donor === null) {
      this.acquisitions.push(choice);
      return;
    }
    // A copy needs a pass to be made in, and by the next one the donor may have moved on.
    this.acquisitions.push({ session: key, slot, evicted, shared: 0, donor: null });
    this.slots[slot] = { ...this.slots[slot]!, held: wanted.subarray(0, 0) };
  }

  private grant({ key, principal }: SessionRecord, slot: number, copyFrom: number | null, part: Part): void {
    const { prefill, rows } = part;
    if (this.isShared) {
      this.spentMs.set(principal, (this.spentMs.get(principal) ?? 0) + this.timeOf(prefill, rows));
    }
    this.tokensLeft -= prefill + rows;
    this.rowsLeft -= rows;
    this.prefillLeft -= prefill;
    const used = this.slots[slot];
    if (used) this.slots[slot] = { ...used, rowsServed: used.rowsServed + rows, lastUsedMs: this.nowMs };
    this.grants.push({ session: key, slot, copyFrom, prefillTokens: prefill, rows });
  }

  private part({ acceptance, principal }: SessionRecord, prefillTokens: number, mostRows: number): Part {
    const { msPerRow } = this.state.cost;
    let prefill = Math.min(prefillTokens, this.prefillLeft, this.tokensLeft);
    let most = mostRows;
    if (this.isShared) {
      const spentMs = this.spentMs.get(principal);
      const leftMs = this.timeFor(principal) - (spentMs ?? 0);
      // One token in any case, so that nobody starves.
      const least = spentMs === undefined ? 1 : 0;
      prefill = Math.min(prefill, fits(leftMs, this.state.cost.msPerPromptToken, least));
      most = Math.min(most, fits(leftMs - prefill * this.state.cost.msPerPromptToken, msPerRow, least));
    }
    if (prefill < prefillTokens) return { prefill, rows: 0 };
    const worth = acceptance === null ? most : this.worthwhile(acceptance, most);
    return { prefill, rows: Math.min(most, worth, this.rowsLeft, this.tokensLeft - prefill) };
  }

  /** Of this session, behind the rows that are in the pass. */
  private worthwhile(acceptance: number, most: number): number {
    const { cost, limits } = this.state;
    const others = limits.passRows - this.rowsLeft;
    const extraMs = (rows: number) => extraRowsMs(cost.byRowsMs, cost.msPerRow, others + 1, others + rows);
    return worthwhileRows(acceptance, this.tokensPerMs, extraMs, most);
  }

  /**
   * What a principal may add to this pass, ms. Beside another one, of any weight ratio r, its work may take r times
   * as long as a pass with the other's work alone: so nobody waits for others longer than for itself, by weight. A
   * principal with an open session that has nothing to do now counts as one row: it may have something in a moment, and
   * waits for this pass to end. Infinity: no bound.
   */
  private timeFor(principal: string): number {
    const known = this.timeMs.get(principal);
    if (known !== undefined) return known;
    const { shares } = this.state;
    const own = shares.get(principal) ?? EQUAL_SHARE;
    let leastMs = Number.POSITIVE_INFINITY;
    for (const [other, { weight }] of shares) {
      if (other === principal) continue;
      leastMs = Math.min(leastMs, (own.weight / weight) * this.aloneMs(other));
    }
    this.timeMs.set(principal, leastMs);
    return leastMs;
  }

  /** A pass with the work of one principal alone, ms. */
  private aloneMs(principal: string): number {
    const { limits, cost, sessions } = this.state;
    let [prefill, rows] = [0, 0];
    for (const session of sessions) {
      if (session.principal !== principal) continue;
      prefill += session.prefillTokens;
      rows += session.rows;
    }
    const asked = this.timeOf(
      Math.min(prefill, limits.prefillTokens),
      Math.min(Math.max(rows, 1), limits.passRows),
    );
    return cost.baseMs + asked;
  }

  private timeOf(prefill: number, rows: number): number {
    return prefill * this.state.cost.msPerPromptToken + rows * this.state.cost.msPerRow;
  }
}

/** How many that take so long each. */
function fits(leftMs: number, msEach: number, least: number): number {
  return msEach <= 0 ? Number.POSITIVE_INFINITY : Math.max(least, Math.floor(leftMs / msEach));
}
