import type { AnswerEnd } from "../../edge/edge.ts";
import { runReport } from "../../edge/report.ts";

/** What an answer came to, as clients read it. */

export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  /** tokens of the prompt that the cloud had computed for other answers */
  readonly prompt_tokens_details: { readonly cached_tokens: number };
  readonly completion_tokens_details: {
    /** drafts that stood, and that fell */
    readonly accepted_prediction_tokens: number;
    readonly rejected_prediction_tokens: number;
  };
}

/** Of all choices of a request; the prompt counts once. */
export function usageOf(ends: readonly AnswerEnd[]): Usage {
  const sum = (of: (end: AnswerEnd) => number) => ends.reduce((total, end) => total + of(end), 0);
  const prompt_tokens = ends[0]?.promptTokens ?? 0;
  const completion_tokens = sum(({ statistics }) => statistics.tokens);
  return {
    prompt_tokens,
    completion_tokens,
    total_tokens: prompt_tokens + completion_tokens,
    prompt_tokens_details: { cached_tokens: ends[0]?.statistics.usage?.reusedTokens ?? 0 },
    completion_tokens_details: {
      accepted_prediction_tokens: sum(({ statistics }) => statistics.accepted),
      rejected_prediction_tokens: sum(({ statistics }) => statistics.rejected),
    },
  };
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

export function finishReason({ reason }: AnswerEnd, called: boolean): "stop" | "length" | "tool_calls" {
  if (reason === "length" || reason === "context") return "length";
  return called ? "tool_calls" : "stop";
}
