import { describe, expect, it } from "vitest";
import { type Acquisition, chooseSlot, freeAtMs, KvCache } from "./kv-cache.ts";

const limits = { kvSlots: 2, quantumRows: 10, idleAfterMs: 100 };
const NOTHING = new Int32Array(0);

interface Use {
  readonly idleSinceMs: number;
  readonly held: Int32Array;
  readonly pinned: boolean;
}

const BUSY: Use = { idleSinceMs: Number.POSITIVE_INFINITY, held: NOTHING, pinned: false };

/** Sessions by key; one that is not named is busy. */
const uses =
  (special: Record<number, Partial<Use>> = {}) =>
  (key: number): Use => ({ ...BUSY, ...special[key] });

/** A cache, and the decisions about it carried out. */
class Slots {
  readonly kv = new KvCache(limits.kvSlots);

  acquire(
    key: number,
    wanted: Int32Array,
    use: (key: number) => Use,
    nowMs: number,
    { principal = "one", sharedPrefix = NOTHING, weight = 1 } = {},
  ): Acquisition | null {
    const pinned = (other: number) => use(other).pinned;
    const bounds = { ...limits, sharedPrefix };
    const choice = chooseSlot(
      this.kv.records(use),
      { key, principal, wanted, weightOf: (whose: string) => (whose === principal ? weight : 1) },
      pinned,
      bounds,
      nowMs,
    );
    if (choice) this.kv.acquire(choice, principal, nowMs);
    this.kv.checkIntegrity(() => true);
    return choice;
  }

  freeAtMs(use: (key: number) => Use): number {
    return freeAtMs(this.kv.records(use), (key) => use(key).pinned, limits);
  }

  slotOf(session: number): number {
    return this.kv.slotOf(session);
  }

  used(session: number, rows: number, nowMs: number): void {
    this.kv.used(session, rows, nowMs);
  }

  release(session: number, kept: Int32Array): void {
    this.kv.release(session, kept);
  }
}

const full = () => {
  const kv = new Slots();
  kv.acquire(1, NOTHING, uses(), 0);
  kv.acquire(2, NOTHING, uses(), 0);
  return kv;
};

