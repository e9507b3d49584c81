import { assert } from "../../util/assert.ts";

/** Runs that are looked back on. */
const RECENT = 8;
/** Of the tokens of recent runs, how many have to be right for the next run to be drafted. */
const LEAST_RIGHT = 0.6;
/** A draft cannot be taken back further than a window of drafts, each of which may begin a run. */
const MOST_RUNS = 512;

/** Text that a grammar forces, as a tokenizer spells it. */
interface Run {
  /** position of its first token */
  readonly at: number;
  readonly tokens: Int32Array;
}

/**
 * The forced texts of an answer, in order, whether they were drafted or not: whether the next one is worth a draft
 * depends on how many of their tokens came. That is a function of the tokens before it, so that drafts are the same
 * however late or often they are made.
 */
export class SpelledRuns {
  private readonly runs: Run[] = [];

  /**
   * @param prefix what the next token continues, Int32Array[n]
   * @returns the next token of the run that the prefix is in; -1: it is in none
   */
  next(prefix: Int32Array): number {
    const last = this.runs.at(-1);
    if (!last) return -1;
    const done = prefix.length - last.at;
    if (done < 0 || done >= last.tokens.length || this.right(last, prefix) < done) return -1;
    return last.tokens[done]!;
  }

  /** The prefix is where forced text begins. @param tokens at least one */
  begin(prefix: Int32Array, tokens: Int32Array): void {
    assert(tokens.length > 0, "a run has tokens");
    assert((this.runs.at(-1)?.at ?? -1) < prefix.length, "a run begins behind the one before it");
    this.runs.push({ at: prefix.length, tokens });
    if (this.runs.length > MOST_RUNS) this.runs.shift();
  }

  /** Whether the run that the prefix is in is worth drafts, by those before it. */
  worthDrafts(prefix: Int32Array): boolean {
    let [right, seen] = [0, 0];
    for (const run of this.runs.slice(-RECENT - 1, -1)) {
      const matched = this.right(run, prefix);
      right += matched;
      // A token behind the first wrong one says nothing.
      seen += Math.min(run.tokens.length, matched + 1);
    }
    return right >= LEAST_RIGHT * seen;
  }

  /** How many of a run's tokens the prefix has, before the first other one. */
  private right({ at, tokens }: Run, prefix: Int32Array): number {
    let count = 0;
    while (count < tokens.length && prefix[at + count] === tokens[count]) count++;
    return count;
  }

  /** The token at `length` is taken back, and all behind it: runs that begin behind it are void. */
  rollback(length: number): void {
    while (this.runs.length > 0 && this.runs.at(-1)!.at > length) this.runs.pop();
  }
}
