import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { launches, nextPass, type SchedulerState, type SessionRecord } from "./scheduler.ts";

const limits = {
  kvSlots: 2,
  quantumRows: 10,
  idleAfterMs: 100,
  passTokens: 32,
  passRows: 8,
  prefillTokens: 16,
};
/** Rows cost nothing, and nothing is known of the rest. */
const FREE = { baseMs: -1, isStale: false, msPerRow: 0, byRowsMs: new Float64Array(0), msPerPromptToken: 0 };
const NOTHING = new Int32Array(0);

const record = (key: number, given: Partial<SessionRecord> = {}): SessionRecord => ({
  key,
  principal: "one",
  need: "now",
  prefillTokens: 0,
  rows: 1,
  readySinceMs: 0,
  tokensPerMs: 0.01,
  acceptance: null,
  slot: key,
  wanted: NOTHING,
  rowsOnceHeld: 1,
  ...given,
});
const state = (...sessions: SessionRecord[]): SchedulerState => ({
  sessions,
  slots: [],
  limits,
  shares: new Map(),
  cost: FREE,
});
const granted = (of: SchedulerState) => nextPass(of, 0).grants.map(({ session, rows }) => [session, rows]);

describe("launches", () => {
  it("starts a pass for work that a text waits for, and never for what only rides along", () => {
    expect(launches("now", 0, -1)).toBe(true);
    expect(launches("along", 1000, 1)).toBe(false);
  });

  it("starts one for a row ahead when it is over before the drafts come", () => {
    expect(launches("ahead", 50, 50)).toBe(true);
    expect(launches("ahead", 49, 50)).toBe(false);
    expect(launches("ahead", 1000, -1)).toBe(false);
  });
});

