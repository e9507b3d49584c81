import type { SessionSettings } from "../decoding/session.ts";
import type { Frame } from "../protocol/frame.ts";
import type { DraftSource } from "../sampling/propose.ts";
import type { Outcome } from "./core/machine.ts";
import type { PipelineStatistics } from "./core/statistics.ts";

/** A session of an answer that begins. */
export interface ObservedAnswer {
  /** as the cloud hears it; unique on one connection */
  readonly session: number;
  /** null: it does not outlive its link */
  readonly secret: string | null;
  readonly settings: SessionSettings;
  readonly promptTokens: number;
  /** counts as they are, until it is over */
  readonly statistics: PipelineStatistics;
}

/**
 * Who counts, logs or traces one answer. It is called where things happen, must not throw, must not call the edge, and must
 * not keep a frame: its arrays are views.
 */
export interface AnswerObserver {
  opened?(answer: ObservedAnswer): void;
  sent?(frame: Frame, payloadBytes: number): void;
  received?(frame: Frame, payloadBytes: number): void;
  /** the drafter was asked for the token at a position */
  drafting?(position: number): void;
  /** @param source null: it had none to propose, or was interrupted */
  drafted?(position: number, source: DraftSource | null): void;
  /** drafts from a position on are void */
  rolledBack?(position: number, discarded: number): void;
  finished?(outcome: Outcome): void;
}
