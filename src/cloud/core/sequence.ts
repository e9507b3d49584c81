import {
  limitPosition,
  type SessionSettings,
  type StopReason,
  type StopRule,
  stopReasonAt,
} from "../../decoding/session.ts";
import type { GrammarMatcher } from "../../grammar/grammar.ts";
import { ProtocolError } from "../../protocol/errors.ts";
import type { DraftFrame } from "../../protocol/frame.ts";
import { historyTokens, onlyToken, type TokenSet } from "../../sampling/sampler.ts";
import { assert } from "../../util/assert.ts";
import { PicoSpecError } from "../../util/errors.ts";
import { TokenBuffer } from "../../util/token-buffer.ts";

/**
 * The tokens of a session on the cloud's side: [0, committed) are committed, then come the pending drafts of one
 * lineage.
 */
export class DraftedSequence {
  /** tokens [0, committed) never change again */
  committed: number;
  /** the newest lineage heard of */
  lineage: number;
  /** drafts of `lineage` are to be dropped: one of them was rejected */
  lineageDead = false;
  private readonly settings: SessionSettings;
  private readonly rule: StopRule;
  private readonly vocabularySize: number;
  protected readonly tokens: TokenBuffer;
  /** q of the pending drafts, in order */
  private pendingQ: (number | Float32Array)[] = [];
  private readonly grammar: GrammarMatcher | null;

  /**
   * @param committed the prompt, and what a resumed session had committed already
   * @param grammar that the answer keeps to; it stays the caller's
   */
  constructor(
    settings: SessionSettings,
    committed: Int32Array,
    rule: StopRule,
    vocabularySize: number,
    lineage: number,
    grammar: GrammarMatcher | null = null,
  ) {
    this.grammar = grammar;
    this.settings = settings;
    this.rule = rule;
    this.vocabularySize = vocabularySize;
    this.tokens = new TokenBuffer(committed);
    this.committed = committed.length;
    this.lineage = lineage;
  }

  get length(): number {
    return this.tokens.length;
  }

  get pending(): number {
    return this.tokens.length - this.committed;
  }

  /** No token can come at the end: it is the limit of tokens or of context. */
  get full(): boolean {
    return this.tokens.length >= limitPosition(this.rule);
  }

  at(position: number): number {
    return this.tokens.at(position);
  }

  /** Tokens [0, length), valid until the next change. */
  view(length: number): Int32Array {
    return this.tokens.view(0, length);
  }

  slice(from: number, to: number): Int32Array {
    return this.tokens.slice(from, to);
  }

  /** What the penalties look back on at a position. */
  history(position: number): Int32Array {
    return this.tokens.slice(Math.max(0, position - historyTokens(this.settings.sampler)), position);
  }

  /**
   * What the grammar allows at a position, given the drafts before it. Behind a draft that it does not allow everything
   * is: that draft is rejected, and the row is never asked.
   */
  allowed(position: number): TokenSet | null {
    try {
      return this.grammar?.allowed(this.tokens.view(), this.rule.promptLength, position) ?? null;
    } catch (error) {
      if (!(error instanceof PicoSpecError)) throw error;
      throw new ProtocolError("grammar_limit", `the grammar cannot be used any further: ${error.message}`);
    }
  }

  /** The token at `committed` where the grammar leaves no choice; -1: it does, or there is none. */
  certain(): number {
    const allowed = this.full ? null : this.allowed(this.committed);
    return allowed ? onlyToken(allowed) : -1;
  }

  /** Pending draft number `offset`. */
  draft(offset: number): { readonly draft: number; readonly q: number | Float32Array } {
    return { draft: this.tokens.at(this.committed + offset), q: this.pendingQ[offset]! };
  }

  /**
   * Takes a frame's drafts, unless their lineage is dead: then they are late, which is normal.
   * @param rejectedAt position that the edge resamples, or -1
   * @returns whether the frame counts
   * @throws ProtocolError `bad_draft`
   */
  take(frame: DraftFrame, rejectedAt: number): boolean {
    if (frame.lineage < this.lineage) return false;
    if (frame.lineage === this.lineage && this.lineageDead) return false;
    if (frame.lineage > this.lineage) this.startLineage(frame, rejectedAt);
    if (frame.first > this.tokens.length) {
      throw bad(`drafts start at ${frame.first}, but ${this.tokens.length} is next`);
    }
    for (const [i, token] of frame.tokens.entries()) {
      if (!this.takeOne(frame.first + i, token, frame, i)) break;
    }
    return true;
  }