describe("nextPass", () => {
  it("takes the session that has waited longest first, and rows ahead last", () => {
    const sessions = [
      record(0, { need: "ahead", readySinceMs: 0 }),
      record(1, { readySinceMs: 9, rows: 5 }),
      record(2, { readySinceMs: 3, rows: 2 }),
    ];
    expect(granted(state(...sessions))).toEqual([
      [2, 2],
      [1, 5],
      [0, 1],
    ]);
  });

  it("keeps to the bounds of a pass", () => {
    expect(granted(state(record(0, { rows: 6 }), record(1, { rows: 6 })))).toEqual([
      [0, 6],
      [1, 2],
    ]);
    const long = record(0, { prefillTokens: 40, rows: 3 });
    const { grants } = nextPass(state(long, record(1, { prefillTokens: 4 })), 0);
    expect(grants).toEqual([{ session: 0, slot: 0, copyFrom: null, prefillTokens: 16, rows: 0 }]);
  });

  it("computes no row that costs more than it brings, where the policy lets it choose", () => {
    const doubtful = { rows: 6, acceptance: 0.5, tokensPerMs: 0.01 };
    const rows = (msPerRow: number, given: Partial<SessionRecord> = {}) =>
      nextPass({ ...state(record(0, { ...doubtful, ...given })), cost: { ...FREE, msPerRow } }, 0).grants[0]!
        .rows;
    expect(rows(0)).toBe(6);
    // 0.01 tokens/ms x 30 ms: a row is worth it while its chance is above 0.3.
    expect(rows(30)).toBe(2);
    expect(rows(1000)).toBe(1);
    expect(rows(1000, { acceptance: null })).toBe(6);
  });

  it("gives a session without a slot the one that has its beginning, and feeds only the rest", () => {
    const text = Int32Array.from({ length: 30 }, (_, i) => i);
    const free = { owner: null, principal: "one", rowsServed: 0, lastUsedMs: 0, idleSinceMs: 0 };
    const slots = [
      { ...free, slot: 0, held: NOTHING },
      { ...free, slot: 1, held: text.slice(0, 20) },
    ];
    const wanting = record(7, { slot: -1, wanted: text, prefillTokens: 30, rows: 1 });
    const { acquisitions, grants } = nextPass({ ...state(wanting), slots }, 0);
    expect(acquisitions).toEqual([{ session: 7, slot: 1, evicted: null, shared: 20, donor: null }]);
    expect(grants).toEqual([{ session: 7, slot: 1, copyFrom: null, prefillTokens: 10, rows: 1 }]);
  });

  it("says when a session that has to wait may get a slot", () => {
    const slot = {
      slot: 0,
      owner: 1,
      principal: "one",
      rowsServed: 3,
      lastUsedMs: 0,
      idleSinceMs: 40,
      held: NOTHING,
    };
    const wanting = record(7, { slot: -1, wanted: Int32Array.of(1, 2), prefillTokens: 2 });
    const decision = nextPass({ ...state(wanting), slots: [slot] }, 50);
    expect(decision).toEqual({ acquisitions: [], grants: [], slotFreeAtMs: 140 });
  });

  it("decides the same of the same records, and changes none of them", () => {
    const tokens = fc
      .array(fc.integer({ min: 0, max: 1 }), { maxLength: 40 })
      .map((ids) => Int32Array.from(ids));
    const worlds = fc
      .record({
        needs: fc.array(fc.constantFrom<SessionRecord["need"]>("along", "ahead", "now"), { maxLength: 6 }),
        slotted: fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }),
        numbers: fc.array(fc.nat({ max: 40 }), { minLength: 30, maxLength: 30 }),
        texts: fc.array(tokens, { minLength: 10, maxLength: 10 }),
        nowMs: fc.nat({ max: 200 }),
      })
      .map(({ needs, slotted, numbers, texts, nowMs }) => {
        let next = 0;
        const number = () => numbers[next++ % numbers.length]!;
        const slots = Array.from({ length: 2 }, (_, slot) => {
          const owner = slotted[slot] && slot < needs.length ? slot : null;
          const idleSinceMs = number() < 20 ? number() : Number.POSITIVE_INFINITY;
          return {
            slot,
            owner,
            principal: "one",
            rowsServed: number(),
            lastUsedMs: number(),
            idleSinceMs,
            held: texts[slot]!,
          };
        });
        const sessions = needs.map((need, key) => {
          const slot = slotted[key] && key < slots.length ? key : -1;
          const wanted = slot < 0 ? texts[4 + key]! : NOTHING;
          const prefillTokens = slot < 0 ? wanted.length : number();
          const acceptance = number() < 20 ? number() / 40 : null;
          const given = {
            need,
            slot,
            wanted,
            prefillTokens,
            acceptance,
            rows: number(),
            rowsOnceHeld: number(),
          };
          return record(key, { ...given, readySinceMs: number() });
        });
        const world: SchedulerState = {
          sessions,
          slots,
          limits,
          shares: new Map(),
          cost: { ...FREE, msPerRow: number() },
        };
        return { world, nowMs };
      });
    let acquired = 0;
    let evicted = 0;
    fc.assert(
      fc.property(worlds, ({ world, nowMs }) => {
        const before = structuredClone(world);
        const first = nextPass(world, nowMs);
        expect(nextPass(world, nowMs)).toEqual(first);
        expect(world).toEqual(before);
        acquired += first.acquisitions.length;
        evicted += first.acquisitions.filter((one) => one.evicted !== null).length;
        checkBounds(world, first.grants);
      }),
      { numRuns: 500, seed: 1 },
    );
    // It meets what there is to meet.
    expect(acquired).toBeGreaterThan(100);
    expect(evicted).toBeGreaterThan(10);
  });

  function checkBounds({ limits: most }: SchedulerState, grants: ReturnType<typeof nextPass>["grants"]) {
    const rows = grants.reduce((sum, grant) => sum + grant.rows, 0);
    const prefill = grants.reduce((sum, grant) => sum + grant.prefillTokens, 0);
    expect(rows).toBeLessThanOrEqual(most.passRows);
    expect(prefill).toBeLessThanOrEqual(most.prefillTokens);
    expect(rows + prefill).toBeLessThanOrEqual(most.passTokens);
    expect(new Set(grants.map(({ slot }) => slot)).size).toBe(grants.length);
  }
});

