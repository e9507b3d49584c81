import { describe, expect, it } from "vitest";
import { draws } from "../../../test/support/world.ts";
import { type DraftOutlook, waitMs, worthwhileRows } from "./launch.ts";

/** Four drafts in one frame, in two milliseconds, and a pass of a hundred that brings a token by itself. */
const fourSoon: DraftOutlook = {
  pending: 0,
  acceptance: 0.8,
  nextInMs: 2,
  spacingMs: 1000,
  slackMs: 0,
  frameTokens: 4,
  passMs: 100,
  edge: "other",
  tokensPerMs: 1 / 100,
  msPerRow: 0,
};

function randomOutlook(random: () => number): DraftOutlook {
  const pick = <T>(...choices: T[]): T => choices[Math.floor(random() * choices.length)]!;
  const passMs = pick(15, 50, 100, 200);
  const edge = pick("level", "startsOver", "other" as const);
  return {
    pending: edge === "level" ? 0 : pick(0, 0, 1, 2, 3),
    acceptance: pick(0, 0.3, 0.6, 0.8, 0.95),
    nextInMs: pick(0.02, 0.05, 0.09, 0.2, 0.45, Number.POSITIVE_INFINITY) * passMs,
    spacingMs: pick(0.05, 0.1, 0.5) * passMs,
    slackMs: 0,
    frameTokens: pick(1, 2, 4),
    passMs,
    edge,
    tokensPerMs: (0.3 + 3 * random()) / passMs,
    msPerRow: pick(0, 0, 0.02, 0.2) * passMs,
  };
}

/** Most of a pass that is ever waited. */
const mostMs = ({ edge, passMs }: DraftOutlook) =>
  ({ level: 0.4, startsOver: 0.5, other: 0.1 })[edge] * passMs;

describe("waitMs", () => {
  it("waits when four drafts are about to arrive, in one frame or in four", () => {
    expect(waitMs(fourSoon, 0)).toBe(2);
    expect(waitMs({ ...fourSoon, frameTokens: 1, spacingMs: 1.5 }, 0)).toBeGreaterThanOrEqual(2 + 3 * 1.5);
  });

  it("waits a little longer than expected where drafts come a little sooner or later", () => {
    expect(waitMs({ ...fourSoon, slackMs: 3 }, 0)).toBe(5);
  });

  it("starts at once when nothing is expected, or nothing soon, or what comes is rejected", () => {
    expect(waitMs({ ...fourSoon, nextInMs: Number.POSITIVE_INFINITY }, 0)).toBe(-1);
    expect(waitMs({ ...fourSoon, nextInMs: 10.1 }, 0)).toBe(-1);
    expect(waitMs({ ...fourSoon, acceptance: 0 }, 0)).toBe(-1);
  });

  it("starts at once when time or rows are worth more than the drafts", () => {
    // A wait of 8 ms costs .16 tokens at the rate of two a pass, and four drafts that are mostly rejected bring .43.
    const some = { ...fourSoon, nextInMs: 8, acceptance: 0.3 };
    expect(waitMs({ ...some, tokensPerMs: 0.02 }, 0)).toBe(8);
    expect(waitMs({ ...some, tokensPerMs: 0.1 }, 0)).toBe(-1);
    expect(waitMs({ ...some, tokensPerMs: 0.02, msPerRow: 14 }, 0)).toBe(-1);
  });

  it("starts at once with three drafts at hand, unless the edge is starting over", () => {
    expect(waitMs({ ...fourSoon, pending: 2 }, 0)).toBe(2);
    expect(waitMs({ ...fourSoon, pending: 3 }, 0)).toBe(-1);
    expect(waitMs({ ...fourSoon, pending: 3, edge: "startsOver" }, 0)).toBe(2);
  });

  it("waits longer for an edge that is level with the cloud, or starts over", () => {
    const later = { ...fourSoon, nextInMs: 35 };
    expect(waitMs(later, 0)).toBe(-1);
    expect(waitMs({ ...later, edge: "level" }, 0)).toBe(35);
    expect(waitMs({ ...later, edge: "startsOver" }, 0)).toBe(35);
  });

  it("never waits longer than its share of a pass, the wait so far included", () => {
    const random = draws(1);
    let [waits, cut] = [0, 0];
    for (let i = 0; i < 20_000; i++) {
      const outlook = { ...randomOutlook(random), slackMs: 60 * random() };
      const waitedMs = random() < 0.5 ? 0 : 0.6 * outlook.passMs * random();
      const wait = waitMs(outlook, waitedMs);
      if (wait < 0) continue;
      waits++;
      expect(waitedMs + wait).toBeLessThanOrEqual(mostMs(outlook) + 1e-9);
      // How often the bound cuts a wait short: without it this test would fail.
      if (waitedMs + wait > mostMs(outlook) - 1e-9) cut++;
    }
    expect(waits).toBeGreaterThan(2000);
    expect(cut).toBeGreaterThan(1000);
  });

  it("waits for the frame that makes the most of this pass and the next, and only where that is worth the time", () => {
    const random = draws(2);
    let waits = 0;
    for (let i = 0; i < 2000; i++) {
      const outlook = randomOutlook(random);
      const { nextInMs, spacingMs, pending, edge } = outlook;
      if (pending > 2 && edge === "other") continue;
      const wait = waitMs(outlook, 0);
      let best = worthOf(outlook, null);
      for (let atMs = nextInMs; atMs <= mostMs(outlook); atMs += spacingMs) {
        best = Math.max(best, worthOf(outlook, atMs));
      }
      if (wait >= 0) waits++;
      // It leaves out drafts with a chance of less than a thousandth.
      expect(worthOf(outlook, wait < 0 ? null : wait)).toBeGreaterThan(best - 0.005);
    }
    expect(waits).toBeGreaterThan(250);
  });
});

