import type { Frame } from "../../protocol/frame.ts";
import type { SessionEnded, SessionOpened } from "./session.ts";

/** A pass that is over. */
export interface PassReport {
  readonly startedMs: number;
  readonly tookMs: number;
  /** keys of the sessions in it */
  readonly sessions: readonly number[];
  readonly fedTokens: number;
  /** of the tokens fed, those whose row was computed; the others were a prompt's, or a KV's that is rebuilt */
  readonly rows: number;
  /** drafts that its rows accepted, and rejected */
  readonly accepted: number;
  readonly rejected: number;
  /** the model failed, and the KV of its sessions is empty */
  readonly failed: boolean;
}

/**
 * Who counts, logs and traces what a cloud does. The driver calls it, at most once a frame and once a pass, and never the
 * machine. It must not throw, must not call the cloud, and must not keep a frame: its arrays are views.
 */
export interface CloudObserver {
  connected?(connection: number): void;
  disconnected?(connection: number): void;
  /** An edge was refused at the door, before there was a connection: by its key or its origin. */
  refused?(code: string): void;
  /** before the cloud reacts to it */
  received?(connection: number, frame: Frame, payloadBytes: number): void;
  sent?(connection: number, frame: Frame, payloadBytes: number): void;
  opened?(session: SessionOpened): void;
  ended?(session: SessionEnded): void;
  /** before its sessions hear of it */
  passEnded?(pass: PassReport): void;
  /** a draft was verified by a row that was held, without a pass */
  judged?(session: number, accepted: boolean): void;
}
