import type { SessionSettings } from "../../decoding/session.ts";
import type { SamplerSettings } from "../../sampling/sampler.ts";

/**
 * What our sampler settings are to vLLM. Where its meaning is ours, or can be made ours, they are passed on; where it
 * differs the session is refused, since the text would be of another distribution than the one that was asked for.
 *
 * vLLM's order (vllm/v1/sample/sampler.py): logit bias, penalties, temperature, min-p, top-k, top-p. Ours cuts before
 * the temperature. Top-k keeps the same tokens either way. Min-p can be converted: p >= m p_max before a temperature T
 * is p' >= m^(1/T) p'_max behind it. Top-p cannot.
 */

/** What the table needs to know of a server and a session. */
export interface SettingContext {
  /** The server speculates: then vLLM refuses some settings for every session, whether drafts come or not. */
  readonly speculates: boolean;
  /** most tokens of the session, prompt included */
  readonly sequenceTokens: number;
}

interface SettingRule {
  /** what a session lacks that sets it so, or null; asked only where it is not at its default */
  readonly lacks: (sampler: SamplerSettings, context: SettingContext) => string | null;
  /** fields of vLLM's sampling parameters */
  readonly fields: (sampler: SamplerSettings) => Readonly<Record<string, unknown>>;
}

const never = () => null;
const nothing = () => ({});
const isGreedy = ({ temperature }: SamplerSettings) => temperature === 0;

/** The temperatures that vLLM takes as they are. */
const TEMPERATURES = { least: 0.01, most: 2 } as const;
/** vLLM cuts a larger bias down to this. */
const MOST_BIAS = 100;

const OF_ANSWER_ONLY =
  "counts only tokens of the answer for it, and PicoSpec those of the prompt too; leave it at its default";

/** Settings that are in no row are lacking altogether: `topNSigma`. */
const SETTING_RULES: Readonly<Partial<Record<keyof SamplerSettings, SettingRule>>> = {
  temperature: {
    lacks: ({ temperature }) =>
      temperature === 0 || (temperature >= TEMPERATURES.least && temperature <= TEMPERATURES.most)
        ? null
        : `takes temperature 0, or from ${TEMPERATURES.least} to ${TEMPERATURES.most}`,
    fields: ({ temperature }) => ({ temperature }),
  },
  topK: {
    lacks: never,
    fields: (sampler) => (isGreedy(sampler) || sampler.topK === 0 ? {} : { top_k: sampler.topK }),
  },
  topP: {
    lacks: (sampler, { speculates }) => {
      if (isGreedy(sampler)) return null;
      if (sampler.temperature !== 1)
        return "applies top-p behind the temperature, PicoSpec before it; set temperature to 1, or leave topP at 1";
      if (sampler.minP > 0 && !speculates)
        return "applies min-p before top-p, PicoSpec behind it; leave one of topP and minP at its default";
      return null;
    },
    fields: (sampler) => (isGreedy(sampler) ? {} : { top_p: sampler.topP }),
  },
  minP: {
    lacks: (sampler, { speculates }) =>
      speculates && !isGreedy(sampler)
        ? "has no min-p while its server speculates; leave minP at 0, or set temperature to 0"
        : null,
    fields: (sampler) =>
      isGreedy(sampler) || sampler.minP === 0 ? {} : { min_p: sampler.minP ** (1 / sampler.temperature) },
  },
  repetitionPenalty: {
    // Both sides look at prompt and answer: the same where ours looks back as far as there is anything.
    lacks: (sampler, { sequenceTokens }) =>
      sampler.penaltyLastN >= sequenceTokens
        ? null
        : `applies repetitionPenalty over the whole session, of up to ${sequenceTokens} tokens; set penaltyLastN to as many, or leave the penalty at 1`,
    fields: ({ repetitionPenalty }) => ({ repetition_penalty: repetitionPenalty }),
  },
  penaltyLastN: { lacks: never, fields: nothing },
  presencePenalty: { lacks: () => `(presencePenalty) ${OF_ANSWER_ONLY}`, fields: nothing },
  frequencyPenalty: { lacks: () => `(frequencyPenalty) ${OF_ANSWER_ONLY}`, fields: nothing },
  logitBias: {
    lacks: ({ logitBias }, { speculates }) => {
      if (speculates) return "has no logitBias while its server speculates; leave it at its default";
      const large = Object.values(summed(logitBias)).find((bias) => Math.abs(bias) > MOST_BIAS);
      return large === undefined ? null : `takes a logitBias of at most ${MOST_BIAS}, not ${large}`;
    },
    fields: ({ logitBias }) => (logitBias.length === 0 ? {} : { logit_bias: summed(logitBias) }),
  },
};

/** A token that is named twice gets both. */
function summed(biases: SamplerSettings["logitBias"]): Record<string, number> {
  const sums = new Map<number, number>();
  for (const [token, bias] of biases) sums.set(token, (sums.get(token) ?? 0) + bias);
  return Object.fromEntries(sums);
}

const RULES = Object.entries(SETTING_RULES) as [keyof SamplerSettings, SettingRule][];

/** Names of the settings that can be had, some of them under conditions. */
export const SETTING_NAMES = RULES.map(([name]) => name);

/** What a session's settings lack; null: nothing. @param defaults of the sampler */
export function settingsLack(
  { sampler }: Pick<SessionSettings, "sampler">,
  defaults: SamplerSettings,
  context: SettingContext,
): string | null {
  for (const [name, { lacks }] of RULES) {
    const isSet = JSON.stringify(sampler[name]) !== JSON.stringify(defaults[name]);
    const lack = isSet ? lacks(sampler, context) : null;
    if (lack !== null) return lack;
  }
  return null;
}

/**
 * vLLM's sampling parameters. All are named: what is absent a server takes from the model's generation config.
 */
export function samplingFields(sampler: SamplerSettings): Record<string, unknown> {
  const plain = { top_p: 1, top_k: 0, min_p: 0, repetition_penalty: 1 };
  const neutral = { ...plain, presence_penalty: 0, frequency_penalty: 0 };
  return Object.assign(neutral, ...RULES.map(([, { fields }]) => fields(sampler)));
}
