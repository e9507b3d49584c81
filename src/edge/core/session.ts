import type { SessionSettings, StopRule } from "../../decoding/session.ts";
import type { DoneFrame, ErrorFrame, OpenFrame, VerdictFrame, WitnessesFrame } from "../../protocol/frame.ts";
import type { Proposal } from "../../sampling/propose.ts";
import type { Rejection } from "../../sampling/question.ts";
import { assert, unreachable } from "../../util/assert.ts";
import type { Machine } from "../../util/machine.ts";
import { Adaptation } from "./adaptation.ts";
import type { DraftGate } from "./draft-gate.ts";
import type { EdgeEffect, EdgeEvent, EdgeFrame, Outcome, TokenOrigin } from "./machine.ts";
import { type DrafterReach, Grasp } from "./reach.ts";
import { RejectionSampler, type ReplacementStep } from "./residual.ts";
import { EdgeSequence } from "./sequence.ts";
import { PipelineStatistics } from "./statistics.ts";

/** The cloud stops a little past what it knows to be read; it is told at least this often. */
const ACKNOWLEDGE_TOKENS = 64;

/** What a session's sequence holds. */
export interface SequenceView {
  readonly promptLength: number;
  /** tokens [0, committed) are committed, the rest are drafts */
  readonly committed: number;
  /** Int32Array[n] */
  readonly tokens: Int32Array;
}

export interface EdgeSessionOptions {
  readonly id: number;
  /** known to this edge only: it resumes the session; null: the session does not outlive its link */
  readonly secret: string | null;
  readonly settings: SessionSettings;
  readonly prompt: Int32Array;
  readonly rule: StopRule;
  readonly drafter: DrafterReach;
  /** of the target */
  readonly vocabularySize: number;
  /** of all sessions of this edge with this cloud. Default: one of its own */
  readonly gate?: DraftGate;
}

/**
 * One session on the edge's side: a pure state machine. Drafts, frames and the time come in; drafts to make,
 * frames to send, rollbacks and committed tokens come out, in the order that machine.ts states.
 */
export class EdgeSession implements Machine<EdgeEvent, EdgeEffect> {
  readonly statistics = new PipelineStatistics();
  private readonly adaptation: Adaptation;
  private readonly id: number;
  private readonly secret: string | null;
  private readonly settings: SessionSettings;
  private readonly grasp: Grasp;
  private readonly sequence: EdgeSequence;
  /** null under Gumbel coupling, where q has no part */
  private readonly residual: RejectionSampler | null;
  /** how far the cloud knows that its verdicts were read */
  private acknowledged: number;
  private drafting = false;
  private draftStartedMs = 0;
  /** the drafter has nothing to propose at this length */
  private emptyAt = -1;
  private segmentStartedMs = -1;
  private yielded = false;
  private suspended = false;
  private resumptions = 0;
  /** the first position whose logprobs the cloud has not told; only where the session wants any */
  private reported: number;
  private finished = false;
  private out: EdgeEffect[] = [];

  constructor(options: EdgeSessionOptions) {
    const { id, secret, settings, prompt, rule, drafter, vocabularySize, gate } = options;
    const { policy, seed } = settings;
    this.id = id;
    this.secret = secret;
    this.settings = settings;
    this.adaptation = new Adaptation(policy, gate);
    this.grasp = new Grasp(drafter, prompt);
    this.sequence = new EdgeSequence(prompt, rule);
    const width = Math.min(vocabularySize, drafter.vocabularySize);
    this.residual =
      policy.coupling === "rejection" ? new RejectionSampler(seed, policy.exchange, width) : null;
    this.acknowledged = prompt.length;
    this.reported = prompt.length;
  }

  /** Tokens [0, length) of the sequence, drafts included; valid until the next event. */
  prefix(length: number): Int32Array {
    return this.sequence.prefix(length);
  }

  handle(event: EdgeEvent, nowMs: number): readonly EdgeEffect[] {
    this.out = [];
    if (!this.finished) {
      this.react(event, nowMs);
      this.goOn(nowMs);
    }
    return this.out;
  }

  get over(): boolean {
    return this.finished;
  }

  /** Tokens of prompt, answer and drafts, for who compares: valid until the next event. */
  view(): SequenceView {
    const { promptLength, committed, length } = this.sequence;
    return { promptLength, committed, tokens: this.sequence.prefix(length) };
  }

