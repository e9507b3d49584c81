import type { TargetIdentity } from "../decoding/identity.ts";
import type { Answer, Question } from "../sampling/question.ts";
import { PicoSpecError } from "../util/errors.ts";
import type { Capabilities } from "./capabilities.ts";

/**
 * What the two sides need of a model. Results come through callbacks and not promises: under a virtual clock a
 * callback runs when the clock says so, and a promise whenever the runtime likes.
 */

/** The engine failed: a damaged file, no memory, a library that does not fit. */
export class EngineError extends PicoSpecError {
  override readonly name = "EngineError";
}

/** What any model says of itself. */
export interface ModelInfo {
  readonly name: string;
  readonly vocabularySize: number;
  /** most tokens of one sequence */
  readonly contextTokens: number;
  /** of a target: what its numbers depend on; default: unknown, and edges compare what else there is */
  readonly identity?: TargetIdentity;
}

/** The small model of the edge: one sequence, with its KV. */
export interface DraftModel {
  readonly info: ModelInfo;
  /** most tokens of one `feed` */
  readonly feedTokens: number;
  /**
   * Feeds tokens at positions [from, from + tokens.length). What the KV holds at `from` or past it is dropped
   * first: that is the rollback. One call at a time.
   * @param read gets the logits after the last token, Float32Array[V], valid inside the call only; null: not wanted
   * @param done called once, after `read`; an error leaves the KV empty
   */
  feed(
    from: number,
    tokens: Int32Array,
    read: ((logits: Float32Array) => void) | null,
    done: (error: EngineError | null) => void,
  ): void;
  close(): void;
}

/** A session's share of one pass. */
export interface PassItem {
  /** KV slot, [0, kvSlots) */
  readonly slot: number;
  /** before anything else in the pass, it gets the first tokens of another slot, [0, from); null: it has its own */
  readonly copyFrom?: number | null;
  /** position of tokens[0]; what the KV holds at it or past it is dropped first */
  readonly from: number;
  readonly tokens: Int32Array;
  /**
   * About the rows after the last tokens: question i belongs to token tokens.length - rows + i, where rows is
   * questions.length, and one more with `hold`. They are asked in order up to the first that is not "accepted".
   */
  readonly questions: readonly Question[];
  /** keep the row after the last token when all drafts are accepted: the next draft is verified by it */
  readonly hold: boolean;
}

/** A row of the target that outlives its pass. */
export interface HeldRow {
  answer(question: Question): Answer;
  /** gives its memory back; not to be asked any more */
  release(): void;
}

export interface PassResult {
  /** one for each question that was asked */
  readonly answers: readonly Answer[];
  /** the row that a rejection came from, or the last row with `hold`; the receiver releases it */
  readonly held: HeldRow | null;
  /**
   * What the slot holds of the item's sequence now: tokens [0, resident). All that was fed where the engine can roll
   * back anywhere; otherwise what was accepted, and the next item of the slot begins there or at 0.
   */
  readonly resident: number;
  /** the row was of no use, and this item's session has to end; null: it was */
  readonly failure: string | null;
}

/**
 * The large model of the cloud, where the cloud decides what is in a pass: passes over many sequences, and answers
 * instead of rows.
 */
export interface PassEngine {
  readonly info: ModelInfo;
  readonly capabilities: Capabilities;
  /** sessions whose KV it keeps at a time */
  readonly kvSlots: number;
  /** most tokens and most rows of one pass, all items together */
  readonly passTokens: number;
  readonly passRows: number;
  /**
   * One forward pass. One call at a time.
   * @param done results in the order of the items; on an error the KV of every slot in the pass is empty
   */
  pass(items: readonly PassItem[], done: (error: EngineError | null, results: PassResult[]) => void): void;
  close(): void;
}

/**
 * Where the sequence of an item ends once what was not accepted is cut off: tokens [0, n).
 * @example
 * import { acceptedLength, type Answer, type PassItem } from "picospec";
 *
 * export const residentOf = (item: PassItem, answers: Answer[]) => acceptedLength(item, answers);
 */
export function acceptedLength(item: PassItem, answers: readonly Answer[]): number {
  const end = item.from + item.tokens.length;
  const asked = item.questions.length;
  if (asked === 0 || (item.hold && answers.length === asked && answers.at(-1)?.kind === "accepted"))
    return end;
  return end - rowsOf(item) + answers.length;
}

/**
 * The same engine with other passes.
 * @param pass instead of the engine's own
 * @param close instead of the engine's own
 * @example
 * import { type PassEngine, withPass } from "picospec";
 *
 * export const logged = (engine: PassEngine) =>
 *   withPass(engine, (items, done) => {
 *     console.log(`a pass over ${items.length} sessions`);
 *     engine.pass(items, done);
 *   });
 */
export function withPass(
  engine: PassEngine,
  pass: PassEngine["pass"],
  close: () => void = () => engine.close(),
): PassEngine {
  const { info, capabilities, kvSlots, passTokens, passRows } = engine;
  return { info, capabilities, kvSlots, passTokens, passRows, pass, close };
}

/** Rows that an item wants, of its last tokens. */
export function rowsOf(item: Pick<PassItem, "questions" | "hold">): number {
  return item.questions.length + (item.hold ? 1 : 0);
}
