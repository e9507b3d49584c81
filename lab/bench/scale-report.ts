import { type DecodingPolicy, POLICIES } from "../../src/decoding/policy.ts";
import {
  bestColocated,
  type Capacity,
  colocatedCapacity,
  colocatedTokensPerSecond,
  decodePassMs,
  edgeDraftedCapacity,
  plainCapacity,
  serverTimes,
} from "../models/colocated.ts";
import { offloadFactor } from "../models/formulas.ts";
import type { Scenario } from "../models/scenario.ts";
import { type Load, type LoadOptions, SCALE_SCENARIO, simulateLoad } from "./scale.ts";

/** How many sessions a server carries, by the simulator and by closed forms. */

export const SCALE_POLICIES = ["cloud", "vanilla", "picospec", "race"] as const;
export type ScalePolicy = (typeof SCALE_POLICIES)[number];

/** Tokens/s of each session over how many share the server. */
export interface ScaleCurve {
  readonly policy: ScalePolicy;
  readonly loads: readonly Load[];
}

/** How many sessions of a policy a server carries at a demanded rate, simulated. */
export interface ScaleCapacity {
  readonly policy: ScalePolicy;
  /** by bisection, to 2%; 0: not even one */
  readonly sessions: number;
}

export interface ScaleDemand {
  /** of each session */
  readonly tokensPerSecond: number;
  readonly simulated: readonly ScaleCapacity[];
  /** upper bounds: passes back to back, nothing queues */
  readonly closed: {
    readonly plain: Capacity;
    readonly colocated: Capacity;
    readonly edgeDrafted: Capacity;
  };
}

/** Co-located speculation at its best draft length with so many sessions in lockstep: the closed form. */
export interface ColocatedLoad {
  readonly edges: number;
  readonly gamma: number;
  readonly tokensPerSecond: number;
}

/** What it brings a server that edges draft for it: `vanilla` against co-located drafts of the same length. */
export interface OffloadGain {
  readonly edges: number;
  readonly rowsPerPass: number;
  /** of so many rows */
  readonly passMs: number;
  /** tokens/s of all edges, simulated, over the closed form of co-location with as many rows in a pass */
  readonly simulated: number;
  /** 1 + gamma t_d / t_v (arXiv 2606.25091) with t_v of that pass */
  readonly formula: number;
  /** the same with t_v of a pass of one row */
  readonly idleFormula: number;
}

export interface ScaleReport {
  readonly scenario: Scenario;
  readonly curves: readonly ScaleCurve[];
  readonly colocated: readonly ColocatedLoad[];
  readonly gains: readonly OffloadGain[];
  readonly demands: readonly ScaleDemand[];
}

export interface ScaleSize {
  readonly curveEdges: readonly number[];
  readonly tokensPerSecond: readonly number[];
  readonly options: LoadOptions;
}

/** Edges; the last only to see that it still works, at a token a second. */
const SCALE_SIZE: ScaleSize = {
  curveEdges: [10, 30, 100, 300, 1000, 3000, 10_000],
  tokensPerSecond: [10, 20, 40],
  options: { seed: 1, warmMs: 2000, countedMs: 3000 },
};

/** Where a server is so full that passes take long, sizes have to be learnt first, and enough has to be seen. */
const LEAST_PASSES = { warm: 15, counted: 10 };
/** Of all sessions together: chance evens out over many of them, and over time where they are few. */
const LEAST_COUNTED_MS = 120_000;
/** Bisection ends here. */
const PRECISION = 1.02;

