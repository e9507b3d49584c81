import { POLICIES } from "../../src/decoding/policy.ts";
import { asyncTokensPerSecond, syncLatencyMs, tokensPerBonusCycle } from "../models/formulas.ts";
import {
  type DraftLengthDoubt,
  draftLengthDoubt,
  PAPER_COLUMNS,
  PAPER_DRAFT_LENGTHS,
  PAPER_GAMMA,
  PAPER_ROWS,
  type PaperColumn,
  type PaperColumnName,
  type PaperRowName,
  predictedTokensPerSecond,
} from "../models/paper.ts";
import { scenarioRate } from "../models/renewal.ts";
import type { Scenario } from "../models/scenario.ts";
import { scenarioNamed } from "../models/scenarios.ts";
import { type SimulatedPolicy, simulate } from "../sim/simulate.ts";

/** What arXiv 2603.19133 published against its formulas and against our simulator. Errors are shares. */

/** How far we may be off. */
export const PAPER_BARS = { closedForm: 0.06, speedUp: 0.12, draftLength: 0.12 } as const;

const COLUMN_SCENARIOS = {
  qwenGsm8k: "paper-qwen-gsm8k",
  qwenHumanEval: "paper-qwen-humaneval",
  llamaGsm8k: "paper-llama-gsm8k",
  llamaHumanEval: "paper-llama-humaneval",
} as const satisfies Record<PaperColumnName, string>;

/** The closed forms from a row's own published times. */
export interface ClosedFormRow {
  readonly column: PaperColumnName;
  readonly row: PaperRowName;
  readonly published: number;
  readonly tokensPerSecond: number;
  readonly error: number;
}

/** The simulator's speed-up over the cloud alone in the scenario that was fitted to the column. */
export interface ColumnReport {
  readonly column: PaperColumnName;
  readonly pair: string;
  readonly benchmark: string;
  readonly published: number;
  /** half of the 95% interval is `speedUpError` */
  readonly picospec: number;
  readonly speedUpError: number;
  readonly error: number;
  /** by the exact model for long answers: no prompt */
  readonly exactModel: number;
  readonly publishedVanilla: number;
  readonly vanilla: number;
  readonly race: number;
  readonly raceError: number;
  /** AceSpec (arXiv 2609.02514), the successor of the paper; null: not published */
  readonly successor: number | null;
}

/** A draft length on the column Qwen GSM8K. */
export interface DraftLengthReport {
  readonly gamma: number;
  readonly published: number;
  readonly closedForm: number;
  readonly closedFormError: number;
  readonly simulated: number;
  /** half of the 95% interval of `simulated` */
  readonly simulatedInterval: number;
  readonly simulatedError: number;
}

/** Where published numbers contradict each other. */
export interface Contradiction extends DraftLengthDoubt {
  readonly column: PaperColumnName;
  readonly accepted: number;
  /** that a cycle of the published vanilla takes, if it is worth as many tokens as our fit says, a bonus included */
  readonly vanillaCycleMs: number;
  /** T_draft + T_verify of the row with a dense exchange: what such a cycle should take at most */
  readonly denseCycleMs: number;
}

export interface PaperReport {
  readonly closedForms: readonly ClosedFormRow[];
  readonly columns: readonly ColumnReport[];
  readonly draftLengths: readonly DraftLengthReport[];
  readonly contradictions: readonly Contradiction[];
}

const PAPER_ANSWERS = 100;
const SEED = 1;
const NAMES = Object.keys(PAPER_COLUMNS) as PaperColumnName[];

export function paperReport(answers = PAPER_ANSWERS): PaperReport {
  return {
    closedForms: NAMES.flatMap((name) => PAPER_ROWS.map((row) => closedForm(name, row))),
    columns: NAMES.map((name) => columnReport(name, answers)),
    draftLengths: PAPER_DRAFT_LENGTHS.map(({ gamma }) => draftLengthReport(gamma, answers)),
    contradictions: NAMES.map(contradiction),
  };
}

function closedForm(column: PaperColumnName, row: PaperRowName): ClosedFormRow {
  const { fit, [row]: times }: PaperColumn = PAPER_COLUMNS[column];
  const tokensPerSecond = predictedTokensPerSecond(row, times, fit.alpha, fit.gamma);
  const published = times.tokensPerSecond;
  return { column, row, published, tokensPerSecond, error: tokensPerSecond / published - 1 };
}

function contradiction(name: PaperColumnName): Contradiction {
  const column: PaperColumn = PAPER_COLUMNS[name];
  const { accepted, fit, cloudTokensPerSecond, vanillaSpeedUp, withoutSeparateRejection } = column;
  const tokens = tokensPerBonusCycle(fit.alpha, fit.gamma);
  return {
    ...{ column: name, accepted },
    ...draftLengthDoubt(column, PAPER_GAMMA),
    vanillaCycleMs: (1000 * tokens) / (vanillaSpeedUp * cloudTokensPerSecond),
    denseCycleMs: syncLatencyMs(withoutSeparateRejection),
  };
}

export function columnReport(column: PaperColumnName, answers: number): ColumnReport {
  const given: PaperColumn = PAPER_COLUMNS[column];
  const scenario = scenarioNamed(COLUMN_SCENARIOS[column]);
  const policies = (["cloud", "vanilla", "picospec", "race"] as const).map((name) => ({
    name,
    policy: POLICIES[name],
  }));
  const results = simulate(scenario, policies, { seed: SEED, edges: 1, answers });
  const [cloud, vanilla, picospec, race] = policies.map(
    ({ name }) => results.find(({ policy }) => policy === name)!,
  ) as [SimulatedPolicy, SimulatedPolicy, SimulatedPolicy, SimulatedPolicy];
  const long = scenarioRate(POLICIES.picospec, scenario).tokensPerSecond * (scenario.passMs / 1000);
  return {
    column,
    pair: given.pair,
    benchmark: given.benchmark,
    published: given.speedUp,
    picospec: picospec.speedup,
    // The cloud alone is the same in every answer.
    speedUpError: picospec.tokensPerSecondError / cloud.tokensPerSecond,
    error: picospec.speedup / given.speedUp - 1,
    exactModel: long,
    publishedVanilla: given.vanillaSpeedUp,
    vanilla: vanilla.speedup,
    race: race.speedup,
    raceError: race.tokensPerSecondError / cloud.tokensPerSecond,
    successor: given.successorSpeedUp,
  };
}

export function draftLengthReport(gamma: number, answers: number): DraftLengthReport {
  const length = PAPER_DRAFT_LENGTHS.find((one) => one.gamma === gamma)!;
  const { full, fit } = PAPER_COLUMNS.qwenGsm8k;
  const times = { draftMs: length.draftMs, answerMs: full.answerMs };
  const closed = asyncTokensPerSecond(times, fit.alpha, gamma);
  const scenario: Scenario = { ...scenarioNamed(COLUMN_SCENARIOS.qwenGsm8k), segmentTokens: gamma };
  const policies = [{ name: "picospec", policy: POLICIES.picospec }];
  const [simulated] = simulate(scenario, policies, { seed: SEED, edges: 1, answers });
  const published = length.tokensPerSecond;
  return {
    gamma,
    published,
    closedForm: closed,
    closedFormError: closed / published - 1,
    simulated: simulated!.tokensPerSecond,
    simulatedInterval: simulated!.tokensPerSecondError,
    simulatedError: simulated!.tokensPerSecond / published - 1,
  };
}
