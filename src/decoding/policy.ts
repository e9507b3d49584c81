import type { Coupling, Exchange } from "../sampling/question.ts";
import { SettingError } from "../util/errors.ts";
import {
  type ChoiceRow,
  checkSetting,
  type FlagRow,
  type NumberRow,
  rangeText,
  refuseUnknown,
} from "../util/setting.ts";

/** Every way of decoding is one plain value over the same two state machines. */
export interface DecodingPolicy {
  /** false: the edge alone, no cloud */
  readonly target: boolean;
  /** how drafts and target are tied together */
  readonly coupling: Coupling;
  /** the edge chooses segment and window, and the cloud rows and starts of passes, from what they measure */
  readonly adaptive: boolean;
  /** drafts a frame; 0: the edge drafts nothing */
  readonly segmentTokens: number;
  /** most undecided drafts at any time, sent or not; with `adaptive` a bound for the choice */
  readonly windowTokens: number;
  /**
   * how long the cloud waits for drafts before it decodes by itself: 0 for speed, Infinity for cost (a pass only when
   * there are drafts)
   */
  readonly patienceMs: number;
  /** rejection only: the cloud adds its own next token when all drafts of a pass are accepted */
  readonly bonusToken: boolean;
  /** Fast Verification: rows are computed ahead of the drafts that they will verify */
  readonly preVerify: boolean;
  /** a segment that takes longer than this to draft is sent as it is; Infinity: never */
  readonly truncateAfterMs: number;
  /** what travels for a rejection */
  readonly exchange: Exchange;
  /** tokens of p that travel with a sparse rejection */
  readonly topK: number;
}

type RowOf<T> = T extends number ? NumberRow : T extends boolean ? FlagRow : ChoiceRow;

/** A policy's fields as a table, which the check and the wire are derived from. Users take a policy by its name. */
export const POLICY_ROWS = {
  target: { kind: "flag", help: "false: the edge alone, no cloud" },
  coupling: {
    kind: "choice",
    choices: ["rejection", "gumbel"],
    help: "how drafts and target are tied together",
  },
  adaptive: { kind: "flag", help: "sizes and times follow what is measured" },
  segmentTokens: {
    kind: "number",
    range: { least: 0, most: 64, whole: true },
    unit: "tokens",
    help: "drafts a frame; 0: the edge drafts nothing",
  },
  windowTokens: {
    kind: "number",
    range: { least: 0, most: 256, whole: true },
    unit: "tokens",
    help: "most drafts in flight",
  },
  patienceMs: {
    kind: "number",
    range: { least: 0, most: Number.POSITIVE_INFINITY },
    unit: "ms",
    help: "how long the cloud waits for drafts before it decodes by itself",
  },
  bonusToken: { kind: "flag", help: "the cloud adds its own next token when all drafts are accepted" },
  preVerify: { kind: "flag", help: "rows are computed ahead of the drafts that they verify" },
  truncateAfterMs: {
    kind: "number",
    range: { least: 0, aboveLeast: true, most: Number.POSITIVE_INFINITY },
    unit: "ms",
    help: "a segment that takes longer to draft is sent as it is",
  },
  exchange: {
    kind: "choice",
    choices: ["sparse", "denseDown", "denseUp"],
    help: "what travels for a rejection",
  },
  topK: {
    kind: "number",
    range: { least: 1, most: 256, whole: true },
    unit: "tokens",
    help: "tokens of p that travel with a sparse rejection",
  },
} as const satisfies { readonly [Name in keyof DecodingPolicy]: RowOf<DecodingPolicy[Name]> };

/** Separate rejection sampling with the paper's numbers: draft length 4, K = 10. */
const picospec: DecodingPolicy = {
  target: true,
  coupling: "rejection",
  adaptive: false,
  segmentTokens: 4,
  windowTokens: 8,
  patienceMs: Number.POSITIVE_INFINITY,
  bonusToken: false,
  preVerify: true,
  truncateAfterMs: 250,
  exchange: "sparse",
  topK: 10,
};

/** The cloud alone, streaming: the baseline that every speed-up is against. */
const cloud: DecodingPolicy = {
  ...picospec,
  coupling: "gumbel",
  segmentTokens: 0,
  windowTokens: 0,
  patienceMs: 0,
  preVerify: false,
  truncateAfterMs: Number.POSITIVE_INFINITY,
};