/** Tokens of this pass and of the one that may follow, less what time costs. @param atMs null: at once, without waiting */
function worthOf(outlook: DraftOutlook, atMs: number | null): number {
  const { acceptance, pending, nextInMs, spacingMs, frameTokens, tokensPerMs } = outlook;
  const comeBy = (ms: number) => {
    let drafts = 0;
    for (let frame = 0; frame < 1000 && nextInMs + frame * spacingMs <= ms + 1e-6; frame++)
      drafts += frameTokens;
    return drafts;
  };
  const startMs = atMs ?? 0;
  const here = pending + (atMs === null ? 0 : comeBy(startMs));
  const pass = bestPass(outlook, here);
  const during = pending + comeBy(startMs + pass.ms) - here;
  // All are accepted, and so is the next, which is this pass's own last token: what came meanwhile goes on from there.
  const goesOn = during > 0 ? acceptance ** (here + 1) : 0;
  return pass.net - tokensPerMs * startMs + goesOn * Math.max(0, bestPass(outlook, during - 1).net);
}

/** Over as many drafts as is best: tokens, added up over how many of them are accepted, less the time's worth. */
function bestPass(outlook: DraftOutlook, drafts: number): { net: number; ms: number } {
  const { acceptance, tokensPerMs, passMs, msPerRow } = outlook;
  let best = { net: Number.NEGATIVE_INFINITY, ms: 0 };
  for (let rows = 0; rows <= Math.max(0, drafts); rows++) {
    let mean = 0;
    for (let accepted = 0; accepted <= rows; accepted++) {
      const probability = acceptance ** accepted * (accepted < rows ? 1 - acceptance : 1);
      mean += probability * (accepted + 1);
    }
    const ms = passMs + rows * msPerRow;
    const net = mean - tokensPerMs * ms;
    if (net > best.net + 1e-12) best = { net, ms };
  }
  return best;
}

/** What rows take more than one where each takes as long. */
const line = (msPerRow: number) => (rows: number) => msPerRow * (rows - 1);

describe("worthwhileRows", () => {
  /** Tokens of a pass with so many rows, on average. */
  const tokens = (acceptance: number, rows: number) => {
    let total = 0;
    for (let row = 0; row < rows; row++) total += acceptance ** row;
    return total;
  };
  const counts = Array.from({ length: 64 }, (_, i) => i + 1);
  const best = (value: (rows: number) => number) =>
    counts.reduce((a, b) => (value(b) > value(a) + 1e-12 ? b : a));

  it("makes the most tokens per time, by trying every number of rows", () => {
    for (const acceptance of [0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.97]) {
      for (const msPerRow of [0.1, 1, 5, 10, 21, 60]) {
        const rate = (rows: number) => tokens(acceptance, rows) / (100 + msPerRow * (rows - 1));
        const rows = best(rate);
        expect(worthwhileRows(acceptance, rate(rows), line(msPerRow), 64), `${acceptance} ${msPerRow}`).toBe(
          rows,
        );
        // From the rate of one row, by its own choices: Dinkelbach's method ends at the best.
        let own = 1;
        for (let i = 0; i < 10; i++) own = worthwhileRows(acceptance, rate(own), line(msPerRow), 64);
        expect(own).toBe(rows);
      }
    }
  });

  it("makes the most of tokens less the time they cost, at any rate of the server", () => {
    const random = draws(3);
    for (let i = 0; i < 1000; i++) {
      const [acceptance, tokensPerMs, msPerRow] = [random(), 0.2 * random(), 20 * random()];
      const net = (rows: number) => tokens(acceptance, rows) - tokensPerMs * msPerRow * rows;
      expect(worthwhileRows(acceptance, tokensPerMs, line(msPerRow), 64)).toBe(best(net));
    }
  });

  it("computes all rows that there are where they are free, and one where they are dear", () => {
    expect(worthwhileRows(0.01, 1, line(0), 7)).toBe(7);
    expect(worthwhileRows(1, 0.01, line(20), 9)).toBe(9);
    expect(worthwhileRows(0.9, 0.01, line(95), 64)).toBe(1);
    expect(worthwhileRows(0, 0.01, line(0), 64)).toBe(1);
  });

  it("control: with an acceptance that is .2 off the same comparison fails", () => {
    const rate = (rows: number) => tokens(0.6, rows) / (100 + 10 * (rows - 1));
    const rows = best(rate);
    expect(worthwhileRows(0.6, rate(rows), line(10), 64)).toBe(rows);
    for (const wrong of [0.4, 0.8]) expect(worthwhileRows(wrong, rate(rows), line(10), 64)).not.toBe(rows);
  });
});
