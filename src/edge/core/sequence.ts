import { type StopReason, type StopRule, stopReasonAt } from "../../decoding/session.ts";
import { assert } from "../../util/assert.ts";
import { TokenBuffer } from "../../util/token-buffer.ts";

/**
 * The tokens of a session on the edge's side: [0, committed) for good, then the drafts of one lineage. The
 * cloud has been told [0, sent). A correction that was drawn here is committed before it is sent: then
 * sent < committed.
 */
export class EdgeSequence {
  committed: number;
  sent: number;
  lineage = 0;
  /** moves on with every rollback: a draft that was begun before it continues what is no longer there */
  version = 0;
  readonly promptLength: number;
  private readonly rule: StopRule;
  private readonly tokens: TokenBuffer;

  constructor(prompt: Int32Array, rule: StopRule) {
    this.rule = rule;
    this.promptLength = rule.promptLength;
    this.tokens = new TokenBuffer(prompt);
    this.committed = prompt.length;
    this.sent = prompt.length;
  }

  get length(): number {
    return this.tokens.length;
  }

  /** Drafts that are neither accepted nor rejected. */
  get undecided(): number {
    return this.tokens.length - this.committed;
  }

  get unsentDrafts(): number {
    return this.tokens.length - Math.max(this.sent, this.committed);
  }

  at(position: number): number {
    return this.tokens.at(position);
  }

  /** Tokens [0, length), valid until the next change. */
  prefix(length: number): Int32Array {
    return this.tokens.view(0, length);
  }

  slice(from: number, to: number): Int32Array {
    return this.tokens.slice(from, to);
  }

  push(token: number): void {
    this.tokens.push(token);
  }

  /** The next token is committed. @param known the cloud knows that: all but a correction that was drawn here */
  commit(known: boolean): number {
    const position = this.committed++;
    if (known) this.sent = Math.max(this.sent, this.committed);
    return position;
  }

  /** Drops the drafts from `length` on and gives them back. */
  rollback(length: number): Int32Array {
    const discarded = this.tokens.slice(length, this.tokens.length);
    this.tokens.truncate(length);
    // A lineage that the cloud never heard of needs no successor.
    if (length < this.sent) this.lineage++;
    this.sent = Math.min(this.sent, length);
    this.version++;
    return discarded;
  }

  /** Why the sequence ends with its last committed token, or null. */
  stopped(): StopReason | null {
    return this.stopsAt(this.committed - 1);
  }

  /** Why the sequence ends with its last token, draft or not, or null: nothing is drafted past that. */
  draftsStop(): StopReason | null {
    return this.stopsAt(this.tokens.length - 1);
  }

  /** Why the cloud cannot have committed these tokens, or null. */
  contradiction(first: number, tokens: Int32Array): string | null {
    if (first > this.committed) return `the cloud committed ${first}, and ${this.committed} was next`;
    let stopped = this.stopped() !== null;
    for (const [i, token] of tokens.entries()) {
      const position = first + i;
      if (position < this.committed) {
        if (this.at(position) !== token) return `the cloud changed its mind about position ${position}`;
        continue;
      }
      if (stopped) return `the cloud committed ${position}, which is past the end`;
      stopped = stopReasonAt(this.rule, token, position) !== null;
    }
    return null;
  }

  /** @throws AssertionError */
  checkIntegrity(): void {
    const { promptLength, sent, committed, length, lineage, version } = this;
    const at = `prompt ${promptLength}, sent ${sent}, committed ${committed}, length ${length}`;
    assert(0 < promptLength && promptLength <= committed && committed <= length, `out of order: ${at}`);
    assert(promptLength <= sent && sent <= length, `out of order: ${at}`);
    assert(0 <= lineage && lineage <= version, `lineage ${lineage} after ${version} rollbacks`);
    assert(this.stopsAt(committed - 2) === null, `a token was committed past the end: ${at}`);
  }

  private stopsAt(position: number): StopReason | null {
    return position < this.promptLength ? null : stopReasonAt(this.rule, this.tokens.at(position), position);
  }
}
