import type { StopReason } from "../decoding/session.ts";
import type { TokenLogprobs } from "../sampling/question.ts";
import type { TokenOrigin } from "./core/machine.ts";
import type { PipelineStatistics } from "./core/statistics.ts";

/** What an answer says. */

export interface AnsweredToken {
  readonly token: number;
  /** what it adds to the text: "" for a part of a character */
  readonly text: string;
  readonly origin: TokenOrigin;
  /** null: not asked for */
  readonly logprobs: TokenLogprobs | null;
}

export type AnswerEvent =
  /** more of the answer; the text may be "" and the tokens none */
  | { readonly type: "text"; readonly text: string; readonly tokens: readonly AnsweredToken[] }
  /** drafts that were rejected: nothing that was given away is taken back */
  | { readonly type: "discarded"; readonly text: string }
  /** once, last */
  | { readonly type: "end"; readonly end: AnswerEnd };

export interface AnswerEnd {
  /** whose text it is: the target's, or the small model's alone */
  readonly answeredBy: "target" | "edge";
  /** `stop`: a stop string came */
  readonly reason: StopReason | "stop";
  /** the stop string that came */
  readonly stopString?: string;
  readonly promptTokens: number;
  readonly statistics: PipelineStatistics;
}