describe("KvCache", () => {
  it("gives every session a slot of its own while there are any", () => {
    const kv = full();
    expect([kv.slotOf(1), kv.slotOf(2), kv.slotOf(3)]).toEqual([0, 1, -1]);
    kv.release(1, NOTHING);
    expect(kv.acquire(3, NOTHING, uses(), 0)).toMatchObject({ slot: 0, evicted: null, shared: 0 });
  });

  it("makes others wait while all are busy within their quantum", () => {
    expect(full().acquire(3, NOTHING, uses(), 1e9)).toBeNull();
  });

  it("takes the slot that has been idle for long enough, the least recently used first", () => {
    const kv = full();
    const idle = uses({ 1: { idleSinceMs: 0 }, 2: { idleSinceMs: 0 } });
    kv.used(1, 1, 50);
    expect(kv.acquire(3, NOTHING, idle, 99)).toBeNull();
    expect(kv.freeAtMs(idle)).toBe(100);
    expect(kv.acquire(3, NOTHING, idle, 100)).toMatchObject({ slot: 1, evicted: 2, shared: 0 });
  });

  it("goes round by a quantum of rows, idle ones and the most served first", () => {
    const kv = full();
    kv.used(1, 12, 0);
    expect(kv.acquire(3, NOTHING, uses(), 0)).toMatchObject({ slot: 0, evicted: 1, shared: 0 });
    kv.used(3, 30, 0);
    kv.used(2, 11, 0);
    expect(kv.acquire(1, NOTHING, uses({ 2: { idleSinceMs: 0 } }), 1)).toMatchObject({
      slot: 1,
      evicted: 2,
      shared: 0,
    });
    expect(kv.acquire(2, NOTHING, uses(), 1)).toMatchObject({ slot: 0, evicted: 3, shared: 0 });
  });

  it("never takes it from a session in a pass", () => {
    const kv = full();
    kv.used(1, 100, 0);
    kv.used(2, 100, 0);
    const pinned = { pinned: true, idleSinceMs: 0 };
    expect(kv.acquire(3, NOTHING, uses({ 1: pinned, 2: pinned }), 1e9)).toBeNull();
    expect(kv.freeAtMs(uses({ 1: pinned, 2: pinned }))).toBe(Number.POSITIVE_INFINITY);
  });

  describe("with texts that begin alike", () => {
    const text = (length: number, own = 0) =>
      Int32Array.from({ length }, (_, i) => (i < 20 ? i : 1000 * own + i));

    it("goes on in the one that a session before it left, if that is all of it", () => {
      const kv = full();
      kv.release(1, text(30, 1));
      kv.release(2, text(40, 2));
      const next = kv.acquire(3, text(50, 2), uses(), 5);
      expect(next).toMatchObject({ slot: 1, evicted: null, shared: 40, donor: null });
    });

    it("copies what is shared out of another, free or not, and leaves that as it is", () => {
      const kv = full();
      kv.release(1, NOTHING);
      const held = { 2: { held: text(40, 2) } };
      expect(kv.acquire(3, text(50, 3), uses(held), 5)).toMatchObject({
        slot: 0,
        evicted: null,
        shared: 20,
        donor: 1,
      });
      kv.release(2, text(40, 2));
      kv.release(3, text(60, 3));
      // Slot 1 has been idle for longer, but is to be copied from.
      expect(kv.acquire(4, text(30, 2), uses(), 9)).toMatchObject({
        slot: 0,
        evicted: null,
        shared: 30,
        donor: 1,
      });
    });

    it("keeps the beginning of the one that makes way", () => {
      const kv = full();
      kv.used(1, 12, 0);
      const held = { 1: { held: text(40, 1) } };
      expect(kv.acquire(3, text(50, 3), uses(held), 5)).toMatchObject({
        slot: 0,
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
      expect(kv.acquire(3, other, uses(), 9)).toMatchObject({
        slot: 0,
        evicted: null,
        shared: 0,
        donor: null,
      });
    });

    it("does not care about a few tokens that every prompt begins with", () => {
      const kv = full();
      kv.release(1, Int32Array.of(1, 2, 3, 4));
      kv.release(2, NOTHING);
      expect(kv.acquire(3, Int32Array.of(1, 2, 3, 4, 5), uses(), 9)).toMatchObject({
        shared: 0,
        donor: null,
      });
    });
  });

  it("finds a slot that is kept for a session that is gone", () => {
    expect(() => full().kv.checkIntegrity((key) => key !== 2)).toThrow(/slot 1 is kept for session 2/);
  });

  describe("of several principals", () => {
    const words = Int32Array.from({ length: 40 }, (_, i) => i);
    const held = (kv: Slots) => {
      kv.acquire(1, words, uses(), 0, { principal: "one" });
      kv.release(1, words);
    };

    it("gives what one has computed to no other", () => {
      const kv = new Slots();
      held(kv);
      expect(kv.acquire(2, words, uses(), 1, { principal: "two" })).toMatchObject({ shared: 0, donor: null });
      expect(kv.acquire(3, words, uses(), 2, { principal: "one" })?.shared).toBeGreaterThan(0);
    });

    it("gives it to nobody from a slot that another has by now", () => {
      const kv = new Slots();
      held(kv);
      const busy = { 2: { held: words } };
      kv.acquire(2, words, uses(), 1, { principal: "two" });
      const again = kv.acquire(3, words, uses(busy), 2, { principal: "three" });
      expect(again).toMatchObject({ shared: 0, donor: null });
    });

    it("shares the prefix that the operator names, and nothing past it", () => {
      const kv = new Slots();
      held(kv);
      const sharedPrefix = words.slice(0, 20);
      const choice = kv.acquire(2, words, uses(), 1, { principal: "two", sharedPrefix });
      expect(choice?.shared).toBe(20);
      const other = Int32Array.from(words, (word) => word + 1);
      expect(kv.acquire(3, other, uses(), 2, { principal: "three", sharedPrefix })?.shared).toBe(0);
    });
  });
});

describe("chooseSlot, between principals", () => {
  const two = (first: string, second: string) => {
    const kv = new Slots();
    kv.acquire(1, NOTHING, uses(), 0, { principal: first });
    kv.acquire(2, NOTHING, uses(), 0, { principal: second });
    return kv;
  };

  it("takes a slot at once from a principal that has more than its share", () => {
    expect(two("greedy", "greedy").acquire(3, NOTHING, uses(), 1, { principal: "modest" })?.evicted).toBe(1);
    // Control: within a principal a quantum has to pass first.
    expect(two("greedy", "greedy").acquire(3, NOTHING, uses(), 1, { principal: "greedy" })).toBeNull();
  });

  it("takes none from a principal that would be left with less, however much its session was served", () => {
    const kv = two("greedy", "modest");
    kv.used(2, 1000, 1);
    expect(kv.acquire(3, NOTHING, uses(), 2, { principal: "greedy" })).toBeNull();
    kv.used(1, limits.quantumRows, 3);
    expect(kv.acquire(3, NOTHING, uses(), 4, { principal: "greedy" })?.evicted).toBe(1);
  });

  it("counts shares by weight", () => {
    const kv = two("heavy", "light");
    kv.used(2, limits.quantumRows, 1);
    // 1 of weight 1 against 1 of weight 3: the light one makes way once its quantum is used up.
    expect(kv.acquire(3, NOTHING, uses(), 2, { principal: "heavy", weight: 3 })?.evicted).toBe(2);
  });

  it("lets principals take turns where there are fewer slots than principals", () => {
    const kv = two("a", "b");
    expect(kv.acquire(3, NOTHING, uses(), 1, { principal: "c" })).toBeNull();
    kv.used(1, limits.quantumRows, 2);
    expect(kv.acquire(3, NOTHING, uses(), 3, { principal: "c" })?.evicted).toBe(1);
  });
});
