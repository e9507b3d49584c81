import { assert } from "../../util/assert.ts";
import type { KvCacheLimits } from "../core/machine.ts";

/**
 * Which session has which of the target's KV sequences. Memory is shared by eviction: an idle session loses its
 * sequence to one that speaks, and among busy ones a sequence goes round by a quantum of rows, so that nobody
 * rebuilds its KV at every pass. What a sequence held stays in it until it is needed: a session that begins with the
 * same tokens, the next turn of a conversation or one with the same system message, has those computed already.
 */

/** Fewer tokens in common are not worth remembering. */
const LEAST_SHARED_TOKENS = 16;

/** What eviction has to know of a session. */
export interface Tenant {
  /** it must not be touched: a pass with its tokens is under way or about to be */
  readonly pinned: boolean;
  /** since when it has had nothing to do; Infinity while it has */
  readonly idleSinceMs: number;
  /** the tokens whose KV its sequence holds, from the first, Int32Array[n] */
  readonly held: () => Int32Array;
}

interface Slot {
  readonly sequence: number;
  owner: number | null;
  rowsServed: number;
  lastUsedMs: number;
  /** what the KV of a sequence without an owner still holds */
  kept: Int32Array;
}

export interface Acquired {
  readonly sequence: number;
  /** the session that lost it, if any */
  readonly evicted: number | null;
  /** how many of the wanted tokens need not be fed, from the first */
  readonly shared: number;
  /** the sequence that has them and from which they are to be copied; null: the acquired one itself */
  readonly donor: number | null;
}

export class KvCache {
  private readonly limits: KvCacheLimits;
  private readonly slots: Slot[];

  constructor(limits: KvCacheLimits) {
    this.limits = limits;
    this.slots = Array.from({ length: limits.sequences }, (_, sequence) => ({
      sequence,
      owner: null,
      rowsServed: 0,
      lastUsedMs: 0,
      kept: new Int32Array(0),
    }));
  }

  /** The sequence of a session, or -1. */
  sequenceOf(session: number): number {
    return this.slots.findIndex((slot) => slot.owner === session);
  }

  /**
   * Gives a session a sequence if one is free or somebody has to make way; null: it has to wait.
   * @param wanted the tokens that are to be in it, from the first, Int32Array[n]
   */
  acquire(
    session: number,
    wanted: Int32Array,
    tenant: (session: number) => Tenant,
    nowMs: number,
  ): Acquired | null {
    assert(this.sequenceOf(session) < 0, "the session has a sequence");
    const shares = this.slots.map(({ owner, kept }) =>
      sharedTokens(owner === null ? kept : tenant(owner).held(), wanted),
    );
    const best = shares.indexOf(Math.max(...shares));
    const slot = this.free(shares, best) ?? this.victim(tenant, nowMs);
    if (!slot) return null;
    const evicted = slot.owner;
    slot.owner = session;
    slot.rowsServed = 0;
    slot.lastUsedMs = nowMs;
    slot.kept = new Int32Array(0);
    const own = shares[slot.sequence]!;
    const donor = shares[best]! > own ? best : null;
    return { sequence: slot.sequence, evicted, shared: donor === null ? own : shares[best]!, donor };
  }

  /** One that the session goes on in; otherwise the one that was not used for longest, and not the one to copy from. */
  private free(shares: readonly number[], best: number): Slot | undefined {
    const free = this.slots.filter(({ owner }) => owner === null);
    const own = free.find(
      ({ sequence, kept }) => sequence === best && kept.length > 0 && shares[best] === kept.length,
    );
    if (own) return own;
    const others =
      free.length > 1 ? free.filter(({ sequence }) => sequence !== best || shares[best] === 0) : free;
    const age = ({ kept, lastUsedMs }: Slot) => (kept.length === 0 ? Number.NEGATIVE_INFINITY : lastUsedMs);
    return others.reduce<Slot | undefined>((a, b) => (a === undefined || age(b) < age(a) ? b : a), undefined);
  }

  /** When a sequence that nobody may have now could be had by waiting for idle sessions; Infinity: never. */
  freeAtMs(tenant: (session: number) => Tenant): number {
    let earliest = Number.POSITIVE_INFINITY;
    for (const { owner } of this.slots) {
      if (owner === null) continue;
      const { pinned, idleSinceMs } = tenant(owner);
      if (!pinned) earliest = Math.min(earliest, idleSinceMs + this.limits.idleAfterMs);
    }
    return earliest;
  }

  /** A pass computes so many rows for a session. */
  used(session: number, rows: number, nowMs: number): void {
    const slot = this.slots[this.sequenceOf(session)];
    assert(slot, "only a session with a sequence is in a pass");
    slot.rowsServed += rows;
    slot.lastUsedMs = nowMs;
  }

  /** @param kept the tokens whose KV its sequence holds, from the first; it stays there for whoever begins like that */
  release(session: number, kept: Int32Array): void {
    const slot = this.slots[this.sequenceOf(session)];
    if (!slot) return;
    slot.owner = null;
    slot.kept = kept;
  }

  /** Idle for long first, the longest; then whoever has used up a quantum, idle ones and the most served first. */
  private victim(tenant: (session: number) => Tenant, nowMs: number): Slot | undefined {
    const candidates = this.slots
      .map((slot) => ({ slot, ...tenant(slot.owner!) }))
      .filter(({ pinned }) => !pinned);
    const idle = candidates.filter(({ idleSinceMs }) => nowMs >= idleSinceMs + this.limits.idleAfterMs);
    if (idle.length > 0) return idle.reduce((a, b) => (b.slot.lastUsedMs < a.slot.lastUsedMs ? b : a)).slot;
    const served = candidates.filter(({ slot }) => slot.rowsServed >= this.limits.quantumRows);
    if (served.length === 0) return undefined;
    return served.reduce((a, b) => {
      const [aIdle, bIdle] = [Number.isFinite(a.idleSinceMs), Number.isFinite(b.idleSinceMs)];
      if (aIdle !== bIdle) return aIdle ? a : b;
      return b.slot.rowsServed > a.slot.rowsServed ? b : a;
    }).slot;
  }
}

/** Length of what both begin with, 0 where that is hardly anything. */
function sharedTokens(held: Int32Array, wanted: Int32Array): number {
  const most = Math.min(held.length, wanted.length);
  let shared = 0;
  while (shared < most && held[shared] === wanted[shared]) shared++;
  return shared < LEAST_SHARED_TOKENS ? 0 : shared;
}
