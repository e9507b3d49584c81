import { describe, expect, it } from "vitest";
import { Purpose, toSeed, uniform } from "../sampling/random.ts";
import { type DraftOutlook, waitMs, worthwhileRows } from "./launch.ts";

/** Four drafts in one frame, in two milliseconds, and a pass of a hundred. */
const fourSoon: DraftOutlook = {
  pending: 0,
  acceptance: 0.8,
  nextInMs: 2,
  spacingMs: 1000,
  slackMs: 0,
  frameTokens: 4,
  passMs: 100,
};
/** A token a pass, as without drafts. */
const RATE = 1 / 100;

/** Uniform draws in [0, 1) from a seed. */
function draws(seed: number): () => number {
  let index = 0;
  return () => uniform(toSeed(seed), Purpose.draft, 0, 0, index++);
}

function randomOutlook(random: () => number): DraftOutlook {
  const pick = (...choices: number[]) => choices[Math.floor(random() * choices.length)]!;
  const passMs = pick(15, 50, 100, 200);
  return {
    pending: pick(0, 0, 1, 2, 3),
    acceptance: pick(0, 0.3, 0.6, 0.8, 0.95, 1),
    nextInMs: pick(0.02, 0.05, 0.09, 0.2, Number.POSITIVE_INFINITY) * passMs,
    spacingMs: pick(0.02, 0.05, 0.1, 0.5) * passMs,
    slackMs: 0,
    frameTokens: pick(1, 2, 4),
    passMs,
  };
}

describe("waitMs", () => {
  it("waits when four drafts are about to arrive, in one frame or in four", () => {
    expect(waitMs(fourSoon, RATE, 0)).toBe(2);
    expect(waitMs({ ...fourSoon, frameTokens: 1, spacingMs: 1.5 }, RATE, 0)).toBeGreaterThanOrEqual(
      2 + 3 * 1.5,
    );
  });

  it("waits a little longer than expected where drafts come a little sooner or later", () => {
    expect(waitMs({ ...fourSoon, slackMs: 3 }, RATE, 0)).toBe(5);
  });

  it("starts at once when nothing is expected, or nothing soon, or what comes falls", () => {
    expect(waitMs({ ...fourSoon, nextInMs: Number.POSITIVE_INFINITY }, RATE, 0)).toBe(-1);
    expect(waitMs({ ...fourSoon, nextInMs: 10.1 }, RATE, 0)).toBe(-1);
    expect(waitMs({ ...fourSoon, acceptance: 0 }, RATE, 0)).toBe(-1);
  });

  it("starts at once when time is worth more than the drafts", () => {
    // A wait of 2 ms costs 2 ms of the rate, and four drafts bring 2.4 tokens, some of which the next pass had anyway.
    expect(waitMs(fourSoon, 0.1, 0)).toBe(2);
    expect(waitMs(fourSoon, 1.2, 0)).toBe(-1);
  });

  it("starts at once with three drafts at hand", () => {
    expect(waitMs({ ...fourSoon, pending: 2 }, RATE, 0)).toBe(2);
    expect(waitMs({ ...fourSoon, pending: 3 }, RATE, 0)).toBe(-1);
  });

  it("never waits longer than a tenth of a pass, the wait so far included, however late frames may be", () => {
    const random = draws(1);
    let [waits, bound] = [0, 0];
    for (let i = 0; i < 20_000; i++) {
      const outlook = { ...randomOutlook(random), slackMs: 60 * random() };
      const waitedMs = random() < 0.5 ? 0 : 0.15 * outlook.passMs * random();
      const wait = waitMs(outlook, random() / outlook.passMs, waitedMs);
      if (wait < 0) continue;
      waits++;
      expect(waitedMs + wait).toBeLessThanOrEqual(0.1 * outlook.passMs + 1e-9);
      // How often the bound cuts a wait short: without it this test would fail.
      if (waitedMs + wait > 0.1 * outlook.passMs - 1e-9) bound++;
    }
    expect(waits).toBeGreaterThan(2000);
    expect(bound).toBeGreaterThan(1000);
  });

  it("waits for the frame that makes the most of two passes, and only where that is worth the time", () => {
    const random = draws(2);
    let waits = 0;
    for (let i = 0; i < 2000; i++) {
      const outlook = randomOutlook(random);
      if (outlook.pending > 2) continue;
      const rate = (0.2 + 3 * random()) / outlook.passMs;
      const net = (atMs: number) => twoPasses(outlook, atMs) - twoPasses(outlook, 0) - rate * atMs;
      const wait = waitMs(outlook, rate, 0);
      let best = 0;
      const { nextInMs, spacingMs, passMs } = outlook;
      for (let atMs = nextInMs; atMs <= 0.1 * passMs; atMs += spacingMs) best = Math.max(best, net(atMs));
      if (wait >= 0) waits++;
      expect(wait < 0 ? 0 : net(wait)).toBeCloseTo(best, 9);
    }
    expect(waits).toBeGreaterThan(200);
  });
});