describe("nextPass, between principals", () => {
  /** A pass takes 10 ms, 1 ms a row and 1 ms a token of a prompt. */
  const cost = {
    baseMs: 10,
    isStale: false,
    msPerRow: 1,
    byRowsMs: new Float64Array(0),
    msPerPromptToken: 1,
  };
  const wide = { ...limits, passTokens: 1000, passRows: 100, prefillTokens: 500 };
  const greedy = (count: number, given: Partial<SessionRecord> = {}) =>
    Array.from({ length: count }, (_, i) => record(10 + i, { principal: "greedy", slot: 10 + i, ...given }));
  const beside = (
    sessions: SessionRecord[],
    given: Partial<SchedulerState> = {},
    shares = { greedy: { weight: 1, served: 0 }, modest: { weight: 1, served: 0 } },
  ) =>
    nextPass(
      { ...state(...sessions), limits: wide, cost, shares: new Map(Object.entries(shares)), ...given },
      0,
    ).grants;
  const tokens = (grants: ReturnType<typeof beside>, principal: string) =>
    grants
      .filter(({ session }) => (session >= 10 ? "greedy" : "modest") === principal)
      .reduce((sum, { prefillTokens, rows }) => sum + prefillTokens + rows, 0);

  it("takes the principal first that was served least, whoever waits longest", () => {
    const sessions = [...greedy(2, { readySinceMs: 0 }), record(1, { principal: "modest", readySinceMs: 5 })];
    const order = (served: number) =>
      beside(sessions, {}, { greedy: { weight: 1, served: 100 }, modest: { weight: 1, served } })[0]!.session;
    expect(order(99)).toBe(1);
    expect(order(101)).toBe(10);
  });

  it("lets a pass take no longer for one than it takes for the other alone, by weight", () => {
    const one = record(1, { principal: "modest", rows: 4 });
    const long = greedy(30, { prefillTokens: 500 });
    const grants = beside([one, ...long]);
    expect(tokens(grants, "modest")).toBe(4);
    // 10 ms and 4 rows of the other.
    expect(tokens(grants, "greedy")).toBe(14);
    const heavy = beside(
      [one, ...long],
      {},
      {
        greedy: { weight: 3, served: 0 },
        modest: { weight: 1, served: 0 },
      },
    );
    expect(tokens(heavy, "greedy")).toBe(42);
    // Control: without shares the pass is as long as it may be.
    expect(tokens(beside([one, ...long], { shares: new Map() }), "greedy")).toBeGreaterThan(499);
  });

  it("keeps passes short for a principal that has nothing to do just now", () => {
    expect(tokens(beside(greedy(30, { prefillTokens: 500 })), "greedy")).toBe(11);
  });

  it("lets neither hold the other back when both have much to do", () => {
    const modest = Array.from({ length: 3 }, (_, i) =>
      record(i, { principal: "modest", slot: i, prefillTokens: 200, readySinceMs: 9 }),
    );
    const grants = beside([...greedy(3, { prefillTokens: 200 }), ...modest], {
      limits: { ...wide, passTokens: 2000, prefillTokens: 2000 },
    });
    expect(tokens(grants, "modest")).toBe(603);
    expect(Math.abs(tokens(grants, "greedy") - 603)).toBeLessThan(15);
  });

  it("gives each principal one token, however little time there is", () => {
    const slow = {
      baseMs: 1,
      isStale: false,
      msPerRow: 50,
      byRowsMs: new Float64Array(0),
      msPerPromptToken: 50,
    };
    const grants = beside([record(1, { principal: "modest" }), ...greedy(5)], { cost: slow });
    expect([tokens(grants, "modest"), tokens(grants, "greedy")]).toEqual([1, 1]);
  });

  it("feeds no prompt where it is time to learn what a pass takes without, and something decodes", () => {
    const long = greedy(3, { prefillTokens: 500 });
    const stale = { cost: { ...cost, isStale: true } };
    expect(tokens(beside([record(1, { principal: "modest" }), ...long], stale), "greedy")).toBe(0);
    expect(tokens(beside(long, stale), "greedy")).toBeGreaterThan(0);
    const short = greedy(3, { prefillTokens: 9 });
    expect(tokens(beside([record(1, { principal: "modest" }), ...short], stale), "greedy")).toBeGreaterThan(
      0,
    );
    const alone = { shares: new Map([["greedy", { weight: 1, served: 0 }]]) };
    const one = record(1, { principal: "greedy" });
    expect(tokens(beside([one, ...long], { ...stale, ...alone }), "greedy")).toBeGreaterThan(100);
  });
});
