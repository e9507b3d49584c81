import { type SessionSettings, type StopReason, type StopRule, stopReasonAt } from "../decoding/session.ts";
import type { DoneFrame, ErrorFrame, VerdictFrame, WitnessesFrame } from "../protocol/frame.ts";
import type { Rejection } from "../sampling/question.ts";
import type { ResidualStep } from "../sampling/rejection.ts";
import { assert, unreachable } from "../util/assert.ts";
import { TokenBuffer } from "../util/token-buffer.ts";
import type { EdgeEffect, EdgeEvent, Outcome, TokenOrigin } from "./machine.ts";
import { PipelineStatistics } from "./statistics.ts";

/**
 * One session on the edge's side: a pure state machine. Drafts, frames and the time come in; drafts to make,
 * segments to send, rollbacks and decided tokens come out.
 *
 * The sequence is tokens [0, committed) decided for good, then drafts. The cloud has been told [0, sent). A
 * correction that was drawn here is committed before it is sent: then sent < committed.
 */

/** The cloud stops a little past what it knows to be read; it is told at least this often. */
const ACKNOWLEDGE_TOKENS = 64;

export class Pipeline {
  readonly statistics = new PipelineStatistics();
  private readonly settings: SessionSettings;
  private readonly rule: StopRule;
  /** most tokens that the drafter can look back on; 0: there is none */
  private readonly drafterContext: number;
  private readonly tokens: TokenBuffer;
  private committed: number;
  private sent: number;
  private acknowledged: number;
  private lineage = 0;
  /** moves on with every rollback */
  private version = 0;
  private drafting = false;
  private segmentStartedMs = -1;
  /** the lineage of the draft that is being replaced; -1: none is */
  private resamplingLineage = -1;
  /** the witnesses that are on their way; count 0: all of p */
  private askedFor: { readonly from: number; readonly count: number } | null = null;
  private yielded = false;
  private finished = false;
  private out: EdgeEffect[] = [];

  constructor(settings: SessionSettings, prompt: Int32Array, rule: StopRule, drafterContext: number) {
    this.settings = settings;
    this.rule = rule;
    this.drafterContext = drafterContext;
    this.tokens = new TokenBuffer(prompt);
    this.committed = prompt.length;
    this.sent = prompt.length;
    this.acknowledged = prompt.length;
  }

  /** Tokens [0, length) of the sequence, drafts included; valid until the next event. */
  prefix(length: number): Int32Array {
    return this.tokens.view(0, length);
  }

  handle(event: EdgeEvent, nowMs: number): EdgeEffect[] {
    this.out = [];
    if (!this.finished) {
      this.react(event, nowMs);
      this.goOn(nowMs);
    }
    return this.out;
  }

  private react(event: EdgeEvent, nowMs: number): void {
    switch (event.kind) {
      case "start":
        this.statistics.startedMs = nowMs;
        break;
      case "drafted":
        this.drafted(event.version, event.position, event.token, nowMs);
        break;
      case "draftFailed":
        this.giveUp("engine", event.message);
        break;
      case "frame":
        this.frame(event.frame, nowMs);
        break;
      case "resampled":
        this.resampled(event.step, nowMs);
        break;
      case "wake":
        break;
      case "cancel":
        this.out.push({ kind: "cancel" });
        this.finish({ kind: "done", reason: "cancelled", usage: null });
        break;
      case "lost": {
        // All of the text is here: that the last word of the cloud is missing costs the user nothing.
        const reason = this.stopped();
        if (reason) this.finish({ kind: "done", reason, usage: null });
        else this.fail(event.code, lostMessage(event.code, event.reason));
        break;
      }
      default:
        unreachable(event);
    }
  }

  // Drafting

  private drafted(version: number, position: number, token: number, nowMs: number): void {
    // A rollback overtook it: what it continues is no longer there.
    if (version !== this.version) return;
    this.drafting = false;
    assert(position === this.tokens.length, "a draft continues the sequence");
    if (this.segmentStartedMs < 0) this.segmentStartedMs = nowMs;
    this.tokens.push(token);
    this.statistics.drafted++;
    if (!this.settings.policy.target) {
      this.commit(nowMs, "draft");
      const reason = this.stopped();
      if (reason) this.finish({ kind: "done", reason, usage: null });
    }
  }

