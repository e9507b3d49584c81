import type { HeldRow, TargetModel } from "../../engine/engine.ts";
import type { Question } from "../../sampling/question.ts";
import { assert } from "../../util/assert.ts";
import { messageOf } from "../../util/errors.ts";
import type { CloudEvent, PassShare } from "../core/machine.ts";

/** Carries passes and questions to the target and keeps the rows that outlive their pass, one a session. */
export class Verifier {
  private readonly model: TargetModel;
  private readonly rows = new Map<number, HeldRow>();

  constructor(model: TargetModel) {
    this.model = model;
  }

  get heldRows(): number {
    return this.rows.size;
  }

  /** @param done gets `passEnded` or `passFailed` */
  pass(shares: readonly PassShare[], done: (event: CloudEvent) => void): void {
    this.model.pass(shares, (error, results) => {
      if (error) {
        done({ kind: "passFailed", message: error.message });
        return;
      }
      const outcomes = shares.map(({ session }, i) => {
        const { answers, held, failure } = results[i]!;
        if (held) {
          assert(!this.rows.has(session), "a session holds one row at a time");
          this.rows.set(session, held);
        }
        return { session, answers, held: held !== null, failure };
      });
      done({ kind: "passEnded", outcomes });
    });
  }

  /** About the row that is held for the session. */
  ask(session: number, question: Question): CloudEvent {
    const row = this.rows.get(session);
    assert(row, "a session asks about a row that it holds");
    try {
      return { kind: "answered", session, answer: row.answer(question) };
    } catch (error) {
      return { kind: "answerFailed", session, message: messageOf(error) };
    }
  }

  release(session: number): void {
    this.rows.get(session)?.release();
    this.rows.delete(session);
  }
}
