import { describe, expect, it } from "vitest";
import { KvCache, type Tenant } from "./kv-cache.ts";

const limits = { sequences: 2, quantumRows: 10, idleAfterMs: 100 };
const NOTHING = new Int32Array(0);
const BUSY: Tenant = { pinned: false, idleSinceMs: Number.POSITIVE_INFINITY, held: () => NOTHING };

/** Tenants by key; who is not named is busy. */
const tenants =
  (special: Record<number, Partial<Tenant>> = {}) =>
  (key: number) => ({ ...BUSY, ...special[key] });

const full = () => {
  const kv = new KvCache(limits);
  kv.acquire(1, NOTHING, tenants(), 0);
  kv.acquire(2, NOTHING, tenants(), 0);
  return kv;
};

describe("KvCache", () => {
  it("gives every session a sequence of its own while there are any", () => {
    const kv = full();
    expect([kv.sequenceOf(1), kv.sequenceOf(2), kv.sequenceOf(3)]).toEqual([0, 1, -1]);
    kv.release(1, NOTHING);
    expect(kv.acquire(3, NOTHING, tenants(), 0)).toMatchObject({ sequence: 0, evicted: null, shared: 0 });
  });

  it("makes others wait while all are busy within their quantum", () => {
    expect(full().acquire(3, NOTHING, tenants(), 1e9)).toBeNull();
  });

  it("takes the sequence that has been idle for long enough, the least recently used first", () => {
    const kv = full();
    const idle = tenants({ 1: { idleSinceMs: 0 }, 2: { idleSinceMs: 0 } });
    kv.used(1, 1, 50);
    expect(kv.acquire(3, NOTHING, idle, 99)).toBeNull();
    expect(kv.freeAtMs(idle)).toBe(100);
    expect(kv.acquire(3, NOTHING, idle, 100)).toMatchObject({ sequence: 1, evicted: 2, shared: 0 });
  });

  it("goes round by a quantum of rows, idle ones and the most served first", () => {
    const kv = full();
    kv.used(1, 12, 0);
    expect(kv.acquire(3, NOTHING, tenants(), 0)).toMatchObject({ sequence: 0, evicted: 1, shared: 0 });
    kv.used(3, 30, 0);
    kv.used(2, 11, 0);
    expect(kv.acquire(1, NOTHING, tenants({ 2: { idleSinceMs: 0 } }), 1)).toMatchObject({
      sequence: 1,
      evicted: 2,
      shared: 0,
    });
    expect(kv.acquire(2, NOTHING, tenants(), 1)).toMatchObject({ sequence: 0, evicted: 3, shared: 0 });
  });

  it("never takes it from a session in a pass", () => {
    const kv = full();
    kv.used(1, 100, 0);
    kv.used(2, 100, 0);
    const pinned = { pinned: true, idleSinceMs: 0, held: () => NOTHING };
    expect(kv.acquire(3, NOTHING, tenants({ 1: pinned, 2: pinned }), 1e9)).toBeNull();
    expect(kv.freeAtMs(tenants({ 1: pinned, 2: pinned }))).toBe(Number.POSITIVE_INFINITY);
  });

  describe("with sequences that begin alike", () => {
    const text = (length: number, own = 0) =>
      Int32Array.from({ length }, (_, i) => (i < 20 ? i : 1000 * own + i));

    it("goes on in the one that a session before it left, if that is all of it", () => {
      const kv = full();
      kv.release(1, text(30, 1));
      kv.release(2, text(40, 2));
      const next = kv.acquire(3, text(50, 2), tenants(), 5);
      expect(next).toEqual({ sequence: 1, evicted: null, shared: 40, donor: null });
    });

    it("copies what is shared out of another, free or not, and leaves that as it is", () => {
      const kv = full();
      kv.release(1, NOTHING);
      const held = { 2: { ...BUSY, held: () => text(40, 2) } };
      expect(kv.acquire(3, text(50, 3), tenants(held), 5)).toEqual({
        sequence: 0,
        evicted: null,
        shared: 20,
        donor: 1,
      });
      kv.release(2, text(40, 2));
      kv.release(3, text(60, 3));
      // Sequence 1 has been idle for longer, but is to be copied from.
      expect(kv.acquire(4, text(30, 2), tenants(), 9)).toEqual({
        sequence: 0,
        evicted: null,
        shared: 30,
        donor: 1,
      });
    });

    it("keeps the beginning of the one that makes way", () => {
      const kv = full();
      kv.used(1, 12, 0);
      const held = { 1: { ...BUSY, held: () => text(40, 1) } };
      expect(kv.acquire(3, text(50, 3), tenants(held), 5)).toEqual({
        sequence: 0,
        evicted: 1,
        shared: 20,
        donor: null,
      });
    });

    it("takes an empty one first, then the one that was not used for longest", () => {
      const kv = full();
      kv.used(2, 1, 7);
      kv.release(1, text(30, 1));
      kv.release(2, text(30, 2));
      const other = Int32Array.from({ length: 30 }, (_, i) => 5000 + i);
      expect(kv.acquire(3, other, tenants(), 9)).toEqual({
        sequence: 0,
        evicted: null,
        shared: 0,
        donor: null,
      });
    });

    it("does not care about a few tokens that every prompt begins with", () => {
      const kv = full();
      kv.release(1, Int32Array.of(1, 2, 3, 4));
      kv.release(2, NOTHING);
      expect(kv.acquire(3, Int32Array.of(1, 2, 3, 4, 5), tenants(), 9)).toMatchObject({
        shared: 0,
        donor: null,
      });
    });
  });
});
