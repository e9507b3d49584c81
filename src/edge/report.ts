import type { PipelineStatistics } from "./core/statistics.ts";

/** Statistics of one answer: the object that `run --json` prints. null: does not apply, or unknown. */
export interface RunReport {
  readonly policy: string;
  readonly text: string;
  /** tokens of the answer, the end token included */
  readonly tokens: number;
  /** tokens over the time from the request to the last of them */
  readonly tokensPerSecond: number;
  readonly timeToFirstTokenMs: number;
  /** accepted drafts, of those that were judged */
  readonly acceptanceRate: number | null;
  /** accepted drafts, a segment */
  readonly acceptedPerRound: number | null;
  /** segments that were judged */
  readonly rounds: number;
  /** times that drafts in flight were dropped */
  readonly rollbacks: number;
  /** passes of the target in which the session had a row, a token */
  readonly targetPassesPerToken: number | null;
  /** payload without WebSocket framing, and without the prompt */
  readonly uplinkBytesPerToken: number;
  readonly downlinkBytesPerToken: number;
}

/**
 * What an answer took, as `--json` prints it.
 * @example
 * import { createEdge, runReport } from "picospec";
 *
 * await using edge = await createEdge({ model: "small.gguf" });
 * const { text, statistics } = await edge.ask({ prompt: "Why is the sky blue?" });
 * console.log(runReport("edge", text, statistics).tokensPerSecond);
 */
export function runReport(policy: string, text: string, statistics: PipelineStatistics): RunReport {
  const { tokens, accepted, rejected, rounds, rollbacks, startedMs, firstTokenMs, lastTokenMs } = statistics;
  // What a session was before its link broke is not in the usage.
  const usage = statistics.resumptions === 0 ? statistics.usage : null;
  const judged = accepted + rejected;
  const perToken = (count: number) => round(count / Math.max(1, tokens));
  const seconds = Math.max(0, lastTokenMs - startedMs) / 1000;
  return {
    policy,
    text,
    tokens,
    tokensPerSecond: seconds > 0 ? round(tokens / seconds) : 0,
    timeToFirstTokenMs: firstTokenMs < 0 ? 0 : round(firstTokenMs - startedMs),
    acceptanceRate: judged > 0 ? round(accepted / judged) : null,
    acceptedPerRound: rounds > 0 ? round(accepted / rounds) : null,
    rounds,
    rollbacks,
    targetPassesPerToken: usage ? perToken(usage.targetPasses) : null,
    uplinkBytesPerToken: perToken(statistics.uplinkBytes),
    downlinkBytesPerToken: perToken(statistics.downlinkBytes),
  };
}

/** Three decimals: more would be noise. */
function round(value: number): number {
  return Math.round(value * 1000) / 1000;
}
