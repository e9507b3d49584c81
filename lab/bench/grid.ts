import { type DecodingPolicy, POLICIES } from "../../src/decoding/policy.ts";
import { parseScenario, type Scenario } from "../models/scenario.ts";
import { runAnswers, secondsOf } from "../sim/simulate.ts";
import { type PairedRatio, pairedRatio } from "./grid-paired.ts";

/**
 * `race` against the cloud alone, against the preset `picospec` and against the best `picospec` that there is for
 * the cell, over a grid of networks, machines and pairs. Simulated: one edge on an idle cloud.
 */

export interface GridCell {
  readonly rttMs: number;
  readonly passMs: number;
  /** of one more row in a pass, as a share of the pass */
  readonly rowCost: number;
  /** t_d / t_v */
  readonly draftShare: number;
  /** under both couplings */
  readonly acceptance: number;
}

export type GridLevels = { readonly [Field in keyof GridCell]: readonly number[] };

export const GRID_LEVELS = {
  coarse: {
    rttMs: [10, 60, 300],
    passMs: [15, 150],
    rowCost: [0, 0.08, 0.21],
    draftShare: [0.05, 0.5],
    acceptance: [0.3, 0.8, 0.98],
  },
  full: {
    rttMs: [10, 30, 60, 120, 300],
    passMs: [15, 50, 150],
    rowCost: [0, 0.02, 0.08, 0.21],
    draftShare: [0.05, 0.2, 0.5],
    acceptance: [0.3, 0.6, 0.8, 0.9, 0.98],
  },
} as const satisfies Record<string, GridLevels>;

/** What `race` is compared with, and the least of its rate that it is to have in every cell. */
export const GRID_BARS = { cloud: 0.98, picospec: 0.99, best: 0.97 } as const;
export type Rival = keyof typeof GRID_BARS;
export const RIVALS = Object.keys(GRID_BARS) as Rival[];

export type Ratios = { readonly [Name in Rival]: PairedRatio };

export interface CellResult {
  readonly cell: GridCell;
  /** of each policy */
  readonly answers: number;
  /** tokens/s of the cloud alone */
  readonly cloudTokensPerSecond: number;
  /** the sizes of the best picospec */
  readonly best: { readonly segmentTokens: number; readonly windowTokens: number };
  /** rate of `race` over each rival's */
  readonly race: Ratios;
  /** the control: that of `race` without adaptation */
  readonly control: Ratios;
}

const SEGMENTS = [1, 2, 3, 4, 6, 8, 12, 16];
const LONGEST_WINDOW = 64;
const SEED = 1;
/** Sizes are chosen by other answers than those that they are judged by. */
const CHOOSING_SEED = 2;
const CHOOSING_ANSWERS = 2;
/** So many of the sizes are then judged; the best of them counts, which favours the rival a little. */
const SHORT_LIST = 3;
/** More answers where a bar lies within the interval of a ratio. */
const ANSWERS = [8, 16, 32];

export function gridCells(levels: GridLevels): GridCell[] {
  let cells: Partial<GridCell>[] = [{}];
  for (const [field, values] of Object.entries(levels)) {
    cells = cells.flatMap((cell) => values.map((value) => ({ ...cell, [field]: value })));
  }
  return cells as GridCell[];
}

function cellScenario(cell: GridCell): Scenario {
  const { rttMs, passMs, rowCost, draftShare, acceptance } = cell;
  return parseScenario({
    ...{ rttMs, passMs, passMsPerToken: rowCost * passMs, draftMs: draftShare * passMs },
    ...{ acceptance, acceptanceCoupled: acceptance, promptTokens: 128, answerTokens: 300 },
  });
}

/** The sizes of picospec that are tried: 31 of them. */
export function picospecSizes(): DecodingPolicy[] {
  return SEGMENTS.flatMap((segmentTokens) => {
    const windows = [segmentTokens, 2 * segmentTokens, 4 * segmentTokens, LONGEST_WINDOW];
    return [...new Set(windows)].map((windowTokens) => ({
      ...POLICIES.picospec,
      ...{ adaptive: false, segmentTokens, windowTokens },
    }));
  });
}

/** @param answers how many of each policy; more while a bar is within an interval, up to the last number */
export function runCell(cell: GridCell, answers: readonly number[] = ANSWERS): CellResult {
  const scenario = cellScenario(cell);
  const shortList = bestSizes(scenario);
  let result: CellResult | null = null;
  for (const count of answers) {
    result = compare(cell, scenario, shortList, count);
    if (RIVALS.every((rival) => isDecided(result!.race[rival], GRID_BARS[rival]))) break;
  }
  return result!;
}

function isDecided({ low, high }: PairedRatio, bar: number): boolean {
  return low >= bar || high < bar;
}

function bestSizes(scenario: Scenario): DecodingPolicy[] {
  return picospecSizes()
    .map((policy) => ({ policy, seconds: total(seconds(scenario, policy, CHOOSING_SEED, CHOOSING_ANSWERS)) }))
    .sort((a, b) => a.seconds - b.seconds)
    .slice(0, SHORT_LIST)
    .map(({ policy }) => policy);
}

function compare(
  cell: GridCell,
  scenario: Scenario,
  shortList: readonly DecodingPolicy[],
  answers: number,
): CellResult {
  const run = (policy: DecodingPolicy) => seconds(scenario, policy, SEED, answers);
  const cloud = run(POLICIES.cloud);
  const picospec = run(POLICIES.picospec);
  const sized = shortList.map((policy) => ({ policy, seconds: run(policy) }));
  const best = sized.reduce((a, b) => (total(b.seconds) < total(a.seconds) ? b : a));
  const ratios = (own: readonly number[]): Ratios => ({
    cloud: pairedRatio(own, cloud),
    picospec: pairedRatio(own, picospec),
    best: pairedRatio(own, best.seconds),
  });
  const { segmentTokens, windowTokens } = best.policy;
  return {
    cell,
    answers,
    cloudTokensPerSecond: (answers * scenario.answerTokens) / total(cloud),
    best: { segmentTokens, windowTokens },
    race: ratios(run(POLICIES.race)),
    control: ratios(run({ ...POLICIES.race, adaptive: false })),
  };
}

/** Of each answer, from asking to its last token. */
function seconds(scenario: Scenario, policy: DecodingPolicy, seed: number, answers: number): number[] {
  const done = runAnswers(scenario, policy, { seed, edges: 1, answers });
  return done.map(secondsOf);
}

function total(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
