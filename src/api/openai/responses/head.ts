import { DEFAULT_SAMPLER } from "../../../sampling/settings.ts";
import { maxTokensOf } from "../schema/common.ts";
import type { ResponseBody } from "./schema.ts";

/** What a response says of the request that it answers. */
export interface ResponseHead {
  readonly id: string;
  /** seconds since 1970 */
  readonly created: number;
  readonly model: string;
  readonly body: ResponseBody;
  /** as the client gave them: what it sent, it reads again */
  readonly given: Readonly<Record<string, unknown>>;
}

/** All fields of a response but those that tell how far it is. */
export function headFields({ id, created, model, body, given }: ResponseHead): Record<string, unknown> {
  const { reasoning } = body;
  return {
    id,
    object: "response",
    created_at: created,
    model,
    background: false,
    instructions: body.instructions ?? null,
    max_output_tokens: maxTokensOf(undefined, body.max_output_tokens) ?? null,
    max_tool_calls: body.max_tool_calls ?? null,
    metadata: body.metadata ?? {},
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    previous_response_id: body.previous_response_id ?? null,
    prompt_cache_key: body.prompt_cache_key ?? null,
    reasoning: { effort: reasoning?.effort ?? null, summary: summaryOf(body) },
    safety_identifier: body.safety_identifier ?? null,
    service_tier: "default",
    store: body.store ?? true,
    temperature: body.temperature ?? DEFAULT_SAMPLER.temperature,
    text: { ...(given.text as object | null), format: body.text?.format ?? { type: "text" } },
    tool_choice: given.tool_choice ?? "auto",
    tools: given.tools ?? [],
    top_logprobs: body.top_logprobs ?? 0,
    top_p: body.top_p ?? DEFAULT_SAMPLER.topP,
    truncation: "disabled",
    user: body.user ?? null,
  };
}

/** How thoughts are summed up; null: not at all */
export function summaryOf({ reasoning }: Pick<ResponseBody, "reasoning">): string | null {
  const summary = reasoning?.summary ?? reasoning?.generate_summary ?? null;
  return summary === "none" ? null : summary;
}
