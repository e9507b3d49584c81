import { checkSetting, type NumberRow, type PairsRow, refuseUnknown } from "../util/setting.ts";

/**
 * The sampler settings that users know, in llama.cpp's order: logit bias, penalties, top-n-sigma, top-k, top-p,
 * min-p, temperature (llama.cpp `common_params_sampling::samplers`). As there, what cuts looks at the
 * distribution before the temperature, and the penalties look back over prompt and answer alike.
 */
export interface SamplerSettings {
  /** 0 is greedy, 1 the model's own distribution */
  readonly temperature: number;
  /**
   * keep tokens whose logit is at most so many standard deviations below the largest one; 0 or less is off. The
   * deviation is that of the logits of all tokens that are possible (llama.cpp's `top_n_sigma`; arXiv 2411.07641)
   */
  readonly topNSigma: number;
  /** keep the k likeliest tokens; 0 is off */
  readonly topK: number;
  /** keep the fewest tokens that hold this much mass; 1 is off */
  readonly topP: number;
  /** keep tokens at least this likely relative to the likeliest; 0 is off */
  readonly minP: number;
  /** divides the positive logit of a token seen lately, multiplies a negative one; 1 is off */
  readonly repetitionPenalty: number;
  /** taken from the logit of every token seen lately */
  readonly presencePenalty: number;
  /** taken from the logit for each time a token was seen lately */
  readonly frequencyPenalty: number;
  /** how many tokens back the three penalties look */
  readonly penaltyLastN: number;
  /** added to logits: [token id, bias] */
  readonly logitBias: readonly (readonly [number, number])[];
}

type RowOf<T> = T extends number ? NumberRow & { readonly default: number } : PairsRow;

/** No token is less likely and the likeliest one of its step: a nucleus of this mass is that token. */
const LEAST_TOP_P = 1e-9;

/**
 * What the library, the wire, the command line and the APIs derive their part from: a new setting is a member of
 * `SamplerSettings`, a row here, and what the chain does with it. Bounds keep a row's cost and its numbers in hand.
 */
export const SAMPLER_ROWS = {
  temperature: {
    kind: "number",
    default: 1,
    // 1 / T times a logit stays far from overflow.
    range: { least: 1e-4, most: 100, also: 0 },
    help: "0: greedy; 1: the model's own distribution",
    flag: "--temperature <t>",
    field: "temperature",
    fieldRange: { least: 1e-4, most: 2, also: 0 },
  },
  topNSigma: {
    kind: "number",
    default: -1,
    defaultMeans: "all",
    range: { least: -1, most: 100 },
    unit: "standard deviations",
    help: "keep tokens whose logit is within n standard deviations of the best",
    flag: "--top-n-sigma <n>",
    field: "top_n_sigma",
    since: "0.2",
  },
  topK: {
    kind: "number",
    default: 0,
    defaultMeans: "all",
    range: { least: 0, most: 2 ** 31, whole: true },
    unit: "tokens",
    help: "keep the k likeliest tokens",
    flag: "--top-k <k>",
    field: "top_k",
    fieldRange: { least: 0, most: 2 ** 31, whole: true, also: -1 },
    // As vLLM has it.
    fieldMeans: [[-1, 0]],
  },
  topP: {
    kind: "number",
    default: 1,
    defaultMeans: "all",
    range: { least: 0, aboveLeast: true, most: 1 },
    help: "keep the fewest tokens with this much mass",
    flag: "--top-p <p>",
    field: "top_p",
    fieldRange: { least: 0, most: 1 },
    // OpenAI's range begins at 0: the likeliest token alone.
    fieldMeans: [[0, LEAST_TOP_P]],
  },
  minP: {
    kind: "number",
    default: 0,
    defaultMeans: "all",
    range: { least: 0, most: 1 },
    help: "keep tokens at least this likely relative to the likeliest",
    flag: "--min-p <p>",
    field: "min_p",
  },
  repetitionPenalty: {
    kind: "number",
    default: 1,
    defaultMeans: "none",
    range: { least: 0.01, most: 10 },
    help: "on logits of tokens seen lately",
    flag: "--repetition-penalty <x>",
    field: "repetition_penalty",
    fieldAliases: ["repeat_penalty"],
  },
  presencePenalty: {
    kind: "number",
    default: 0,
    defaultMeans: "none",
    range: { least: -10, most: 10 },
    help: "on tokens seen lately",
    flag: "--presence-penalty <x>",
    field: "presence_penalty",
    fieldRange: { least: -2, most: 2 },
  },
  frequencyPenalty: {
    kind: "number",
    default: 0,
    defaultMeans: "none",
    range: { least: -10, most: 10 },
    help: "on tokens for each time seen lately",
    flag: "--frequency-penalty <x>",
    field: "frequency_penalty",
    fieldRange: { least: -2, most: 2 },
  },
  penaltyLastN: {
    kind: "number",
    default: 64,
    range: { least: 0, most: 4096, whole: true },
    unit: "tokens",
    help: "how many tokens back the penalties look",
    flag: "--penalty-last-n <n>",
    field: "repeat_last_n",
  },
  logitBias: {
    kind: "pairs",
    default: [],
    range: { least: -1e4, most: 1e4 },
    mostPairs: 1024,
    help: "add to a token's logit; may be given again",
    flag: "--logit-bias <id:bias>",
    field: "logit_bias",
    fieldRange: { least: -100, most: 100 },
  },
} as const satisfies { readonly [Name in keyof SamplerSettings]: RowOf<SamplerSettings[Name]> };

/** The rows in a list, for those who derive something of each. */
export const samplerRows = Object.entries(SAMPLER_ROWS) as readonly [
  keyof SamplerSettings,
  RowOf<number> | PairsRow,
][];

export const DEFAULT_SAMPLER = Object.fromEntries(
  samplerRows.map(([name, row]) => [name, row.default]),
) as unknown as SamplerSettings;

/**
 * The defaults with what was given, checked.
 * @throws SettingError that names the setting, its value and what is allowed; of an unknown name, the nearest known
 * @example
 * import { samplerSettings } from "picospec";
 *
 * console.log(samplerSettings({ temperature: 0.7, topP: 0.9 }).topK);
 */
export function samplerSettings(given: Partial<SamplerSettings> = {}): SamplerSettings {
  const settings = { ...DEFAULT_SAMPLER, ...given };
  refuseUnknown("sampler setting", settings, SAMPLER_ROWS);
  for (const [name, row] of samplerRows) checkSetting(name, settings[name], row);
  return settings;
}
