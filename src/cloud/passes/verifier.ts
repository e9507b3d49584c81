import type { HeldRow, PassEngine } from "../../engine/engine.ts";
import type { Question } from "../../sampling/question.ts";
import { assert, unreachable } from "../../util/assert.ts";
import { messageOf, PicoSpecError } from "../../util/errors.ts";
import type { Performer } from "../core/machine.ts";
import type { PassEffect, PassEvent, PassShare } from "./machine.ts";
import type { PassWatch } from "./pass-watch.ts";

/**
 * Carries passes and questions to the target and keeps the rows that outlive their pass, one a session. Whether a row
 * accepts a draft is decided where the row is: `sampling/answer.ts`.
 */
export class Verifier implements Performer<PassEffect> {
  private readonly model: PassEngine;
  private readonly tell: (event: PassEvent) => void;
  private readonly heldRows: () => number;
  private readonly watch: PassWatch | null;
  private readonly rows = new Map<number, HeldRow>();
  private passes = 0;

  /**
   * @param tell gets what comes of the effects
   * @param heldRows how many sessions believe that a row is held for them
   * @param watch null: nothing observes
   */
  constructor(
    model: PassEngine,
    tell: (event: PassEvent) => void,
    heldRows: () => number,
    watch: PassWatch | null = null,
  ) {
    this.model = model;
    this.tell = tell;
    this.heldRows = heldRows;
    this.watch = watch;
  }

  /** A pass is under way. */
  get busy(): boolean {
    return this.passes > 0;
  }

  perform(effect: PassEffect): void {
    switch (effect.kind) {
      case "pass":
        this.pass(effect.shares);
        break;
      case "ask":
        this.tell(this.ask(effect.session, effect.question));
        break;
      case "releaseRow":
        this.release(effect.session);
        break;
      default:
        unreachable(effect);
    }
  }

  checkIntegrity(): void {
    const held = this.heldRows();
    assert(this.rows.size === held, `${this.rows.size} rows are held for ${held} sessions`);
    assert(this.passes <= 1, "one pass at a time");
  }

  private pass(shares: readonly PassShare[]): void {
    this.passes++;
    this.watch?.began();
    this.model.pass(shares, (error, results) => {
      this.passes--;
      this.watch?.ended(shares, error ? null : results);
      if (error) {
        this.tell({ kind: "passFailed", message: error.message });
        return;
      }
      const outcomes = shares.map(({ session }, i) => {
        const { answers, held, resident, failure } = results[i]!;
        if (held) {
          assert(!this.rows.has(session), "a session holds one row at a time");
          this.rows.set(session, held);
        }
        return { session, answers, held: held !== null, resident, failure };
      });
      this.tell({ kind: "passEnded", outcomes });
    });
  }

  /** About the row that is held for the session. */
  private ask(session: number, question: Question): PassEvent {
    const row = this.rows.get(session);
    assert(row, "a session asks about a row that it holds");
    try {
      const answer = row.answer(question);
      this.watch?.asked(session, question, answer);
      return { kind: "answered", session, answer };
    } catch (error) {
      if (!(error instanceof PicoSpecError)) throw error;
      return { kind: "answerFailed", session, message: messageOf(error) };
    }
  }

  private release(session: number): void {
    this.rows.get(session)?.release();
    this.rows.delete(session);
  }
}
