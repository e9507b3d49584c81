import { tally } from "../../lab/models/statistics.ts";
import type { DecodingPolicy } from "../../src/decoding/policy.ts";
import { type ToyLanguage, toyLogits } from "../../src/engine/toy/language.ts";
import { toSeed } from "../../src/sampling/random.ts";
import { applySampler, SamplerWorkspace, samplerSettings } from "../../src/sampling/sampler.ts";
import { draws, END_TOKEN, randomSchedule, scheduled } from "../support/world.ts";
import { drawFate, type Fate, picker } from "./faults.ts";
import { type EdgePlan, PATIENT_MS, type WorldPlan } from "./plan.ts";
import { FuzzWorld } from "./world.ts";

/** Many answers of one tiny language, each over links that break, for tests of their distribution. */

/**
 * After this prompt, and with K = 1, witnesses run out in 2.3% of all answers, and what is left to draw then is far
 * from p: of 48,000 toy languages one of those in which a draw that starts over with a fresh draft is told most
 * surely from one that does not (by exact calculation).
 */
export const TINY: ToyLanguage = {
  seed: toSeed(158),
  vocabularySize: 5,
  order: 1,
  spread: 8,
  divergence: 5,
  contextTokens: 64,
};
const PROMPT = [3, 1, 4, 1, 2];
const TOKENS = 3;
const EDGES = 4;

const sampler = samplerSettings({ temperature: 1 });

export interface Case {
  readonly policy: DecodingPolicy;
  /** the drafter's context; it ends within the answer, and the cloud goes on alone */
  readonly drafterTokens?: number;
}

/** Probability of every answer that the target alone could give. */
export function expectedAnswers(): Map<string, number> {
  const answers = new Map<string, number>();
  const walk = (tokens: number[], probability: number) => {
    const answer = tokens.slice(PROMPT.length);
    if (answer.length === TOKENS || answer.at(-1) === END_TOKEN) {
      answers.set(answer.join(" "), probability);
      return;
    }
    const row = toyLogits(TINY, tokens, "target");
    const p = applySampler(row, sampler, Int32Array.from(tokens), new SamplerWorkspace()).dense(row.length);
    for (const [token, share] of p.entries()) if (share > 0) walk([...tokens, token], probability * share);
  };
  walk(PROMPT, 1);
  return answers;
}

/** Most links break, above all while the edge waits for witnesses. */
function fates(random: () => number): readonly Fate[] {
  const pick = picker(random);
  const waiting: Fate = {
    trigger: {
      kind: "frame",
      ...pick({ name: "witnessRequest", moment: "sent" }, { name: "witnesses", moment: "sent" }),
      nth: 1,
    },
    fault: pick(
      { kind: "break", edgeMs: 0, cloudMs: pick(0, 5, 3000) },
      { kind: "late", edgeMs: 0, frozenMs: pick(0, 300), cloudMs: 5000 },
    ),
  };
  return [...(random() < 0.8 ? [waiting] : []), ...(random() < 0.6 ? [drawFate(random)] : [])];
}

function planOf(seed: number, { policy, drafterTokens }: Case): WorldPlan {
  const random = draws(seed);
  const schedule = randomSchedule(random);
  const edge = (index: number): EdgePlan => ({
    sessions: [
      {
        policyName: "tiny",
        policy: { ...scheduled(policy, schedule) },
        sampler,
        seed: toSeed(seed * EDGES + index),
        prompt: PROMPT,
        maxTokens: TOKENS,
        opensAtMs: 0,
        cancel: null,
      },
    ],
    network: schedule.network,
    reconnectWithinMs: PATIENT_MS,
    secrets: true,
    homeServer: 0,
    faithful: true,
    stalls: [],
    drafter: {
      kind: "model",
      vocabularySize: TINY.vocabularySize,
      contextTokens: drafterTokens ?? TINY.contextTokens,
    },
    drafterStalls: { chance: 0, forMs: 0 },
    drafterFails: 0,
    ends: null,
    lingersMs: 0,
  });
  return {
    seed,
    language: TINY,
    schedule,
    servers: [[]],
    edges: Array.from({ length: EDGES }, (_, index) => edge(index)),
    faultsUntilMs: 60_000,
    fates,
    repeats: 0,
    targetFails: { pass: 0, row: 0, held: 0 },
    tight: false,
  };
}

export interface Sample {
  readonly counts: Map<string, number>;
  /** the faults that the worlds met */
  readonly happened: ReadonlyMap<string, number>;
}

export function sampleAnswers(tried: Case, answers: number): Sample {
  const given: string[] = [];
  const happened = new Map<string, number>();
  for (let seed = 0; seed < answers / EDGES; seed++) {
    const world = new FuzzWorld(planOf(seed, tried), { judges: false });
    world.run();
    for (const run of world.runs) given.push(run.tokens.join(" "));
    for (const [name, count] of world.happened) happened.set(name, (happened.get(name) ?? 0) + count);
  }
  return { counts: tally(given), happened };
}
