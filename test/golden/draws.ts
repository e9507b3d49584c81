import { type ChiSquare, chiSquare, upperGamma } from "../../lab/models/statistics.ts";
import { toyLogits } from "../../src/engine/toy/language.ts";
import {
  applySampler,
  historyTokens,
  type SamplerSettings,
  SamplerWorkspace,
} from "../../src/sampling/sampler.ts";
import { expectedText } from "../fuzz/oracle.ts";
import { type EdgePlan, PATIENT_MS, planOf, type SessionPlan, type WorldPlan } from "../fuzz/plan.ts";
import { FuzzWorld } from "../fuzz/world.ts";
import { draws } from "../support/world.ts";

/**
 * The sessions of the fault search whose text chance and time decide together: no text of theirs is right or wrong, but
 * each token has to come from the target's distribution p. So each token is turned into a number that is uniform in
 * [0, 1) if it does (Rosenblatt's transform, made continuous: tokens laid side by side by probability, and a point
 * drawn within the token's own part). These numbers are independent whatever the languages, prompts and samplers, so
 * all of them can be counted together, in bins that expect the same.
 *
 * In which order the tokens lie decides what is seen. By p: a wrong temperature or a cut-off tail. By p / q, q being
 * the drafter's: drafts that are accepted too easily, and residuals that are not p - q.
 *
 * Only sessions that nothing can end early count, as their plan says it and not their end: which texts are cut off by
 * a fault depends on how fast they were, and that on what they say.
 */

export const DRAWS_FILE = "test/golden/draws.json";
const BINS = 20;
const ORDERS = ["p", "p / q"] as const;

export interface Draws {
  readonly sessions: number;
  readonly tokens: number;
  /** tokens that p does not allow */
  readonly impossible: number;
  /** sessions that did not end by themselves: none, or the selection is wrong */
  readonly cutOff: number;
  /** tokens in each bin, by order */
  readonly bins: Readonly<Record<(typeof ORDERS)[number], readonly number[]>>;
}

/**
 * What came of seeds [0, seeds).
 * @param asked what sessions are really opened with, for controls: p is worked out from the plan as it was
 */
export function sampleDraws(
  seeds: number,
  asked: (sampler: SamplerSettings) => SamplerSettings = (sampler) => sampler,
): Draws {
  const found = { sessions: 0, tokens: 0, impossible: 0, cutOff: 0 };
  const empty = () => new Array<number>(BINS).fill(0);
  const bins = { p: empty(), "p / q": empty() };
  for (let seed = 0; seed < seeds; seed++) {
    const plan = planOf(seed);
    const counts = plan.edges.map((edge) => edge.sessions.map((session) => isCounted(plan, edge, session)));
    if (!counts.flat().includes(true)) continue;
    const world = new FuzzWorld(withSampler(plan, asked), { judges: false });
    world.run();
    const point = draws(seed + 0x2_0000_0000);
    for (const [i, edge] of world.edges.entries()) {
      for (const [j, { tokens, outcome }] of edge.runs.entries()) {
        if (!counts[i]![j]) continue;
        found.sessions++;
        if (outcome?.kind !== "done") found.cutOff++;
        for (const u of uniforms(plan, plan.edges[i]!.sessions[j]!, tokens, point)) {
          found.tokens++;
          if (u === null) found.impossible++;
          else for (const order of ORDERS) bins[order]![Math.floor(u[order] * BINS)]!++;
        }
      }
    }
  }
  return { ...found, bins };
}

function isCounted({ tight, targetFails, language }: WorldPlan, edge: EdgePlan, session: SessionPlan) {
  const { pass, row, held } = targetFails;
  const calm = !tight && pass + row + held + edge.drafterFails === 0 && edge.ends === null;
  const patient = edge.reconnectWithinMs === PATIENT_MS && edge.secrets;
  const whole = edge.sessions.every(({ cancel }) => cancel === null);
  return calm && patient && whole && expectedText(session, edge, language) === null;
}

function withSampler(plan: WorldPlan, asked: (sampler: SamplerSettings) => SamplerSettings): WorldPlan {
  const changed = (session: SessionPlan) => ({ ...session, sampler: asked(session.sampler) });
  return { ...plan, edges: plan.edges.map((edge) => ({ ...edge, sessions: edge.sessions.map(changed) })) };
}

const workspace = new SamplerWorkspace();

/** For each token, where it lies by each order; null: p does not allow it. */
function* uniforms(
  { language }: WorldPlan,
  { prompt, sampler }: SessionPlan,
  tokens: readonly number[],
  point: () => number,
) {
  const text = [...prompt];
  for (const token of tokens) {
    const history = Int32Array.from(text.slice(Math.max(0, text.length - historyTokens(sampler))));
    const distribution = (side: "target" | "drafter") => {
      const row = toyLogits(language, Int32Array.from(text), side);
      return applySampler(row, sampler, history, workspace).dense(row.length).slice();
    };
    const [p, q] = [distribution("target"), distribution("drafter")];
    const at = point();
    const place = (key: (id: number) => number) => {
      const before = [...p.keys()].filter(
        (id) => key(id) > key(token) || (key(id) === key(token) && id < token),
      );
      const sum = before.reduce((total, id) => total + p[id]!, 0);
      return Math.min(1 - 1e-9, sum + at * p[token]!);
    };
    const ratio = (id: number) => (p[id]! === 0 ? 0 : p[id]! / q[id]!);
    yield p[token]! > 0 ? { p: place((id) => p[id]!), "p / q": place(ratio) } : null;
    text.push(token);
  }
}

/** Of each order against equal bins: whether the tokens come from p. */
export function goodnessOfFit({ bins }: Draws): Record<string, ChiSquare> {
  const name = (_: number, i: number) => String(i);
  const equal = new Map(Array.from({ length: BINS }, name).map((bin) => [bin, 1 / BINS]));
  return Object.fromEntries(
    ORDERS.map((order) => [
      order,
      chiSquare(new Map(bins[order].map((count, i) => [String(i), count])), equal),
    ]),
  );
}

/**
 * Of each order, whether two samples come from one distribution: chi-square of a table of two rows.
 * @returns p-values; 1 where the counts are the same
 */
export function sameDistribution(one: Draws, other: Draws): Record<string, number> {
  return Object.fromEntries(
    ORDERS.map((order) => {
      const statistic = one.bins[order].reduce((sum, count, i) => {
        const [a, b] = [count / one.tokens, other.bins[order][i]! / other.tokens];
        const pooled = (count + other.bins[order][i]!) / (one.tokens + other.tokens);
        return sum + (a - b) ** 2 / (pooled * (1 / one.tokens + 1 / other.tokens));
      }, 0);
      return [order, upperGamma((BINS - 1) / 2, statistic / 2)];
    }),
  );
}
