import { answer } from "../sampling/answer.ts";
import type { Answer } from "../sampling/question.ts";
import { SamplerWorkspace } from "../sampling/sampler.ts";
import { assert } from "../util/assert.ts";
import { PicoSpecError } from "../util/errors.ts";
import type { HeldRow, PassItem, PassResult } from "./engine.ts";

/** Answers for engines that have dense rows: asks in order, stops at the first rejected draft, keeps one row. */
export class RowAnswers {
  private readonly workspace = new SamplerWorkspace();
  /** released copies, to be used again: bounded by how many rows are ever held at a time */
  private readonly spare: Float32Array[] = [];

  /**
   * A row that is of no use ends the session that it is for, and no other.
   * @param rowAt row i of the item's rows, Float32Array[V]; only asked for when needed, and not kept
   */
  result(item: PassItem, rowAt: (index: number) => Float32Array): PassResult {
    const answers: Answer[] = [];
    const resident = item.from + item.tokens.length;
    try {
      return { answers, held: this.ask(item, rowAt, answers), resident, failure: null };
    } catch (error) {
      if (!(error instanceof PicoSpecError)) throw error;
      return { answers, held: null, resident, failure: error.message };
    }
  }

  /** @returns the row to keep, if any */
  private ask(item: PassItem, rowAt: (index: number) => Float32Array, answers: Answer[]): HeldRow | null {
    for (const [index, question] of item.questions.entries()) {
      const row = rowAt(index);
      const given = answer(row, question, this.workspace);
      answers.push(given);
      if (given.kind === "rejected") return this.hold(row);
      if (given.kind !== "accepted") return null;
    }
    return item.hold ? this.hold(rowAt(item.questions.length)) : null;
  }

  private hold(row: Float32Array): HeldRow {
    const copy = this.spare.pop() ?? new Float32Array(row.length);
    copy.set(row);
    let held = true;
    return {
      answer: (question) => {
        assert(held, "a released row was asked");
        return answer(copy, question, this.workspace);
      },
      release: () => {
        if (held) this.spare.push(copy);
        held = false;
      },
    };
  }
}
