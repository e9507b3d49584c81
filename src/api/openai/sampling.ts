import { policyNamed } from "../../decoding/policy.ts";
import { SAMPLER_ROWS, type SamplerSettings, samplerRows } from "../../sampling/settings.ts";
import type { NumberRow } from "../../util/setting.ts";
import type { Sampling } from "../conversation.ts";
import { HttpError } from "../errors.ts";
import type { CommonBody } from "./schema/common.ts";
import type { SamplerBody } from "./schema/sampler.ts";

/**
 * How an answer is drawn, as a body says it.
 * @throws SettingError for a policy that there is not; HttpError 400
 */
export function samplingOf(body: CommonBody & SamplerBody, maxTokens: number | undefined): Sampling {
  const stop = body.stop ?? [];
  return {
    sampler: samplerOf(body),
    seed: body.seed ?? null,
    stop: typeof stop === "string" ? [stop] : stop,
    maxTokens,
    policy: body.policy ? policyNamed(body.policy) : undefined,
  };
}

/** What a body sets; null sets nothing, as with OpenAI. */
function samplerOf(body: SamplerBody): Partial<SamplerSettings> {
  const values = body as Readonly<Record<string, unknown>>;
  const sampler: Record<string, unknown> = {};
  for (const [name, row] of samplerRows) {
    if (row.field === undefined) continue;
    if (row.kind === "number") {
      const value = numberOf(values, row.field, row);
      if (value !== null) sampler[name] = value;
      continue;
    }
    const pairs = Object.entries(values[row.field] ?? {}).map(([id, bias]) => [Number(id), bias]);
    if (pairs.length > 0) sampler[name] = pairs;
  }
  // OpenAI's penalties look at all of the text so far.
  if (body.presence_penalty || body.frequency_penalty) {
    sampler.penaltyLastN ??= SAMPLER_ROWS.penaltyLastN.range.most;
  }
  return sampler;
}

/** @returns null: the body sets nothing @throws HttpError 400 where two names of one setting differ */
function numberOf(
  values: Readonly<Record<string, unknown>>,
  field: string,
  { fieldAliases = [], fieldMeans = [] }: NumberRow,
): number | null {
  const given = [field, ...fieldAliases].filter((name) => (values[name] ?? null) !== null);
  const [first, second] = given;
  if (first === undefined) return null;
  if (second !== undefined && values[first] !== values[second]) {
    const message = `${first} and ${second} are one setting: send one of the two`;
    throw new HttpError(400, "invalid_value", message, second);
  }
  const value = values[first] as number;
  return fieldMeans.find(([from]) => from === value)?.[1] ?? value;
}