  /** After every event: send what is due, and draft on where that makes sense. */
  private goOn(nowMs: number): void {
    if (this.finished || this.resamplingLineage >= 0) return;
    if (this.waitsForVerdict()) return;
    if (this.settings.policy.target) {
      this.yieldIfDrafterEnds();
      const unread = this.committed - this.acknowledged;
      if (this.isDue(nowMs) || unread >= ACKNOWLEDGE_TOKENS) this.send();
    }
    if (this.mayDraft()) {
      const position = this.tokens.length;
      this.drafting = true;
      if (this.segmentStartedMs < 0) this.segmentStartedMs = nowMs;
      this.out.push({ kind: "draft", version: this.version, position, lineage: this.lineage });
    }
    const atMs = this.truncateAtMs();
    if (this.unsentDrafts > 0 && Number.isFinite(atMs)) this.out.push({ kind: "wake", atMs });
  }

  /** Stop-and-wait: a bonus token would contradict what follows the drafts in flight, however few they are. */
  private waitsForVerdict(): boolean {
    return this.settings.policy.bonusToken && this.sent > this.committed;
  }

  private mayDraft(): boolean {
    const { segmentTokens, windowTokens } = this.settings.policy;
    const undecided = this.tokens.length - this.committed;
    return (
      segmentTokens > 0 &&
      !this.drafting &&
      !this.yielded &&
      !this.waitsForVerdict() &&
      undecided < windowTokens &&
      this.tokens.length <= this.drafterContext &&
      !this.draftsEnd()
    );
  }

  /** The last token ends the text, or the limit is reached: nothing is drafted past that. */
  private draftsEnd(): boolean {
    const last = this.tokens.length - 1;
    return last >= this.rule.promptLength && stopReasonAt(this.rule, this.tokens.at(last), last) !== null;
  }

  /**
   * A drafter whose context is full hands over to the cloud. That depends on the position alone, never on a
   * token, so that it does not touch the distribution.
   */
  private yieldIfDrafterEnds(): void {
    if (this.yielded || this.settings.policy.segmentTokens === 0) return;
    if (this.tokens.length <= this.drafterContext || this.draftsEnd()) return;
    this.yielded = true;
    this.send();
  }

  // Segments

  private get unsentDrafts(): number {
    return this.tokens.length - Math.max(this.sent, this.committed);
  }

  private isDue(nowMs: number): boolean {
    if (this.sent === this.tokens.length) return false;
    const { segmentTokens, windowTokens, preVerify } = this.settings.policy;
    // Fast Verification: the correction goes at once, so that its row is ready when drafts follow.
    if (this.sent < this.committed && (preVerify || this.yielded || this.stopped())) return true;
    if (this.unsentDrafts === 0) return false;
    return (
      this.unsentDrafts >= segmentTokens ||
      this.tokens.length - this.committed >= windowTokens ||
      this.draftsEnd() ||
      // Latency-aware truncation: it takes longer than it should, so what there is has to do.
      nowMs >= this.truncateAtMs()
    );
  }

  private truncateAtMs(): number {
    return this.segmentStartedMs + this.settings.policy.truncateAfterMs;
  }

  /** Tells the cloud everything that it has not been told; with nothing to tell, what has been read. */
  private send(): void {
    const tokens = this.tokens.slice(this.sent, this.tokens.length);
    const { lineage, sent: first, committed: committedThrough, yielded: final } = this;
    this.out.push({ kind: "send", segment: { lineage, first, committedThrough, final, tokens } });
    if (this.unsentDrafts > 0) this.statistics.segmentSent(Math.max(this.sent, this.committed));
    this.sent = this.tokens.length;
    this.acknowledged = this.committed;
    this.segmentStartedMs = -1;
  }

  // Verdicts

  private frame(frame: VerdictFrame | WitnessesFrame | DoneFrame | ErrorFrame, nowMs: number): void {
    switch (frame.type) {
      case "verdict":
        this.verdict(frame, nowMs);
        break;
      case "witnesses":
        this.witnesses(frame);
        break;
      case "done":
        this.finish({ kind: "done", reason: frame.reason, usage: frame.usage });
        break;
      case "error":
        this.fail(frame.code, frame.message);
        break;
      default:
        unreachable(frame);
    }
  }

