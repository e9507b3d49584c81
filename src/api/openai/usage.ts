import type { AnswerEnd } from "../../edge/edge.ts";
import { runReport } from "../../edge/report.ts";
import type { ChoiceEnd } from "../conversation.ts";

/** Usage of an answer, as clients read it. */

export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  /** tokens of the prompts that the cloud had computed for other requests */
  readonly prompt_tokens_details: { readonly cached_tokens: number };
  readonly completion_tokens_details: {
    /** tokens of thoughts */
    readonly reasoning_tokens: number;
    /** drafts that were accepted, and that were rejected */
    readonly accepted_prediction_tokens: number;
    readonly rejected_prediction_tokens: number;
  };
}

/**
 * Of a whole request. A prompt counts once, however many choices it has.
 * @param ends one a choice, in the order of choices: those of the first prompt come first
 * @param choicesPerPrompt at least 1
 */
export function usageOf(ends: readonly ChoiceEnd[], choicesPerPrompt: number): Usage {
  const firsts = ends.filter((_, choice) => choice % choicesPerPrompt === 0);
  const prompt_tokens = sum(firsts.map(({ promptTokens }) => promptTokens));
  const completion_tokens = sum(ends.map(({ statistics }) => statistics.tokens));
  const cached = firsts.map((_, prompt) => {
    const choices = ends.slice(prompt * choicesPerPrompt, (prompt + 1) * choicesPerPrompt);
    // A choice may reuse what another one of the same request computed: what all of them found was there before.
    return Math.min(...choices.map(({ statistics }) => statistics.usage?.reusedTokens ?? 0));
  });
  return {
    prompt_tokens,
    completion_tokens,
    total_tokens: prompt_tokens + completion_tokens,
    prompt_tokens_details: { cached_tokens: sum(cached) },
    completion_tokens_details: {
      reasoning_tokens: sum(ends.map(({ reasoningTokens }) => reasoningTokens)),
      accepted_prediction_tokens: sum(ends.map(({ statistics }) => statistics.accepted)),
      rejected_prediction_tokens: sum(ends.map(({ statistics }) => statistics.rejected)),
    },
  };
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}

/** The pipeline's own figures of one answer: an extension. Times in ms. */
export type Timings = Readonly<Record<string, number | null>>;

export function timingsOf({ statistics, promptTokens }: AnswerEnd): Timings {
  const { policy: _, text: __, ...report } = runReport("", "", statistics);
  return {
    prompt_n: promptTokens,
    predicted_n: report.tokens,
    predicted_per_second: report.tokensPerSecond,
    time_to_first_token_ms: report.timeToFirstTokenMs,
    acceptance_rate: report.acceptanceRate,
    accepted_per_round: report.acceptedPerRound,
    rounds: report.rounds,
    rollbacks: report.rollbacks,
    target_passes_per_token: report.targetPassesPerToken,
    uplink_bytes_per_token: report.uplinkBytesPerToken,
    downlink_bytes_per_token: report.downlinkBytesPerToken,
  };
}

/** @param called what an answer that ends by itself ended with */
export function finishReason<Called extends string>(
  { reason }: AnswerEnd,
  called: Called | null,
): "stop" | "length" | Called {
  if (reason === "length" || reason === "context") return "length";
  return called ?? "stop";
}