  /** @throws AssertionError between two events when an invariant is broken, or something is kept past the end */
  checkIntegrity(): void {
    const { sequence, settings, residual, reported } = this;
    const { committed, length, promptLength, undecided } = sequence;
    const { windowTokens } = settings.policy;
    sequence.checkIntegrity();
    assert(undecided <= windowTokens, `there are ${undecided} drafts, and the window has ${windowTokens}`);
    this.adaptation.checkIntegrity();
    this.statistics.checkIntegrity(committed, promptLength, windowTokens);
    assert(this.acknowledged <= committed, "more is acknowledged than was committed");
    assert(promptLength <= reported && reported <= committed, `logprobs were reported up to ${reported}`);
    assert(this.emptyAt < 0 || this.emptyAt <= length, "the drafter had nothing to propose past the end");
    assert(
      !(this.drafting && (this.yielded || this.finished)),
      "a draft is made that is not wanted any more",
    );
    assert(!(this.drafting && residual?.replacing), "a draft is made while one is being replaced");
    if (!this.finished) residual?.checkIntegrity(committed, length);
    else residual?.checkIntegrity(0, 0);
  }

  private react(event: EdgeEvent, nowMs: number): void {
    switch (event.kind) {
      case "start":
        this.statistics.startedMs = nowMs;
        if (this.settings.policy.target) this.open(this.sequence.length, null);
        break;
      case "drafted":
        this.drafted(event.version, event.position, event.proposal, nowMs);
        break;
      case "draftFailed":
        this.giveUp("engine", event.message);
        break;
      case "frame":
        this.frame(event.frame, nowMs);
        break;
      case "wake":
        break;
      case "suspend":
        this.suspend();
        break;
      case "resume":
        this.resume();
        break;
      case "giveUp":
        this.giveUp(event.code, event.message);
        break;
      case "cancel":
        this.cancel();
        this.finish({ kind: "done", reason: "cancelled", usage: null });
        break;
      case "lost":
        this.lost(event.code, event.reason);
        break;
      default:
        unreachable(event);
    }
  }

  // Drafting

  private drafted(version: number, position: number, proposal: Proposal | null, nowMs: number): void {
    // A rollback overtook it: what it continues is no longer there.
    if (version !== this.sequence.version) return;
    this.drafting = false;
    assert(position === this.sequence.length, "a draft continues the sequence");
    if (proposal === null) {
      this.emptyAt = position;
      return;
    }
    if (this.segmentStartedMs < 0) this.segmentStartedMs = nowMs;
    this.sequence.push(proposal.token);
    this.residual?.drafted(position, proposal);
    const { source = "model" } = proposal;
    // What a grammar dictates costs the drafter nothing, and says nothing of how good it is.
    if (source !== "grammar") this.adaptation.drafted(nowMs - this.draftStartedMs);
    this.statistics.draftedAt(position, source);
    if (!this.settings.policy.target) {
      this.commit(nowMs, "draft");
      this.finishIfStopped();
    }
  }

  /** After every event: send what is due, and draft on where that makes sense. */
  private goOn(nowMs: number): void {
    if (this.finished || this.residual?.replacing) return;
    if (this.waitsForVerdict()) return;
    if (this.settings.policy.target && !this.suspended) {
      this.yieldIfDrafterEnds();
      const unread = this.sequence.committed - this.acknowledged;
      if (this.isDue(nowMs) || unread >= ACKNOWLEDGE_TOKENS) this.send();
    }
    if (this.mayDraft()) {
      const { version, length: position, lineage } = this.sequence;
      this.drafting = true;
      this.draftStartedMs = nowMs;
      if (this.segmentStartedMs < 0) this.segmentStartedMs = nowMs;
      this.out.push({ kind: "draft", version, position, lineage });
    }
    // Without a link nothing is sent, however late it is: the wake would come at once, again and again.
    const atMs = this.suspended ? Number.POSITIVE_INFINITY : this.truncateAtMs();
    if (this.sequence.unsentDrafts > 0 && Number.isFinite(atMs)) this.out.push({ kind: "wake", atMs });
  }

  /** Stop-and-wait: a bonus token would contradict what follows the drafts in flight, however few they are. */
  private waitsForVerdict(): boolean {
    return this.settings.policy.bonusToken && this.sequence.sent > this.sequence.committed;
  }

  private mayDraft(): boolean {
    const { windowTokens } = this.adaptation.limits;
    return (
      this.settings.policy.segmentTokens > 0 &&
      !this.drafting &&
      !this.yielded &&
      this.sequence.length !== this.emptyAt &&
      !this.waitsForVerdict() &&
      this.sequence.undecided < windowTokens &&
      this.grasp.holds(this.sequence.length) &&
      this.sequence.draftsStop() === null
    );
  }

