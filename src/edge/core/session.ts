import type { SessionSettings, StopRule } from "../../decoding/session.ts";
import type { DoneFrame, ErrorFrame, VerdictFrame, WitnessesFrame } from "../../protocol/frame.ts";
import type { Rejection } from "../../sampling/question.ts";
import type { ResidualStep } from "../../sampling/rejection.ts";
import { assert, unreachable } from "../../util/assert.ts";
import { Adaptation } from "./adaptation.ts";
import type { EdgeEffect, EdgeEvent, Outcome, TokenOrigin } from "./machine.ts";
import { type DrafterReach, Grasp } from "./reach.ts";
import { Replacement } from "./replacement.ts";
import { EdgeSequence } from "./sequence.ts";
import { PipelineStatistics } from "./statistics.ts";

/**
 * One session on the edge's side: a pure state machine. Drafts, frames and the time come in; drafts to make,
 * segments to send, rollbacks and decided tokens come out.
 */

/** The cloud stops a little past what it knows to be read; it is told at least this often. */
const ACKNOWLEDGE_TOKENS = 64;

export class Pipeline {
  readonly statistics = new PipelineStatistics();
  private readonly adaptation: Adaptation;
  private readonly settings: SessionSettings;
  private readonly grasp: Grasp;
  private readonly sequence: EdgeSequence;
  /** how far the cloud knows that its verdicts were read */
  private acknowledged: number;
  private drafting = false;
  private draftStartedMs = 0;
  /** the drafter has nothing to propose at this length */
  private emptyAt = -1;
  private segmentStartedMs = -1;
  /** the draft that fell and is being replaced */
  private replacement: Replacement | null = null;
  private yielded = false;
  private suspended = false;
  private resumptions = 0;
  /** the first position whose logprobs the cloud has not told; only where the session wants any */
  private reported: number;
  private finished = false;
  private out: EdgeEffect[] = [];

  constructor(settings: SessionSettings, prompt: Int32Array, rule: StopRule, drafter: DrafterReach) {
    this.settings = settings;
    this.adaptation = new Adaptation(settings.policy);
    this.grasp = new Grasp(drafter, prompt);
    this.sequence = new EdgeSequence(prompt, rule);
    this.acknowledged = prompt.length;
    this.reported = prompt.length;
  }

