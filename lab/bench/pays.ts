import type { Edge } from "../../src/edge/edge.ts";
import { toSeed } from "../../src/sampling/random.ts";
import type { Judged, PassSample } from "../models/fit.ts";
import { type PairedRatio, pairedRatio } from "./grid-paired.ts";

/** Whether race pays with a real cloud: both ways asked in turns, the same questions with the same seeds. */

export interface Pays extends PairedRatio {
  /** of answers */
  readonly pairs: number;
  /** null: the interval spans 1 */
  readonly verdict: "race" | "cloud" | null;
  /** of race's drafts */
  readonly coupled: Judged;
  /** of the cloud alone: a row each */
  readonly passes: readonly PassSample[];
}

export interface PaysOptions {
  readonly edge: Edge;
  readonly prompt: string;
  readonly temperature: number;
  /** of a pass of the target, about */
  readonly passMs: number;
  /** it ends with the pair in which it has taken so long, but not before the second; so long has each answer, too, ms */
  readonly withinMs: number;
}

/** An answer takes about so long. */
const ANSWER_MS = 3000;
const FEWEST_TOKENS = 8;
const MOST_TOKENS = 128;
/** Two give an interval, a wide one. */
const FEWEST_PAIRS = 2;
const MOST_PAIRS = 24;

/**
 * @returns null: answers are too short, or too slow, to tell in the time that there is
 * @throws CloudError, ConnectionError when the link breaks
 */
export async function measurePays(options: PaysOptions): Promise<Pays | null> {
  const { edge, prompt, temperature, passMs, withinMs } = options;
  /** a token of each way, as the pair before had it */
  const tokenMs: Record<"race" | "cloud", number> = { race: passMs, cloud: passMs };
  const times: Record<"race" | "cloud", number[]> = { race: [], cloud: [] };
  const coupled = { accepted: 0, judged: 0 };
  const passes: PassSample[] = [];
  const startMs = performance.now();
  // The first pair is for what is learnt and compiled at first.
  for (let pair = 0; pair <= MOST_PAIRS; pair++) {
    const isLate = performance.now() - startMs > withinMs;
    if (isLate && pair === 1) return null;
    if (isLate && pair > FEWEST_PAIRS) break;
    const order = pair % 2 === 0 ? (["cloud", "race"] as const) : (["race", "cloud"] as const);
    for (const policy of order) {
      const signal = AbortSignal.timeout(withinMs);
      const inTime = Math.round(ANSWER_MS / tokenMs[policy]);
      const maxTokens = Math.max(FEWEST_TOKENS, Math.min(MOST_TOKENS, inTime));
      const { statistics } = await edge.ask({
        prompt: [{ role: "user", content: prompt }],
        sampler: { temperature },
        seed: toSeed(pair),
        ...{ policy, maxTokens, signal },
      });
      const { firstTokenMs, lastTokenMs, tokens, accepted, rejected, usage } = statistics;
      coupled.accepted += accepted;
      coupled.judged += accepted + rejected;
      if (policy === "cloud" && usage && pair > 0) {
        passes.push({ rows: 1, ms: usage.targetMs / Math.max(1, usage.targetPasses) });
      }
      if (tokens < FEWEST_TOKENS) return null;
      // From the first token on: the prompt of the second is in the KV already.
      tokenMs[policy] = (lastTokenMs - firstTokenMs) / (tokens - 1);
      if (pair > 0) times[policy].push(tokenMs[policy]);
    }
  }
  const ratio = pairedRatio(times.race, times.cloud);
  const verdict = ratio.low > 1 ? "race" : ratio.high < 1 ? "cloud" : null;
  return { ...ratio, pairs: times.race.length, verdict, coupled, passes };
}