  /**
   * A drafter that cannot go on hands over to the cloud. That depends on the position and on committed tokens
   * alone, never on the token that would be drafted, so that it does not touch the distribution.
   */
  private yieldIfDrafterEnds(): void {
    if (this.yielded || this.settings.policy.segmentTokens === 0) return;
    if (this.grasp.holds(this.sequence.length) || this.sequence.draftsStop()) return;
    this.yielded = true;
    this.send();
  }

  // Segments

  private isDue(nowMs: number): boolean {
    const { sent, committed, length, unsentDrafts, undecided } = this.sequence;
    if (sent === length) return false;
    const { preVerify } = this.settings.policy;
    const { segmentTokens, windowTokens } = this.adaptation.limits;
    // Fast Verification: the correction goes at once, so that its row is ready when drafts follow.
    if (sent < committed && (preVerify || this.yielded || this.sequence.stopped())) return true;
    if (unsentDrafts === 0) return false;
    return (
      unsentDrafts >= segmentTokens ||
      undecided >= windowTokens ||
      this.sequence.draftsStop() !== null ||
      // Latency-aware truncation: it takes longer than it should, so what there is has to do.
      nowMs >= this.truncateAtMs()
    );
  }

  private truncateAtMs(): number {
    return this.segmentStartedMs + this.settings.policy.truncateAfterMs;
  }

  /** Tells the cloud everything that it has not been told; with nothing to tell, what has been read. */
  private send(): void {
    const { lineage, sent: first, committed: committedThrough, length, unsentDrafts } = this.sequence;
    const tokens = this.sequence.slice(first, length);
    const q = this.residual?.probabilities(first, tokens.length) ?? ({ kind: "none" } as const);
    const { id: session, yielded: final } = this;
    // Written out: a spread makes V8 build a new hidden class each time.
    this.tell({ type: "draft", session, lineage, first, committedThrough, final, tokens, q });
    if (unsentDrafts > 0) this.statistics.segmentSent(Math.max(first, committedThrough));
    this.sequence.sent = length;
    this.acknowledged = committedThrough;
    this.segmentStartedMs = -1;
  }

  // Verdicts

  private frame(frame: VerdictFrame | WitnessesFrame | DoneFrame | ErrorFrame, nowMs: number): void {
    switch (frame.type) {
      case "verdict":
        this.verdict(frame, nowMs);
        break;
      case "witnesses":
        this.witnesses(frame, nowMs);
        break;
      case "done":
        this.finish({ kind: "done", reason: frame.reason, usage: frame.usage });
        break;
      case "error":
        this.fail(frame.code, frame.message, frame.retryAfterMs);
        break;
      default:
        unreachable(frame);
    }
  }

  /** Applied by position, whatever its lineage: verdicts are never stale, only drafts are. */
  private verdict(frame: VerdictFrame, nowMs: number): void {
    const { sequence } = this;
    const problem = this.residual?.replacing
      ? `the cloud committed ${frame.first}, and a draft before it is being replaced`
      : sequence.contradiction(frame.first, frame.tokens);
    if (problem) {
      this.giveUp("bad_verdict", problem);
      return;
    }
    for (const [i, token] of frame.tokens.entries()) {
      const position = frame.first + i;
      if (position >= sequence.committed) this.settle(position, token, nowMs);
      const logprobs = frame.logprobs?.[i];
      if (logprobs && position === this.reported) {
        this.reported++;
        this.out.push({ kind: "logprobs", position, logprobs });
      }
    }
    if (frame.tokens.length > 0) this.adaptation.verdict(frame.tokens.length, nowMs);
    if (frame.rejection) this.rejected(frame.rejection, nowMs);
  }

  private settle(position: number, token: number, nowMs: number): void {
    const { sequence } = this;
    const drafted = position < sequence.length;
    if (drafted && sequence.at(position) === token) {
      if (position < sequence.sent) this.judged(position, true);
      this.commit(nowMs, "draft");
      return;
    }
    if (drafted && position < sequence.sent) this.judged(position, false);
    // Also where the cloud is ahead of a draft that is only being made.
    if (drafted || this.drafting) this.rollback(position);
    sequence.push(token);
    this.commit(nowMs, "target");
  }

  private judged(position: number, accepted: boolean): void {
    if (this.statistics.sourceAt(position) !== "grammar") this.adaptation.judged(accepted);
    this.statistics.judgedAt(position, accepted);
  }