  /** Tokens [0, length) of the sequence, drafts included; valid until the next event. */
  prefix(length: number): Int32Array {
    return this.sequence.prefix(length);
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
        if (this.settings.policy.target) {
          this.out.push({ kind: "open", tokens: this.sequence.slice(0, this.sequence.length), resume: null });
        }
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
        this.out.push({ kind: "cancel" });
        this.finish({ kind: "done", reason: "cancelled", usage: null });
        break;
      case "lost": {
        const lost = event.code === "connection_lost" ? "the cloud went away: " : "";
        if (!this.finishIfStopped()) this.fail(event.code, `${lost}${event.reason}`);
        break;
      }
      default:
        unreachable(event);
    }
  }

  // Drafting

  private drafted(version: number, position: number, token: number | null, nowMs: number): void {
    // A rollback overtook it: what it continues is no longer there.
    if (version !== this.sequence.version) return;
    this.drafting = false;
    assert(position === this.sequence.length, "a draft continues the sequence");
    if (token === null) {
      this.emptyAt = position;
      return;
    }
    if (this.segmentStartedMs < 0) this.segmentStartedMs = nowMs;
    this.sequence.push(token);
    this.adaptation.drafted(nowMs - this.draftStartedMs);
    this.statistics.drafted++;
    if (!this.settings.policy.target) {
      this.commit(nowMs, "draft");
      this.finishIfStopped();
    }
  }

  /** After every event: send what is due, and draft on where that makes sense. */
  private goOn(nowMs: number): void {
    if (this.finished || this.replacement) return;
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
   * A drafter that cannot go on hands over to the cloud. That depends on the position and on decided tokens
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
    this.out.push({
      kind: "send",
      segment: { lineage, first, committedThrough, final: this.yielded, tokens },
    });
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
        if (this.replacement?.takes(frame)) this.out.push({ kind: "refill", reply: frame.reply });
        else this.giveUp("bad_verdict", "the cloud sent witnesses that nobody asked for");
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
    const { sequence } = this;
    const problem = this.replacement
      ? `the cloud decided ${frame.first}, and a draft before it is being replaced`
      : sequence.contradiction(frame.first, frame.tokens);
    if (problem) {
      this.giveUp("bad_verdict", problem);
      return;
    }
    for (const [i, token] of frame.tokens.entries()) {
      const position = frame.first + i;
      if (position >= sequence.committed) this.decide(position, token, nowMs);
      const logprobs = frame.logprobs?.[i];
      if (logprobs && position === this.reported) {
        this.reported++;
        this.out.push({ kind: "logprobs", position, logprobs });
      }
    }
    if (frame.tokens.length > 0) this.adaptation.verdict(frame.tokens.length, nowMs);
    if (frame.rejection) this.rejected(frame.rejection);
  }

  private decide(position: number, token: number, nowMs: number): void {
    const { sequence } = this;
    const drafted = position < sequence.length;
    if (drafted && sequence.at(position) === token) {
      if (position < sequence.sent) this.judged(true);
      this.commit(nowMs, "draft");
      return;
    }
    if (drafted && position < sequence.sent) this.judged(false);
    // Also where the cloud is ahead of a draft that is only being made.
    if (drafted || this.drafting) this.rollback(position);
    sequence.push(token);
    this.commit(nowMs, "target");
  }

  private judged(stood: boolean): void {
    this.adaptation.judged(stood);
    if (stood) this.statistics.accepted++;
    else this.statistics.rejected++;
  }

  private rejected(rejection: Rejection): void {
    const { committed: position, lineage, sent } = this.sequence;
    if (position >= sent) {
      this.giveUp("bad_verdict", `the cloud rejected position ${position}, where nothing was drafted`);
      return;
    }
    if (this.settings.policy.coupling !== "rejection") {
      this.giveUp("bad_verdict", "the cloud rejected a draft, and there is nothing to resample with");
      return;
    }
    this.judged(false);
    this.replacement = new Replacement(position, lineage, this.sequence.at(position));
    // Before the rollback: the draw needs q of the rejected draft.
    this.out.push({ kind: "resample", position, lineage, rejection });
    this.rollback(position);
  }

  private resampled(step: ResidualStep, nowMs: number): void {
    const { replacement } = this;
    assert(replacement, "a draw that nobody asked for");
    if (step.kind === "token") {
      this.replacement = null;
      this.sequence.push(step.token);
      this.commit(nowMs, "correction");
      return;
    }
    const { lineage, position } = replacement;
    const { from, count } = replacement.ask(step);
    this.out.push({ kind: "requestWitnesses", lineage, position, from, count });
  }

  /** The next token of the sequence is decided. */
  private commit(nowMs: number, origin: TokenOrigin): void {
    const position = this.sequence.commit(origin !== "correction");
    const token = this.sequence.at(position);
    this.grasp.decided(token);
    this.statistics.committed(position, nowMs);
    this.out.push({ kind: "emit", position, token, origin });
  }

  /** Interrupt: drops the drafts from `length` on, and what is being drafted. */
  private rollback(length: number): void {
    const wasSent = length < this.sequence.sent;
    const discarded = this.sequence.rollback(length);
    this.statistics.rolledBack(length, discarded.length, wasSent);
    this.drafting = false;
    this.emptyAt = -1;
    this.segmentStartedMs = -1;
    this.out.push({ kind: "rollback", length, discarded });
  }

  // A broken link

  /** Nothing is abandoned: what is undecided is told again, and the same numbers decide it the same way. */
  private suspend(): void {
    this.suspended = true;
    this.finishIfStopped();
  }

  private resume(): void {
    this.suspended = false;
    this.statistics.resumed(this.replacement !== null);
    if (this.replacement) this.restore(this.replacement);
    const { sequence } = this;
    const { lineage, promptLength: promptTokens } = sequence;
    const resume = { promptTokens, lineage, epoch: ++this.resumptions };
    // A correction whose logprobs are not known is decided once more, for those: it has no q, and stands.
    const told = this.settings.logprobs === undefined ? sequence.committed : this.reported;
    this.out.push({ kind: "open", tokens: sequence.slice(0, told), resume });
    sequence.sent = told;
    this.acknowledged = told;
    if (sequence.length > told || this.yielded) this.send();
  }

  /**
   * The rest of a draw that was interrupted can only be had from the row that the draw is about, and the new
   * session has none: the draft is judged again, by the same numbers, and falls again. To start over with a
   * fresh draft would not be exact: that it fell says something about it.
   */
  private restore({ position, lineage, fallen }: Replacement): void {
    this.replacement = null;
    this.sequence.lineage = lineage;
    this.sequence.push(fallen);
    this.out.push({ kind: "restore", position });
  }

  // The end

  /** Something on this side failed: the cloud need not go on. */
  private giveUp(code: string, message: string): void {
    this.out.push({ kind: "cancel" });
    this.fail(code, message);
  }

  private fail(code: string, message: string): void {
    this.finish({ kind: "failed", code, message });
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
    if (outcome.kind === "done") this.statistics.usage = outcome.usage;
    this.out.push({ kind: "finished", outcome });
  }
}