  /** Decides the next position. A pending draft that says otherwise kills its lineage. */
  commit(token: number): void {
    if (this.pending > 0 && this.tokens.at(this.committed) !== token) {
      this.dropPending();
      this.lineageDead = true;
    }
    if (this.pending === 0) this.tokens.push(token);
    else this.pendingQ.shift();
    this.committed++;
  }

  /** The first pending draft was rejected. */
  reject(): void {
    this.dropPending();
    this.lineageDead = true;
  }

  /** Why the sequence ends with its last committed token, or null. */
  stopped(): StopReason | null {
    const last = this.committed - 1;
    return last < this.rule.promptLength ? null : stopReasonAt(this.rule, this.tokens.at(last), last);
  }

  private startLineage(frame: DraftFrame, rejectedAt: number): void {
    if (this.settings.policy.coupling === "rejection") {
      // A draft that was sent may only be abandoned by a rejection before it, or the output is biased.
      const settled = rejectedAt >= 0 ? frame.first === rejectedAt : this.lineageDead;
      if (!settled || frame.lineage !== this.lineage + 1) {
        throw bad(`lineage ${frame.lineage} starts at ${frame.first}, where nothing was rejected`);
      }
    }
    this.dropPending();
    this.lineage = frame.lineage;
    this.lineageDead = false;
  }

  /** @returns false when the rest of the frame is void */
  private takeOne(position: number, token: number, frame: DraftFrame, index: number): boolean {
    if (token >= this.vocabularySize) throw bad(`there is no token ${token}`);
    if (position < this.tokens.length) {
      // Said before, or committed while it was on its way: equal is fine.
      if (this.tokens.at(position) === token) return true;
      if (position >= this.committed || this.settings.policy.coupling === "rejection") {
        throw bad(`position ${position} was drafted twice, with other tokens`);
      }
      this.dropPending();
      this.lineageDead = true;
      return false;
    }
    if (this.full) throw bad(`position ${position} is past the limit of ${limitPosition(this.rule)}`);
    // The window, and one more: the correction that a lineage starts with is committed on the edge already.
    if (this.pending > this.settings.policy.windowTokens) throw bad("more drafts than the window allows");
    this.tokens.push(token);
    this.pendingQ.push(this.qOf(frame, index));
    return true;
  }

  private qOf(frame: DraftFrame, index: number): number | Float32Array {
    const { coupling, exchange } = this.settings.policy;
    const expected = coupling === "gumbel" ? "none" : exchange === "denseUp" ? "dense" : "sparse";
    const { q } = frame;
    if (q.kind !== expected) throw bad(`this policy sends ${expected} q with its drafts, not ${q.kind}`);
    if (q.kind === "none") return 1;
    if (q.kind === "sparse") return q.values[index]!;
    if (q.width > this.vocabularySize) throw bad(`q is ${q.width} tokens wide, and p ${this.vocabularySize}`);
    return q.values.slice(index * q.width, (index + 1) * q.width);
  }

  /** @throws AssertionError when what is pending does not fit */
  checkIntegrity(): void {
    const { committed, pending, pendingQ, settings, rule } = this;
    assert(committed >= rule.promptLength, "a prompt is committed as a whole");
    assert(pending === pendingQ.length, `${pendingQ.length} q are kept for ${pending} drafts`);
    assert(pending <= settings.policy.windowTokens + 1, `${pending} drafts are pending`);
    assert(!this.lineageDead || pending === 0, "drafts of a dead lineage are pending");
    assert(this.length <= limitPosition(rule) || pending === 0, "a draft is pending past the limit");
  }

  /** The cloud's half of latency-aware rollback: back to what is committed, whatever is in flight. */
  protected dropPending(): void {
    this.tokens.truncate(this.committed);
    this.pendingQ = [];
  }
}

function bad(message: string): ProtocolError {
  return new ProtocolError("bad_draft", message);
}
