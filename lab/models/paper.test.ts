import { describe, expect, it } from "vitest";
import { asyncTokensPerSecond } from "./formulas.ts";
import {
  bestFit,
  draftLengthDoubt,
  impliedAcceptance,
  PAPER_COLUMNS,
  PAPER_DRAFT_LENGTHS,
  PAPER_GAMMA,
  PAPER_ROWS,
  type PaperColumn,
  rowErrors,
} from "./paper.ts";

/** How close the paper's formulas have to be to its measurements. */
const TOLERANCE = 0.06;

const columns: [string, PaperColumn][] = Object.entries(PAPER_COLUMNS);
const worst = (errors: Record<string, number>) => Math.max(...Object.values(errors).map(Math.abs));

describe("the paper's formulas and the paper's measurements", () => {
  it.each(columns)("agree on the four rows of %s within 6%", (_, column) => {
    expect(worst(rowErrors(column, column.fit.alpha, column.fit.gamma))).toBeLessThan(TOLERANCE);
  });

  it("agree on sixteen rows: none is omitted", () => {
    expect(columns.length * PAPER_ROWS.length).toBe(16);
  });

  it("do not agree when the row without Parallel Drafting is read as if it had it", () => {
    for (const [, { withoutParallelDrafting: row, fit }] of columns) {
      const rate = asyncTokensPerSecond(row, fit.alpha, fit.gamma);
      expect(rate / row.tokensPerSecond - 1).toBeGreaterThan(TOLERANCE);
    }
  });

  it("do not agree on Llama with the draft length that the paper states, whatever the acceptance", () => {
    for (const name of ["llamaGsm8k", "llamaHumanEval"] as const) {
      const column = PAPER_COLUMNS[name];
      expect(worst(rowErrors(column, column.fit.alpha, PAPER_GAMMA))).toBeGreaterThan(0.15);
      expect(bestFit(column, PAPER_GAMMA).worstError).toBeGreaterThan(0.15);
    }
  });

  it.each(PAPER_DRAFT_LENGTHS)("agree on drafts of $gamma within 6%", ({
    gamma,
    draftMs,
    tokensPerSecond,
  }) => {
    const { full, fit } = PAPER_COLUMNS.qwenGsm8k;
    const rate = asyncTokensPerSecond({ draftMs, answerMs: full.answerMs }, fit.alpha, gamma);
    expect(Math.abs(rate / tokensPerSecond - 1)).toBeLessThan(TOLERANCE);
  });

  it("do not agree on the draft lengths when misses are taken for hits", () => {
    for (const { gamma, draftMs, tokensPerSecond } of PAPER_DRAFT_LENGTHS) {
      const { full, fit } = PAPER_COLUMNS.qwenGsm8k;
      const hitsOnly = (1000 * (1 - fit.alpha ** gamma)) / (1 - fit.alpha) / Math.max(draftMs, full.answerMs);
      expect(hitsOnly / tokensPerSecond - 1).toBeGreaterThan(0.15);
    }
  });
});

describe("what was published", () => {
  it("has the speed-ups that its tokens/s give", () => {
    for (const [, { full, cloudTokensPerSecond, speedUp }] of columns) {
      expect(full.tokensPerSecond / cloudTokensPerSecond).toBeCloseTo(speedUp, 1);
    }
  });

  it("takes 24.4 ms a draft in every full row, if Llama drafts 7", () => {
    for (const [, { full, fit }] of columns) {
      expect(Math.abs(full.draftMs / fit.gamma - 24.4)).toBeLessThan(0.25);
    }
    expect(PAPER_COLUMNS.llamaGsm8k.full.draftMs / PAPER_GAMMA).toBeGreaterThan(42);
  });

  it("accepts more Llama drafts a cycle than there are with drafts of 4, and not with 7", () => {
    for (const name of ["llamaGsm8k", "llamaHumanEval"] as const) {
      const column = PAPER_COLUMNS[name];
      expect(draftLengthDoubt(column, PAPER_GAMMA).acceptedTooMany).toBe(true);
      expect(impliedAcceptance(column.accepted, PAPER_GAMMA)).toBeNull();
      expect(impliedAcceptance(column.accepted, 7)!).toBeCloseTo(column.fit.alpha, 1);
    }
  });

  it("commits more tokens in a Llama cycle without overlap than 4 drafts and a bonus token", () => {
    const llama = draftLengthDoubt(PAPER_COLUMNS.llamaHumanEval, PAPER_GAMMA);
    expect(llama.tokensTooMany).toBe(true);
    expect(llama.tokensPerSyncCycle).toBeCloseTo(5.12, 2);
    for (const name of ["qwenGsm8k", "qwenHumanEval"] as const) {
      const { acceptedTooMany, tokensTooMany, worstError } = draftLengthDoubt(
        PAPER_COLUMNS[name],
        PAPER_GAMMA,
      );
      expect([acceptedTooMany, tokensTooMany]).toEqual([false, false]);
      expect(worstError).toBeLessThan(0.03);
    }
  });

  it("accepts at one rate whatever the draft length", () => {
    const rates = PAPER_DRAFT_LENGTHS.map(({ gamma, accepted }) => impliedAcceptance(accepted, gamma)!);
    for (const rate of rates) expect(Math.abs(rate - 0.817)).toBeLessThan(0.004);
  });
});
