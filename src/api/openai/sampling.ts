import { policyNamed } from "../../decoding/policy.ts";
import { SAMPLER_ROWS, type SamplerSettings, samplerRows } from "../../sampling/settings.ts";
import type { Sampling } from "../conversation.ts";
import type { CommonBody } from "./schema/common.ts";
import type { SamplerBody } from "./schema/sampler.ts";

/** How an answer is drawn, as a body says it. @throws SettingError for a policy that there is not */
export function samplingOf(body: CommonBody, maxTokens: number | undefined): Sampling {
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
  for (const [name, { field, kind }] of samplerRows) {
    const value = field === undefined ? null : (values[field] ?? null);
    if (value === null) continue;
    const pairs = kind === "pairs" ? Object.entries(value).map(([id, bias]) => [Number(id), bias]) : null;
    if (pairs?.length !== 0) sampler[name] = pairs ?? value;
  }
  // OpenAI's penalties look at all of the text so far.
  if (body.presence_penalty || body.frequency_penalty) {
    sampler.penaltyLastN = SAMPLER_ROWS.penaltyLastN.range.most;
  }
  return sampler;
}