/** @param progress hears of every load that was simulated */
export function scaleReport(
  size: ScaleSize = SCALE_SIZE,
  progress: (policy: ScalePolicy, load: Load) => void = () => {},
): ScaleReport {
  const scenario = SCALE_SCENARIO;
  const simulators = SCALE_POLICIES.map((policy) => {
    const known = new Map<number, Load>();
    const loadOf = (edges: number): Load => {
      const before = known.get(edges);
      if (before) return before;
      const load = longEnough(scenario, POLICIES[policy], edges, size.options);
      known.set(edges, load);
      progress(policy, load);
      return load;
    };
    return { policy, loadOf };
  });
  const curves = simulators.map(({ policy, loadOf }) => ({ policy, loads: size.curveEdges.map(loadOf) }));
  const demands = size.tokensPerSecond.map((tokensPerSecond) => ({
    ...closedForms(scenario, tokensPerSecond),
    simulated: simulators.map(({ policy, loadOf }) => ({
      policy,
      sessions: sessionsAt((edges) => loadOf(edges).tokensPerSecond, tokensPerSecond, size.curveEdges),
    })),
  }));
  const vanilla = curves.find(({ policy }) => policy === "vanilla")!;
  return {
    ...{ scenario, curves },
    colocated: size.curveEdges.map((edges) => colocatedLoad(scenario, edges)),
    gains: vanilla.loads.map((load) => offloadGain(scenario, load)),
    demands,
  };
}

function longEnough(scenario: Scenario, policy: DecodingPolicy, edges: number, options: LoadOptions): Load {
  const { passMs, passMsPerToken, passFreeRows } = scenario;
  const onePassMs = passMs + passMsPerToken * Math.max(0, edges - passFreeRows);
  return simulateLoad(scenario, policy, edges, {
    ...options,
    warmMs: Math.max(options.warmMs, LEAST_PASSES.warm * onePassMs),
    countedMs: Math.max(options.countedMs, LEAST_PASSES.counted * onePassMs, LEAST_COUNTED_MS / edges),
  });
}

/**
 * Most sessions that still have the rate, by bisection between numbers of them that have been tried: a session is
 * slower the more there are. At most the largest number that was tried.
 */
export function sessionsAt(
  rate: (sessions: number) => number,
  demand: number,
  tried: readonly number[],
): number {
  let low = 0;
  let high = Math.max(...tried) + 1;
  for (const sessions of [...tried].sort((a, b) => a - b)) {
    if (sessions >= high) break;
    if (rate(sessions) >= demand) low = sessions;
    else high = sessions;
  }
  while (high - low > 1 && high > low * PRECISION) {
    const middle = low === 0 ? Math.floor(high / 2) : Math.round(Math.sqrt(low * high));
    const next = Math.min(high - 1, Math.max(low + 1, middle));
    if (rate(next) >= demand) low = next;
    else high = next;
  }
  return low;
}

function closedForms(scenario: Scenario, tokensPerSecond: number): Omit<ScaleDemand, "simulated"> {
  const { rttMs, draftMs, acceptance, sequences } = scenario;
  const server = serverTimes(scenario);
  const demand = { tokensPerSecond, sequences };
  return {
    tokensPerSecond,
    closed: {
      plain: plainCapacity(server, demand),
      colocated: colocatedCapacity(server, acceptance, demand),
      edgeDrafted: edgeDraftedCapacity(server, { draftMs, rttMs }, acceptance, demand),
    },
  };
}

function colocatedLoad(scenario: Scenario, edges: number): ColocatedLoad {
  return { edges, ...bestColocated(serverTimes(scenario), scenario.acceptance, edges) };
}

/** Of a load of `vanilla`. */
function offloadGain(scenario: Scenario, { edges, tokensPerSecond, rowsPerPass }: Load): OffloadGain {
  const { segmentTokens: gamma } = POLICIES.vanilla;
  const server = serverTimes(scenario);
  const passMs = decodePassMs(server, rowsPerPass);
  const batch = rowsPerPass / (gamma + 1);
  const colocated = batch * colocatedTokensPerSecond(server, scenario.acceptance, gamma, batch);
  return {
    ...{ edges, rowsPerPass, passMs },
    simulated: (edges * tokensPerSecond) / colocated,
    formula: offloadFactor({ draftMs: server.draftMs, passMs }, gamma),
    idleFormula: offloadFactor(server, gamma),
  };
}