  private rejected(rejection: Rejection, nowMs: number): void {
    const { committed: position, lineage, sent } = this.sequence;
    if (position >= sent) {
      this.giveUp("bad_verdict", `the cloud rejected position ${position}, where nothing was drafted`);
      return;
    }
    if (!this.residual) {
      this.giveUp("bad_verdict", "the cloud rejected a draft, and there is nothing to resample with");
      return;
    }
    this.judged(position, false);
    // Before the rollback: the draw needs q of the rejected draft.
    const step = this.residual.reject(position, lineage, rejection);
    this.rollback(position);
    this.replace(step, nowMs);
  }

  private witnesses(frame: WitnessesFrame, nowMs: number): void {
    const step = this.residual?.refill(frame);
    if (step) this.replace(step, nowMs);
    else this.giveUp("bad_verdict", "the cloud sent witnesses that it was not asked for");
  }

  private replace(step: ReplacementStep, nowMs: number): void {
    if (step.kind === "token") {
      this.sequence.push(step.token);
      this.commit(nowMs, "correction");
      return;
    }
    const { lineage, position, from, count } = step;
    this.tell({ type: "witnessRequest", session: this.id, lineage, position, from, count });
  }

  /** The next token of the sequence is committed. */
  private commit(nowMs: number, origin: TokenOrigin): void {
    const position = this.sequence.commit(origin !== "correction");
    const token = this.sequence.at(position);
    this.residual?.committed(position);
    this.grasp.committed(token);
    this.statistics.committed(position, nowMs);
    this.out.push({ kind: "emit", position, token, origin });
  }

  /**
   * Interrupt, and latency-aware rollback: drops the drafts from `length` on, and what is being drafted. What is still on
   * its way is told apart by version and lineage.
   */
  private rollback(length: number): void {
    const wasSent = length < this.sequence.sent;
    const discarded = this.sequence.rollback(length);
    this.residual?.rollback(length);
    this.statistics.rolledBack(length, discarded.length, wasSent);
    this.drafting = false;
    this.emptyAt = -1;
    this.segmentStartedMs = -1;
    this.out.push({ kind: "rollback", length, discarded });
  }

  // A broken link

  /** Nothing is abandoned: what is pending is told again, and the same numbers verify it the same way. */
  private suspend(): void {
    if (this.secret === null) {
      this.lost("connection_lost", "the link broke, and the session has no secret");
      return;
    }
    this.suspended = true;
    this.finishIfStopped();
  }

  private resume(): void {
    this.suspended = false;
    const { sequence } = this;
    const again = this.residual?.putBack() ?? null;
    this.statistics.resumed();
    this.adaptation.resumed();
    if (again) {
      assert(again.position === sequence.length, "a rejected draft is put back where it was");
      sequence.lineage = again.lineage;
      sequence.push(again.token);
      this.statistics.putBack(again.position, again.source);
    }
    // A correction whose logprobs are not known is asked once more, for those: it has no q, and stays.
    const told = this.settings.logprobs === undefined ? sequence.committed : this.reported;
    this.open(told, {
      promptTokens: sequence.promptLength,
      lineage: sequence.lineage,
      epoch: ++this.resumptions,
    });
    sequence.sent = told;
    this.acknowledged = told;
    if (sequence.length > told || this.yielded) this.send();
  }

  private lost(code: string, reason: string): void {
    const lost = code === "connection_lost" ? "the cloud went away: " : "";
    if (!this.finishIfStopped()) this.fail(code, `${lost}${reason}`);
  }

  // What the cloud is told

  /** Opens the session with its first `length` tokens, all of them committed. */
  private open(length: number, resume: OpenFrame["resume"]): void {
    const { id: session, settings, secret } = this;
    this.tell({ type: "open", session, settings, tokens: this.sequence.slice(0, length), secret, resume });
  }

  private cancel(): void {
    this.tell({ type: "cancel", session: this.id });
  }

  private tell(frame: EdgeFrame): void {
    this.out.push({ kind: "send", frame });
  }

  // The end

  /** Something on this side failed: the cloud need not go on. */
  private giveUp(code: string, message: string): void {
    this.cancel();
    this.fail(code, message);
  }

  private fail(code: string, message: string, retryAfterMs?: number): void {
    const later = retryAfterMs === undefined ? {} : { retryAfterMs };
    this.finish({ kind: "failed", code, message, ...later });
  }

  /** All of the text is here: that the last word of the cloud is missing costs the user nothing. */
  private finishIfStopped(): boolean {
    const reason = this.sequence.stopped();
    if (reason) this.finish({ kind: "done", reason, usage: null });
    return reason !== null;
  }

  private finish(outcome: Outcome): void {
    if (this.finished) return;
    this.finished = true;
    this.drafting = false;
    this.residual?.clear();
    if (outcome.kind === "done") this.statistics.usage = outcome.usage;
    this.out.push({ kind: "finished", outcome });
  }
}
