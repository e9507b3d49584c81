import { assert } from "../../util/assert.ts";
import type { KvCacheLimits } from "./machine.ts";

/**
 * Which session has which of the target's KV slots. Memory is shared by eviction: an idle session loses its slot to
 * one that has work, and among busy ones a slot goes round by a quantum of rows, so that no KV is rebuilt at every
 * pass. What a slot held stays in it until it is needed: a session that begins with the same tokens, the next turn of
 * a conversation or one with the same system message, has those computed already.
 */

/** Fewer tokens in common are not worth remembering. */
const LEAST_SHARED_TOKENS = 16;
const NOTHING = new Int32Array(0);

/** A slot as a plain value. */
export interface SlotRecord {
  readonly slot: number;
  /** key of the session that has it; null: it is free */
  readonly owner: number | null;
  /** whose text it holds; null: it holds none */
  readonly principal: string | null;
  /** rows computed for the owner since it got the slot */
  readonly rowsServed: number;
  readonly lastUsedMs: number;
  /** since when the owner has had nothing to do; Infinity while it has */
  readonly idleSinceMs: number;
  /** the tokens whose KV the slot holds, from the first, Int32Array[n] */
  readonly held: Int32Array;
}

/** A session gets a slot. */
export interface Acquisition {
  readonly session: number;
  readonly slot: number;
  /** the session that loses it; null: it was free */
  readonly evicted: number | null;
  /** how many of the wanted tokens need not be fed, from the first */
  readonly shared: number;
  /** the slot that has them and from which they are to be copied; null: the acquired one itself */
  readonly donor: number | null;
}

/** A session that wants a slot. */
export interface SlotRequest {
  readonly key: number;
  readonly principal: string;
  /** of a principal, beside others */
  readonly weightOf: (principal: string) => number;
  /** the tokens that are to be in it, from the first, Int32Array[n] */
  readonly wanted: Int32Array;
}

/**
 * Chooses a slot for a session: a free one, or that of a session that has to make way; null: it has to wait. What a slot
 * holds counts for its own principal only: else how much of a prompt was computed before would tell others what was
 * asked. The prefix that an operator shares on purpose counts for all.
 * @param pinned whether a session is part of the pass that is being put together
 */
export function chooseSlot(
  slots: readonly SlotRecord[],
  request: SlotRequest,
  pinned: (session: number) => boolean,
  limits: KvCacheLimits,
  nowMs: number,
): Acquisition | null {
  const { key: session, principal, wanted } = request;
  const common = limits.sharedPrefix ?? NOTHING;
  const shares = slots.map(({ held, principal: whose }) => {
    const own = whose === principal ? held : held.subarray(0, sharedTokens(held, common));
    const shared = sharedTokens(own, wanted);
    return limits.wholeOnly && shared < held.length ? 0 : shared;
  });
  let best = 0;
  for (const [slot, shared] of shares.entries()) if (shared > shares[best]!) best = slot;
  const chosen = freeSlot(slots, shares, best) ?? victim(slots, request, pinned, limits, nowMs);
  if (!chosen) return null;
  const { slot, owner: evicted } = chosen;
  const donor = shares[best]! > shares[slot]! ? best : null;
  return { session, slot, evicted, shared: shares[donor ?? slot]!, donor };
}

/** When a slot could be had by waiting for idle sessions; Infinity: never. */
export function freeAtMs(
  slots: readonly SlotRecord[],
  pinned: (session: number) => boolean,
  { idleAfterMs }: KvCacheLimits,
): number {
  let earliest = Number.POSITIVE_INFINITY;
  for (const { owner, idleSinceMs } of slots) {
    if (owner !== null && !pinned(owner)) earliest = Math.min(earliest, idleSinceMs + idleAfterMs);
  }
  return earliest;
}

/** One that the session goes on in; otherwise the least recently used one, but not the one to copy from. */
function freeSlot(
  slots: readonly SlotRecord[],
  shares: readonly number[],
  best: number,
): SlotRecord | undefined {
  const free = slots.filter(({ owner }) => owner === null);
  const own = free.find(({ slot, held }) => slot === best && held.length > 0 && shares[best] === held.length);
  if (own) return own;
  const others = free.length > 1 ? free.filter(({ slot }) => slot !== best || shares[best] === 0) : free;
  const age = ({ held, lastUsedMs }: SlotRecord) =>
    held.length === 0 ? Number.NEGATIVE_INFINITY : lastUsedMs;
  return others.reduce<SlotRecord | undefined>(
    (a, b) => (a === undefined || age(b) < age(a) ? b : a),
    undefined,
  );
}

/**
 * Idle for long first, the longest; then sessions of principals that have more than their share; then sessions that have
 * used up a quantum, but none of a principal that would be left with less than the one that asks: idle ones and the most
 * served first.
 */