/**
 * Tokens of two passes on average, the first of which starts at `startMs`: added up over how many drafts in a row stand,
 * l of them with probability a^l (1 - a).
 */
function twoPasses(outlook: DraftOutlook, startMs: number): number {
  const { acceptance, passMs, pending, nextInMs, spacingMs, frameTokens } = outlook;
  const comeBy = (atMs: number) => {
    let drafts = 0;
    for (let frame = 0; frame < 1000 && nextInMs + frame * spacingMs <= atMs + 1e-6; frame++)
      drafts += frameTokens;
    return drafts;
  };
  // A pass that starts at once has none of those that are expected.
  const first = pending + (startMs === 0 ? 0 : comeBy(startMs));
  const both = Math.max(first, pending + comeBy(startMs + passMs));
  let mean = 0;
  for (let stand = 0; stand <= both + 1; stand++) {
    const probability = acceptance ** stand * (stand <= both ? 1 - acceptance : 1);
    // Its own last token is draft number first + 1, if that came and stands.
    const goesOn = stand > first && both > first;
    const second = goesOn ? 1 + Math.min(stand, both) - first - 1 : 1;
    mean += probability * (Math.min(stand, first) + 1 + second);
  }
  return mean;
}

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
        expect(worthwhileRows(acceptance, rate(rows), msPerRow, 64), `${acceptance} ${msPerRow}`).toBe(rows);
        // From the rate of one row, by its own choices: Dinkelbach's method ends at the best.
        let own = 1;
        for (let i = 0; i < 10; i++) own = worthwhileRows(acceptance, rate(own), msPerRow, 64);
        expect(own).toBe(rows);
      }
    }
  });

  it("makes the most of tokens less the time they cost, at any rate of the server", () => {
    const random = draws(3);
    for (let i = 0; i < 1000; i++) {
      const [acceptance, tokensPerMs, msPerRow] = [random(), 0.2 * random(), 20 * random()];
      const net = (rows: number) => tokens(acceptance, rows) - tokensPerMs * msPerRow * rows;
      expect(worthwhileRows(acceptance, tokensPerMs, msPerRow, 64)).toBe(best(net));
    }
  });

  it("computes all rows that there are where they are free, and one where they are dear", () => {
    expect(worthwhileRows(0.01, 1, 0, 7)).toBe(7);
    expect(worthwhileRows(1, 0.01, 20, 9)).toBe(9);
    expect(worthwhileRows(0.9, 0.01, 95, 64)).toBe(1);
    expect(worthwhileRows(0, 0.01, 0, 64)).toBe(1);
  });

  it("control: with an acceptance that is .2 off the same comparison fails", () => {
    const rate = (rows: number) => tokens(0.6, rows) / (100 + 10 * (rows - 1));
    const rows = best(rate);
    expect(worthwhileRows(0.6, rate(rows), 10, 64)).toBe(rows);
    for (const wrong of [0.4, 0.8]) expect(worthwhileRows(wrong, rate(rows), 10, 64)).not.toBe(rows);
  });
});
