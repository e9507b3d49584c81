import { POLICIES } from "../../src/decoding/policy.ts";
import type { PassEngine } from "../../src/engine/engine.ts";
import { toSeed } from "../../src/sampling/random.ts";
import type { SamplerSettings } from "../../src/sampling/sampler.ts";
import { parseScenario } from "../models/scenario.ts";
import { simulate } from "../sim/simulate.ts";
import { feedPrompt, passOver } from "./bare-loop.ts";
import { timing } from "./measure.ts";

/** What the simulator says of this machine, fed with what was measured on it without a cloud and an edge. */

const MOST_ROWS = 4;
const WARM_PASSES = 60;
const PASSES = 120;
const SIMULATED_ANSWERS = 200;

/** Times of passes over a sequence, draws included: medians, ms, number[MOST_ROWS], of 1, 2 … rows. */
export async function passTimes(
  engine: PassEngine,
  prompt: Int32Array,
  sampler: SamplerSettings,
): Promise<number[]> {
  const vocabulary = engine.info.vocabularySize;
  const samples: number[][] = Array.from({ length: MOST_ROWS }, () => []);
  const row = { tokens: [...prompt], seed: toSeed(1), slot: 0 };
  await feedPrompt(engine, row);
  for (let pass = 0; pass < WARM_PASSES + PASSES; pass++) {
    for (let rows = 1; rows <= MOST_ROWS; rows++) {
      // Any tokens will do; each pass takes the place of the one before.
      const next = Array.from({ length: rows - 1 }, (_, i) => (17 * pass + 31 * i + 5) % vocabulary);
      const startMs = performance.now();
      await passOver(engine, row, next, sampler);
      if (pass >= WARM_PASSES) samples[rows - 1]!.push(performance.now() - startMs);
    }
  }
  return samples.map((ms) => timing(ms).median);
}

export interface PredictionFacts {
  /** see `passTimes` */
  readonly passesMs: readonly number[];
  /** what a further row adds to a pass while drafts come in, see `rowCost` */
  readonly rowMs: number;
  readonly rttMs: number;
  /** one token of the drafter, while the target works beside */
  readonly draftMs: number;
  /** processor time of a frame on one side: of the link, not of what is in it */
  readonly frameMs: number;
  /** of drafts, 0 to 1 */
  readonly acceptance: number;
  readonly promptTokens: number;
  readonly answerTokens: number;
}

/**
 * Tokens a second for one client, by the simulator. Each side has one processor, which its frames take as well: an edge
 * sends one for every draft, and what a cloud's take is in the cost of a row.
 */
export function predictReal(facts: PredictionFacts): { readonly cloud: number; readonly race: number } {
  const asked = { seed: 1, edges: 1, answers: SIMULATED_ANSWERS };
  const policies = (["cloud", "race"] as const).map((name) => ({ name, policy: POLICIES[name] }));
  const [cloud, race] = simulate(scenarioOf(facts), policies, asked);
  return { cloud: cloud!.tokensPerSecond, race: race!.tokensPerSecond };
}

function scenarioOf({ passesMs, rowMs, acceptance, frameMs, draftMs, ...given }: PredictionFacts) {
  return parseScenario({
    ...given,
    passMs: passesMs[0],
    passMsPerToken: rowMs,
    draftMs: draftMs + frameMs,
    acceptance,
    acceptanceCoupled: acceptance,
    // Prompts are in the KV when the clock starts.
    prefillTokensPerSecond: 1e6,
    draftPrefillTokensPerSecond: 1e6,
  });
}
