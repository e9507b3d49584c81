import { describe, expect, it } from "vitest";
import { KvCache, type Tenant } from "./kv-cache.ts";

const limits = { sequences: 2, quantumRows: 10, idleAfterMs: 100 };
const BUSY: Tenant = { pinned: false, idleSinceMs: Number.POSITIVE_INFINITY };

/** Tenants by key; who is not named is busy. */
const tenants =
  (special: Record<number, Partial<Tenant>> = {}) =>
  (key: number) => ({ ...BUSY, ...special[key] });

const full = () => {
  const kv = new KvCache(limits);
  kv.acquire(1, tenants(), 0);
  kv.acquire(2, tenants(), 0);
  return kv;
};

describe("KvCache", () => {
  it("gives every session a sequence of its own while there are any", () => {
    const kv = full();
    expect([kv.sequenceOf(1), kv.sequenceOf(2), kv.sequenceOf(3)]).toEqual([0, 1, -1]);
    kv.release(1);
    expect(kv.acquire(3, tenants(), 0)).toEqual({ sequence: 0, evicted: null });
  });

  it("makes others wait while all are busy within their quantum", () => {
    expect(full().acquire(3, tenants(), 1e9)).toBeNull();
  });

  it("takes the sequence that has been idle for long enough, the least recently used first", () => {
    const kv = full();
    const idle = tenants({ 1: { idleSinceMs: 0 }, 2: { idleSinceMs: 0 } });
    kv.used(1, 1, 50);
    expect(kv.acquire(3, idle, 99)).toBeNull();
    expect(kv.freeAtMs(idle)).toBe(100);
    expect(kv.acquire(3, idle, 100)).toEqual({ sequence: 1, evicted: 2 });
  });

  it("goes round by a quantum of rows, idle ones and the most served first", () => {
    const kv = full();
    kv.used(1, 12, 0);
    expect(kv.acquire(3, tenants(), 0)).toEqual({ sequence: 0, evicted: 1 });
    kv.used(3, 30, 0);
    kv.used(2, 11, 0);
    expect(kv.acquire(1, tenants({ 2: { idleSinceMs: 0 } }), 1)).toEqual({ sequence: 1, evicted: 2 });
    expect(kv.acquire(2, tenants(), 1)).toEqual({ sequence: 0, evicted: 3 });
  });

  it("never takes it from a session in a pass", () => {
    const kv = full();
    kv.used(1, 100, 0);
    kv.used(2, 100, 0);
    const pinned = { pinned: true, idleSinceMs: 0 };
    expect(kv.acquire(3, tenants({ 1: pinned, 2: pinned }), 1e9)).toBeNull();
    expect(kv.freeAtMs(tenants({ 1: pinned, 2: pinned }))).toBe(Number.POSITIVE_INFINITY);
  });
});