  /** Applied by position, whatever its lineage: verdicts are never stale, only drafts are. */
  private verdict(frame: VerdictFrame, nowMs: number): void {
    if (frame.first > this.committed || this.resamplingLineage >= 0) {
      this.giveUp("bad_verdict", `the cloud decided ${frame.first}, and ${this.committed} was next`);
      return;
    }
    for (const [i, token] of frame.tokens.entries()) {
      const position = frame.first + i;
      if (position >= this.committed && this.stopped()) {
        this.giveUp("bad_verdict", `the cloud decided ${position}, which is past the end`);
        return;
      }
      if (position >= this.committed) this.decide(position, token, nowMs);
      else if (this.tokens.at(position) !== token) {
        this.giveUp("bad_verdict", `the cloud changed its mind about position ${position}`);
        return;
      }
    }
    if (frame.rejection) this.rejected(frame.rejection);
  }

  private witnesses(frame: WitnessesFrame): void {
    const asked = this.askedFor;
    const { lineage, position, from, reply } = frame;
    const fits =
      asked && lineage === this.resamplingLineage && position === this.committed && from === asked.from;
    const came = reply.kind === "dense" ? 0 : reply.witnesses.ids.length;
    if (!fits || came !== asked.count) {
      this.giveUp("bad_verdict", `the cloud sent ${came} witnesses that nobody asked for`);
      return;
    }
    this.askedFor = null;
    this.out.push({ kind: "refill", reply });
  }

  private decide(position: number, token: number, nowMs: number): void {
    const drafted = position < this.tokens.length;
    if (drafted && this.tokens.at(position) === token) {
      if (position < this.sent) this.statistics.accepted++;
      this.commit(nowMs, "draft");
      return;
    }
    if (drafted && position < this.sent) this.statistics.rejected++;
    // Also where the cloud is ahead of a draft that is only being made.
    if (drafted || this.drafting) this.rollback(position);
    this.tokens.push(token);
    this.commit(nowMs, "target");
  }

  private rejected(rejection: Rejection): void {
    const { committed: position, lineage } = this;
    if (position >= this.sent) {
      this.giveUp("bad_verdict", `the cloud rejected position ${position}, where nothing was drafted`);
      return;
    }
    this.statistics.rejected++;
    this.resamplingLineage = lineage;
    // Before the rollback: the draw needs q of the rejected draft.
    this.out.push({ kind: "resample", position, lineage, rejection });
    this.rollback(position);
  }

  private resampled(step: ResidualStep, nowMs: number): void {
    if (step.kind === "token") {
      this.resamplingLineage = -1;
      this.tokens.push(step.token);
      this.commit(nowMs, "correction");
      return;
    }
    const { from, count } = step.kind === "needWitnesses" ? step : { from: 0, count: 0 };
    const { resamplingLineage: lineage, committed: position } = this;
    this.askedFor = { from, count };
    this.out.push({ kind: "requestWitnesses", lineage, position, from, count });
  }

  /** The next token of the sequence is decided. */
  private commit(nowMs: number, origin: TokenOrigin): void {
    const position = this.committed++;
    // Only a correction is decided before the cloud knows it.
    if (origin !== "correction") this.sent = Math.max(this.sent, this.committed);
    this.statistics.committed(position, nowMs);
    this.out.push({ kind: "emit", position, token: this.tokens.at(position), origin });
  }

  /** Interrupt: drops the drafts from `length` on, and what is being drafted. */
  private rollback(length: number): void {
    const discarded = this.tokens.slice(length, this.tokens.length);
    this.statistics.rolledBack(length, discarded.length, length < this.sent);
    this.tokens.truncate(length);
    // A lineage that the cloud never heard of needs no successor.
    if (length < this.sent) this.lineage++;
    this.sent = Math.min(this.sent, length);
    this.version++;
    this.drafting = false;
    this.segmentStartedMs = -1;
    this.out.push({ kind: "rollback", length, discarded });
  }

  // The end

  private stopped(): StopReason | null {
    const last = this.committed - 1;
    return last < this.rule.promptLength ? null : stopReasonAt(this.rule, this.tokens.at(last), last);
  }

  /** Something on this side failed: the cloud need not go on. */
  private giveUp(code: string, message: string): void {
    this.out.push({ kind: "cancel" });
    this.fail(code, message);
  }

  private fail(code: string, message: string): void {
    this.finish({ kind: "failed", code, message });
  }

  private finish(outcome: Outcome): void {
    if (this.finished) return;
    this.finished = true;
    if (outcome.kind === "done") this.statistics.usage = outcome.usage;
    this.out.push({ kind: "finished", outcome });
  }
}

function lostMessage(code: string, reason: string): string {
  return code === "connection_lost" ? `the cloud went away: ${reason}` : reason;
}
