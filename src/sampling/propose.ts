import type { Distribution } from "./distribution.ts";
import type { Coupling } from "./question.ts";
import { Purpose, type Seed, uniform } from "./random.ts";
import { applySampler, type SamplerSettings, SamplerWorkspace, type TokenSet } from "./sampler.ts";

/** What made a draft: a model, an earlier place of the text, or a grammar that leaves little choice. */
export const DRAFT_SOURCES = ["model", "lookup", "grammar"] as const;

export type DraftSource = (typeof DRAFT_SOURCES)[number];

/** A draft, with the distribution that it was drawn from. */
export interface Proposal {
  /** default: a model */
  readonly source?: DraftSource;
  readonly token: number;
  /** q(token), rounded to 32 bits as it travels */
  readonly q: number;
  /** q whole, kept for the residual; null under Gumbel coupling, where it is not needed */
  readonly distribution: Distribution | null;
}

/** For distributions that are of no use after their draft: V numbers for each of them would keep the collector busy. */
const COUPLED = new SamplerWorkspace();

/**
 * The drafter's choice at a position.
 * @param row the drafter's logits, Float32Array[V]; not kept
 * @param history the tokens before the position, as many as the penalties look back on
 * @param allowed by a grammar; null: everything
 */
export function propose(
  row: Float32Array,
  settings: SamplerSettings,
  history: Int32Array,
  coupling: Coupling,
  seed: Seed,
  position: number,
  lineage: number,
  allowed: TokenSet | null = null,
): Proposal {
  // Under rejection coupling the distribution outlives this call.
  const workspace = coupling === "gumbel" ? COUPLED : new SamplerWorkspace();
  const distribution = applySampler(row, settings, history, workspace, allowed);
  if (coupling === "gumbel") return { token: distribution.winner(seed, position), q: 1, distribution: null };
  const token = distribution.sample(uniform(seed, Purpose.draft, position, lineage, 0));
  return { token, q: distribution.probability(token), distribution };
}
