import { acceptedPerCycle, asyncTokensPerSecond, type CycleTimes, syncTokensPerSecond } from "./formulas.ts";

/**
 * What the PicoSpec paper (arXiv 2603.19133) measured, as published: a Jetson AGX as the edge, an A100 as the
 * cloud, drafts of 4 tokens, a round trip that it does not state. Its TPOT is per round, and its T_verify
 * contains the network. AceSpec is its successor, arXiv 2609.02514.
 */

export const PAPER_SOURCE = "arXiv 2603.19133";

/** Drafts a segment, as the paper says. */
export const PAPER_GAMMA = 4;

/** A row of the ablation. */
export interface PaperRow extends CycleTimes {
  readonly tokensPerSecond: number;
}

export const PAPER_ROWS = [
  "full",
  "withoutParallelDrafting",
  "withoutFastVerification",
  "withoutSeparateRejection",
] as const;
export type PaperRowName = (typeof PAPER_ROWS)[number];

/** One pair of models on one benchmark. */
export interface PaperColumn extends Readonly<Record<PaperRowName, PaperRow>> {
  readonly pair: string;
  readonly benchmark: string;
  /** the cloud alone */
  readonly cloudTokensPerSecond: number;
  /** against the cloud alone */
  readonly vanillaSpeedUp: number;
  readonly splitInferenceSpeedUp: number;
  readonly speedUp: number;
  /** tokens accepted a cycle */
  readonly accepted: number;
  /** AceSpec; null: not published */
  readonly successorSpeedUp: number | null;
  /** with which the closed forms give the column's throughputs: our fit, not published */
  readonly fit: { readonly alpha: number; readonly gamma: number };
}

/** T_verify, T_draft (ms), tokens/s: the order of the paper's table. */
const row = (answerMs: number, draftMs: number, tokensPerSecond: number): PaperRow => ({
  answerMs,
  draftMs,
  tokensPerSecond,
});

const QWEN = "Qwen3 0.6B / 32B";
const LLAMA = "Llama 3 1B / 70B";

export const PAPER_COLUMNS = {
  qwenGsm8k: {
    pair: QWEN,
    benchmark: "GSM8K",
    cloudTokensPerSecond: 13.89,
    vanillaSpeedUp: 0.58,
    splitInferenceSpeedUp: 0.54,
    speedUp: 1.45,
    accepted: 2.5,
    successorSpeedUp: 1.75,
    full: row(87.35, 97.46, 20.19),
    withoutParallelDrafting: row(119.81, 123.91, 11.92),
    withoutFastVerification: row(106.56, 97.3, 17.87),
    withoutSeparateRejection: row(166.98, 100.96, 12.62),
    fit: { alpha: 0.8, gamma: 4 },
  },
  qwenHumanEval: {
    pair: QWEN,
    benchmark: "HumanEval",
    cloudTokensPerSecond: 14.18,
    vanillaSpeedUp: 0.44,
    splitInferenceSpeedUp: 0.53,
    speedUp: 1.13,
    accepted: 1.88,
    successorSpeedUp: null,
    full: row(78.04, 97.17, 16.04),
    withoutParallelDrafting: row(119.03, 124.08, 10.25),
    withoutFastVerification: row(109.14, 97.16, 13.86),
    withoutSeparateRejection: row(168.27, 99.98, 10.23),
    fit: { alpha: 0.72, gamma: 4 },
  },
  llamaGsm8k: {
    pair: LLAMA,
    benchmark: "GSM8K",
    cloudTokensPerSecond: 6.87,
    vanillaSpeedUp: 1.35,
    splitInferenceSpeedUp: 0.63,
    speedUp: 2.51,
    accepted: 4.29,
    successorSpeedUp: null,
    full: row(166.46, 171.05, 17.22),
    withoutParallelDrafting: row(194.68, 190.56, 12.51),
    withoutFastVerification: row(189.32, 170.93, 16.64),
    withoutSeparateRejection: row(283.79, 173.69, 12.12),
    fit: { alpha: 0.87, gamma: 7 },
  },
  llamaHumanEval: {
    pair: LLAMA,
    benchmark: "HumanEval",
    cloudTokensPerSecond: 6.86,
    vanillaSpeedUp: 1.45,
    splitInferenceSpeedUp: 0.66,
    speedUp: 2.9,
    accepted: 4.9,
    successorSpeedUp: 3.52,
    full: row(182.96, 172.41, 19.88),
    withoutParallelDrafting: row(186.6, 189.68, 13.6),
    withoutFastVerification: row(182.32, 171.64, 19.67),
    withoutSeparateRejection: row(281.84, 173.6, 14.29),
    fit: { alpha: 0.9, gamma: 7 },
  },
} as const satisfies Record<string, PaperColumn>;