function victim(
  slots: readonly SlotRecord[],
  { principal, weightOf }: SlotRequest,
  pinned: (session: number) => boolean,
  { idleAfterMs, quantumRows }: KvCacheLimits,
  nowMs: number,
): SlotRecord | undefined {
  const candidates = slots.filter(({ owner }) => owner !== null && !pinned(owner));
  const idle = candidates.filter(({ idleSinceMs }) => nowMs >= idleSinceMs + idleAfterMs);
  if (idle.length > 0) return idle.reduce((a, b) => (b.lastUsedMs < a.lastUsedMs ? b : a));
  /** of its slots and `more`, over its weight */
  const part = (whose: string, more: number) =>
    (slots.filter(({ owner, principal: one }) => owner !== null && one === whose).length + more) /
    weightOf(whose);
  const foreign = candidates.filter(({ principal: whose }) => whose !== principal);
  const over = foreign.filter(({ principal: whose }) => part(whose!, 0) > part(principal, 1));
  const served = candidates.filter(({ rowsServed, principal: whose }) => {
    return rowsServed >= quantumRows && (whose === principal || part(whose!, 0) > part(principal, 0));
  });
  const eligible = over.length > 0 ? over : served;
  if (eligible.length === 0) return undefined;
  return eligible.reduce((a, b) => {
    const [aIdle, bIdle] = [Number.isFinite(a.idleSinceMs), Number.isFinite(b.idleSinceMs)];
    if (aIdle !== bIdle) return aIdle ? a : b;
    return b.rowsServed > a.rowsServed ? b : a;
  });
}

/** Length of what both begin with, 0 where that is hardly anything. */
function sharedTokens(held: Int32Array, wanted: Int32Array): number {
  const most = Math.min(held.length, wanted.length);
  let shared = 0;
  while (shared < most && held[shared] === wanted[shared]) shared++;
  return shared < LEAST_SHARED_TOKENS ? 0 : shared;
}

interface Slot {
  owner: number | null;
  /** whose text it holds */
  principal: string | null;
  rowsServed: number;
  lastUsedMs: number;
  /** what a slot without an owner still holds */
  kept: Int32Array;
}

/** What eviction has to know of the session that has a slot. */
export interface SlotUse {
  readonly idleSinceMs: number;
  /** the tokens whose KV its slot holds, from the first, Int32Array[n] */
  readonly held: Int32Array;
}

/** The slots themselves: who has which. What is to happen is decided by the scheduler. */
export class KvCache {
  private readonly slots: Slot[];
  private readonly byOwner = new Map<number, number>();

  /** @param slots 1 or more */
  constructor(slots: number) {
    assert(Number.isInteger(slots) && slots >= 1, `a target with ${slots} KV slots serves no session`);
    this.slots = Array.from({ length: slots }, () => {
      return { owner: null, principal: null, rowsServed: 0, lastUsedMs: 0, kept: NOTHING };
    });
  }

  /** The slot of a session, or -1. */
  slotOf(session: number): number {
    return this.byOwner.get(session) ?? -1;
  }

  /** All slots as plain values. @param use of a session that has one */
  records(use: (session: number) => SlotUse): SlotRecord[] {
    return this.slots.map(({ owner, principal, rowsServed, lastUsedMs, kept }, slot) => {
      const { idleSinceMs, held } = owner === null ? { idleSinceMs: 0, held: kept } : use(owner);
      return { slot, owner, principal, rowsServed, lastUsedMs, idleSinceMs, held };
    });
  }

  acquire({ session, slot, evicted }: Acquisition, principal: string, nowMs: number): void {
    const taken = this.slots[slot]!;
    assert(taken.owner === evicted, `slot ${slot} has another owner than was decided by`);
    if (evicted !== null) this.byOwner.delete(evicted);
    this.byOwner.set(session, slot);
    this.slots[slot] = { owner: session, principal, rowsServed: 0, lastUsedMs: nowMs, kept: NOTHING };
  }

  /** A pass computes so many rows for a session. */
  used(session: number, rows: number, nowMs: number): void {
    const slot = this.slots[this.slotOf(session)];
    assert(slot, "only a session with a KV slot is in a pass");
    slot.rowsServed += rows;
    slot.lastUsedMs = nowMs;
  }

  /** @param kept the tokens whose KV its slot holds, from the first; they stay for a session that begins like that */
  release(session: number, kept: Int32Array): void {
    const slot = this.slots[this.slotOf(session)];
    if (!slot) return;
    this.byOwner.delete(session);
    slot.owner = null;
    slot.kept = kept;
  }

  /** @param isKnown whether a session may have a slot @throws AssertionError */
  checkIntegrity(isKnown: (session: number) => boolean): void {
    let owned = 0;
    for (const [slot, { owner, kept }] of this.slots.entries()) {
      if (owner === null) continue;
      owned++;
      assert(this.byOwner.get(owner) === slot, `slot ${slot} is not known as that of session ${owner}`);
      assert(isKnown(owner), `slot ${slot} is kept for session ${owner}, which is gone`);
      assert(kept.length === 0, `slot ${slot} has an owner and something kept`);
    }
    assert(owned === this.byOwner.size, `${this.byOwner.size} sessions have ${owned} slots`);
  }
}
