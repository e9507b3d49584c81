import { assert } from "../util/assert.ts";

/**
 * Which session has which of the target's KV sequences. Memory is shared by eviction: an idle session loses its
 * sequence to one that speaks, and among busy ones a sequence goes round by a quantum of rows, so that nobody
 * rebuilds its KV at every pass.
 */

export interface KvCacheLimits {
  readonly sequences: number;
  /** rows that a session may have computed before it has to make way for one that waits */
  readonly quantumRows: number;
  /** a session without work for so long makes way before its quantum is used up */
  readonly idleAfterMs: number;
}

/** What eviction has to know of a session. */
export interface Tenant {
  /** it must not be touched: a pass with its tokens is under way or about to be */
  readonly pinned: boolean;
  /** since when it has had nothing to do; Infinity while it has */
  readonly idleSinceMs: number;
}

interface Slot {
  readonly sequence: number;
  owner: number | null;
  rowsServed: number;
  lastUsedMs: number;
}

export interface Acquired {
  readonly sequence: number;
  /** the session that lost it, if any */
  readonly evicted: number | null;
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
    }));
  }

  /** The sequence of a session, or -1. */
  sequenceOf(session: number): number {
    return this.slots.findIndex((slot) => slot.owner === session);
  }

  /** Gives a session a sequence if one is free or somebody has to make way; null: it has to wait. */
  acquire(session: number, tenant: (session: number) => Tenant, nowMs: number): Acquired | null {
    assert(this.sequenceOf(session) < 0, "the session has a sequence");
    const slot = this.slots.find((free) => free.owner === null) ?? this.victim(tenant, nowMs);
    if (!slot) return null;
    const evicted = slot.owner;
    slot.owner = session;
    slot.rowsServed = 0;
    slot.lastUsedMs = nowMs;
    return { sequence: slot.sequence, evicted };
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

  release(session: number): void {
    const slot = this.slots[this.sequenceOf(session)];
    if (slot) slot.owner = null;
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