/**
 * Ours: the cloud never stops, and drafts let it skip ahead. Gumbel coupling, so that the text is that of `cloud` for
 * the same seed. A segment of one: a draft travels as soon as it is made.
 */
const race: DecodingPolicy = {
  ...cloud,
  adaptive: true,
  segmentTokens: 1,
  windowTokens: 128,
};

export const POLICIES = {
  cloud,
  race,
  /** the small model alone: what the user has offline */
  edge: { ...cloud, target: false, segmentTokens: 1, windowTokens: 1 },
  /** stop-and-wait speculative decoding over the network */
  vanilla: {
    ...picospec,
    windowTokens: 4,
    bonusToken: true,
    preVerify: false,
    truncateAfterMs: Number.POSITIVE_INFINITY,
  },
  /** the paper; by default each side chooses its sizes within them */
  picospec: { ...picospec, adaptive: true },
  /** the paper's ablation without Parallel Drafting: one segment in flight */
  "picospec-no-parallel-drafting": { ...picospec, windowTokens: 4 },
  /** the paper's ablation without Fast Verification */
  "picospec-no-fast-verification": { ...picospec, preVerify: false },
  /** the paper's ablation without separate rejection sampling: q travels whole, the cloud resamples */
  "picospec-no-separate-rejection": { ...picospec, exchange: "denseUp" },
} as const satisfies Record<string, DecodingPolicy>;

export type PolicyName = keyof typeof POLICIES;

/**
 * @throws SettingError that lists the names there are
 * @example
 * import { policyNamed } from "picospec";
 *
 * console.log(policyNamed("race").segmentTokens);
 */
export function policyNamed(name: string): DecodingPolicy {
  if (Object.hasOwn(POLICIES, name)) return POLICIES[name as PolicyName];
  throw new SettingError("policy", `unknown policy "${name}"; there are ${Object.keys(POLICIES).join(", ")}`);
}

/** The name of a policy as logs and metrics have it: a peer may send any, and names have to be few. */
export function policyLabel(policy: DecodingPolicy): PolicyName | "custom" {
  const fields = Object.keys(POLICY_ROWS) as (keyof DecodingPolicy)[];
  for (const [name, preset] of Object.entries(POLICIES)) {
    if (fields.every((field) => preset[field] === policy[field])) return name as PolicyName;
  }
  return "custom";
}

/**
 * Refuses a policy that would not be exact or would never end.
 * @throws SettingError that names the field and says what it needs; of an unknown field, the nearest known
 * @example
 * import { checkPolicy, policyNamed } from "picospec";
 *
 * const shortDrafts = checkPolicy({ ...policyNamed("race"), segmentTokens: 2 });
 * console.log(shortDrafts.windowTokens);
 */
export function checkPolicy(policy: DecodingPolicy): DecodingPolicy {
  const need = (condition: boolean, field: keyof DecodingPolicy, message: string) => {
    if (!condition) throw new SettingError(field, `${field} ${message}`);
  };
  refuseUnknown("policy field", policy, POLICY_ROWS);
  for (const [name, row] of Object.entries(POLICY_ROWS)) {
    checkSetting(name, policy[name as keyof DecodingPolicy], row);
  }
  const { segmentTokens, windowTokens } = policy;
  const window = rangeText({ ...POLICY_ROWS.windowTokens.range, least: segmentTokens });
  need(windowTokens >= segmentTokens, "windowTokens", `must be ${window}, not ${windowTokens}`);
  if (!policy.target) return policy;
  const drafts = policy.segmentTokens > 0;
  const never = policy.patienceMs === Number.POSITIVE_INFINITY;
  need(drafts || !never, "patienceMs", "must be finite when the edge drafts nothing: no side would go on");
  need(drafts || policy.coupling === "gumbel", "coupling", "must be gumbel when nothing is drafted");
  if (policy.coupling === "rejection") {
    // A draft that was sent may only be abandoned by a rejection before it, or the output is biased.
    need(!drafts || never, "patienceMs", "must be Infinity under rejection coupling with drafts");
    need(
      !policy.bonusToken || policy.windowTokens <= policy.segmentTokens,
      "bonusToken",
      "needs windowTokens = segmentTokens: it would contradict drafts in flight",
    );
  } else {
    need(
      !policy.bonusToken,
      "bonusToken",
      "is for rejection coupling: Gumbel coupling always goes one further",
    );
    need(
      policy.exchange === "sparse",
      "exchange",
      "is for rejection coupling: nothing is exchanged under Gumbel",
    );
  }
  return policy;
}