export type PaperColumnName = keyof typeof PAPER_COLUMNS;

/** Draft lengths on Qwen GSM8K: T_draft in ms, tokens/s, tokens accepted a cycle. */
export const PAPER_DRAFT_LENGTHS = [
  { gamma: 3, draftMs: 73, tokensPerSecond: 19.06, accepted: 2.03 },
  { gamma: 4, draftMs: 97, tokensPerSecond: 20.19, accepted: 2.5 },
  { gamma: 5, draftMs: 121, tokensPerSecond: 18.12, accepted: 2.84 },
  { gamma: 6, draftMs: 145, tokensPerSecond: 17.12, accepted: 3.1 },
] as const;

/** Tokens/s by the paper's formulas from a row's own times: the row without Parallel Drafting by L_sync. */
export function predictedTokensPerSecond(
  name: PaperRowName,
  times: CycleTimes,
  alpha: number,
  gamma: number,
): number {
  const rate = name === "withoutParallelDrafting" ? syncTokensPerSecond : asyncTokensPerSecond;
  return rate(times, alpha, gamma);
}

/** How far the formulas lie from each row of a column: 0.06 is 6% above what was published. */
export function rowErrors(column: PaperColumn, alpha: number, gamma: number): Record<PaperRowName, number> {
  const error = (name: PaperRowName) =>
    predictedTokensPerSecond(name, column[name], alpha, gamma) / column[name].tokensPerSecond - 1;
  return {
    full: error("full"),
    withoutParallelDrafting: error("withoutParallelDrafting"),
    withoutFastVerification: error("withoutFastVerification"),
    withoutSeparateRejection: error("withoutSeparateRejection"),
  };
}

/** The acceptance at which a draft length gives this many accepted a cycle; null: none does, it is too many. */
export function impliedAcceptance(accepted: number, gamma: number): number | null {
  if (accepted > gamma) return null;
  let [low, high] = [0, 1];
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2;
    if (acceptedPerCycle(middle, gamma) < accepted) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

export interface ColumnFit {
  readonly alpha: number;
  /** of the four rows the one that lies furthest off, as a share */
  readonly worstError: number;
}

/** The acceptance with which the formulas come closest to all rows of a column, to three digits. */
export function bestFit(column: PaperColumn, gamma: number): ColumnFit {
  let best: ColumnFit = { alpha: 0, worstError: Number.POSITIVE_INFINITY };
  for (let thousandths = 1; thousandths <= 1000; thousandths++) {
    const alpha = thousandths / 1000;
    const worstError = Math.max(...Object.values(rowErrors(column, alpha, gamma)).map(Math.abs));
    if (worstError < best.worstError) best = { alpha, worstError };
  }
  return best;
}

/** Where the published numbers of a column do not go together with its draft length. */
export interface DraftLengthDoubt {
  /** more accepted a cycle than there were drafts */
  readonly acceptedTooMany: boolean;
  /** tokens/s times the time of a cycle, of the row where cycles follow each other: tokens a cycle */
  readonly tokensPerSyncCycle: number;
  /** more than the drafts and a bonus token */
  readonly tokensTooMany: boolean;
  /** least error of the formulas at that draft length, whatever the acceptance */
  readonly worstError: number;
}

export function draftLengthDoubt(column: PaperColumn, gamma: number): DraftLengthDoubt {
  const { draftMs, answerMs, tokensPerSecond } = column.withoutParallelDrafting;
  const tokensPerSyncCycle = (tokensPerSecond * (draftMs + answerMs)) / 1000;
  return {
    acceptedTooMany: column.accepted > gamma,
    tokensPerSyncCycle,
    tokensTooMany: tokensPerSyncCycle > gamma + 1,
    worstError: bestFit(column, gamma).worstError,
  };
}
