import type { SessionSettings, StopRule } from "../decoding/session.ts";
import type { TokenLogprobs } from "../sampling/question.ts";
import type { Capabilities } from "./capabilities.ts";
import type { EngineError, ModelInfo } from "./engine.ts";

/**
 * An engine that schedules by itself and decodes on, with or without drafts, such as vLLM. Drafts are hints: the
 * engine checks them against its own state, so a late, wrong or lost one costs nothing and cannot change the text.
 * It cannot be paused: a run that gets too far ahead is cancelled, and another is opened from what is committed.
 *
 * Results come through callbacks and not promises: under a virtual clock a callback runs when the clock says so. None
 * is called from within `open`, `offer` or `cancel`.
 */
export interface LiveEngine {
  readonly info: ModelInfo;
  readonly capabilities: Capabilities;
  /** most runs at a time */
  readonly runs: number;
  /** Starts to generate. @throws EngineError when the request cannot be had */
  open(request: LiveRequest, listener: LiveListener): LiveRun;
  close(): void;
}

/** Code of the error of a run that asks for what the engine will not do, such as a grammar that it cannot read. */
export const REFUSED = "engine_refused";

/**
 * Code of the error of a run whose request was lost in the middle of a grammar: the engine would begin the grammar anew
 * behind the first half of the answer.
 */
export const GRAMMAR_LOST = "grammar_lost";

/** What a run generates from. An engine that keeps to grammars by itself begins one where the run begins. */
export interface LiveRequest {
  /** what is committed, prompt included, Int32Array[n], n of 1 or more; the engine's from here on */
  readonly tokens: Int32Array;
  readonly settings: SessionSettings;
  /**
   * whose it is. What the engine keeps of a text may serve the same principal's next one, and no other's. The name itself
   * goes no further than the adapter
   */
  readonly principal: string;
  /**
   * the principal goes by a key, so that its name means the same in another gateway and after a restart. Default: false, it
   * is known to this gateway alone
   */
  readonly isKeyed?: boolean;
  /** where the answer ends; the engine may go on past that, and is cancelled then */
  readonly rule: StopRule;
}

/** Tokens of one step of the engine. */
export interface LiveStep {
  /** position of tokens[0]; without gaps from step to step */
  readonly first: number;
  /** Int32Array[n], n of 1 or more */
  readonly tokens: Int32Array;
  /** what the target thought of each, where the settings ask for it; null: they do not */
  readonly logprobs: readonly TokenLogprobs[] | null;
  /** rows that were computed for them: drafts that were checked, and one */
  readonly rows: number;
}

export interface LiveListener {
  committed(step: LiveStep): void;
  /** The engine generates no more; nothing follows. */
  ended(): void;
  /** It failed; nothing follows. */
  failed(error: EngineError): void;
}

export interface LiveRun {
  /** Drafts for positions [position, position + n), Int32Array[n]: the engine's from here on. Newer ones replace older. */
  offer(position: number, tokens: Int32Array): void;
  /** Ends it; nothing of it follows, also what was on its way. */
  cancel(): void;
}
