import type { SessionSettings, StopReason, StopRule } from "../../decoding/session.ts";
import { GRAMMAR_LOST, type LiveStep, REFUSED } from "../../engine/live-engine.ts";
import type { GrammarMatcher } from "../../grammar/grammar.ts";
import { ProtocolError } from "../../protocol/errors.ts";
import type { DraftFrame, Frame, WitnessRequestFrame } from "../../protocol/frame.ts";
import type { TokenLogprobs } from "../../sampling/question.ts";
import { assert } from "../../util/assert.ts";
import type { CloudEffect, CloudSession, Opening, SessionIdentity, SessionView } from "../core/machine.ts";
import { DraftedSequence } from "../core/sequence.ts";
import type { SessionReport } from "../core/session.ts";
import { SessionUsage } from "../core/usage.ts";
import type { LiveEffect, LiveLimits } from "./machine.ts";

/**
 * One session over an engine that decodes by itself: a pure state machine. The engine's tokens are committed as they
 * come and told to the edge; the edge's drafts are offered to the engine as hints. The rule of the race holds as it
 * does over passes: committed tokens are compared with what is pending, equal drafts are consumed, a difference kills
 * their lineage.
 *
 * The engine cannot be paused. Past the run-ahead bound the run is cancelled, and when the edge has read on another is
 * opened from what is committed: its tokens are the same under our noise, and have the same distribution under the
 * engine's own. Not so an answer that keeps to a grammar of the engine: the engine begins the grammar where a run begins,
 * and knows nothing of the answer's first half. Such a session has one run, which goes on to its end however far the edge
 * has read (its `maxTokens` bound it), and cannot be resumed once a token is committed.
 */

/** How far the cloud decodes past what the edge has read: one that went away costs no more than this. */
const RUN_AHEAD_TOKENS = 256;
/** A new run costs a prefill: it is opened once the edge has read so far that it will last. */
const GO_ON_TOKENS = 128;

type Phase =
  /** for a run, which it will get when it is its turn */
  | { readonly kind: "waiting" }
  | { readonly kind: "running"; readonly run: number }
  /** for the edge to read on */
  | { readonly kind: "paused" }
  | { readonly kind: "ended" };

const WAITING: Phase = { kind: "waiting" };
const PAUSED: Phase = { kind: "paused" };
const ENDED: Phase = { kind: "ended" };

type Effects = CloudEffect<LiveEffect>[];

export class LiveSession implements CloudSession<LiveEffect> {
  readonly identity: SessionIdentity;
  private readonly settings: SessionSettings;
  private readonly rule: StopRule;
  private readonly limits: LiveLimits;
  private readonly sequence: DraftedSequence;
  private readonly grammar: GrammarMatcher | null;
  /** one run has to make the whole answer */
  private readonly isOneRun: boolean;
  private readonly usage = new SessionUsage();
  private reason: SessionReport["reason"] = null;
  private phase: Phase = WAITING;
  private runs = 0;
  private stepStartedMs = 0;
  /** how many tokens the edge knows to be committed */
  private edgeCommitted: number;
  private lastHeardMs: number;
  /** since when it waits for the edge, in the phase `paused` */
  private pausedAtMs: number;

  constructor(opening: Opening<LiveSession>, limits: LiveLimits, nowMs: number) {
    const { identity, settings, tokens, rule, vocabularySize, lineage, grammar } = opening;
    this.identity = identity;
    this.settings = settings;
    this.rule = rule;
    this.limits = limits;
    this.grammar = grammar;
    this.isOneRun = settings.grammar !== undefined && grammar === null;
    this.sequence = new DraftedSequence(settings, tokens, rule, vocabularySize, lineage, grammar);
    this.edgeCommitted = tokens.length;
    this.lastHeardMs = nowMs;
    this.pausedAtMs = nowMs;
  }

  /** Tokens that are final, prompt included. */
  get committedTokens(): number {
    return this.sequence.committed;
  }

  get ended(): boolean {
    return this.phase.kind === "ended";
  }

  /** It has something for a run to do, and none. */
  get waits(): boolean {
    return this.phase.kind === "waiting";
  }

  get isRunning(): boolean {
    return this.phase.kind === "running";
  }

  silentSinceMs(): number {
    if (this.phase.kind !== "paused") return Number.POSITIVE_INFINITY;
    return Math.max(this.lastHeardMs, this.pausedAtMs);
  }

  start(_nowMs: number, out: Effects): void {
    const reason = this.sequence.stopped();
    if (reason) this.end(reason, out);
    else if (this.isOneRun && this.sequence.committed > this.rule.promptLength) throw grammarLost();
  }

  /** It is its turn: a run begins where the committed tokens end. */
  run(nowMs: number, out: Effects): void {
    assert(this.waits, "a session has one run at a time");
    const { committed } = this.sequence;
    const run = ++this.runs;
    this.phase = { kind: "running", run };
    this.stepStartedMs = nowMs;
    this.usage.fedTokens += committed;
    if (run === 1) this.usage.prefillPasses++;
    else this.usage.evictions++;
    const { settings, rule, identity } = this;
    const tokens = this.sequence.slice(0, committed);
    const { principal, isKeyed } = identity;
    const request = { tokens, settings, principal, isKeyed, rule };
    this.engine({ kind: "run", session: this.identity.key, run, request }, out);
    this.offer(out);
  }

  draft(frame: DraftFrame, nowMs: number, out: Effects): void {
    if (this.ended) return; // the edge did not know yet
    // A frame that tells nothing is no sign of an edge that goes on.
    if (frame.tokens.length > 0 || frame.committedThrough > this.edgeCommitted) this.lastHeardMs = nowMs;
    const { sequence } = this;
    const before = sequence.pending;
    if (frame.tokens.length > 0) sequence.take(frame, -1);
    this.edgeCommitted = Math.max(this.edgeCommitted, Math.min(frame.committedThrough, sequence.committed));
    if (this.phase.kind === "paused" && sequence.committed - this.edgeCommitted < GO_ON_TOKENS) {
      this.phase = WAITING;
    }
    if (sequence.pending > before) this.offer(out);
  }

  witnessRequest(_frame: WitnessRequestFrame, _nowMs: number, _out: Effects): void {
    throw new ProtocolError("bad_draft", "witnesses are for a rejection, and there was none");
  }

  /** A step of the engine. @param run that it belongs to: what a cancelled one still says is dropped */
  committed(run: number, step: LiveStep, nowMs: number, out: Effects): void {
    if (this.phase.kind !== "running" || this.phase.run !== run) return;
    const { sequence } = this;
    const first = sequence.committed;
    if (step.first !== first) {
      const message = `the engine committed position ${step.first}, and ${first} was next`;
      throw new ProtocolError("model_output", message);
    }
    const told = this.commit(step);
    this.usage.pass(step.rows, nowMs - this.stepStartedMs);
    this.stepStartedMs = nowMs;
    this.announce(first, told, out);
    const reason = sequence.stopped();
    if (reason) this.end(reason, out);
    else if (!this.isOneRun && sequence.committed - this.edgeCommitted >= RUN_AHEAD_TOKENS) {
      this.pause(nowMs, out);
    } else this.offer(out);
  }

  /** The engine generates no more, and the session is not at its end. */
  runEnded(run: number): void {
    if (this.phase.kind !== "running" || this.phase.run !== run) return;
    throw new ProtocolError("model_output", "the engine ended before the answer did");
  }

  /** @param code of the engine's error */
  runFailed(run: number, code: string, message: string): void {
    if (this.phase.kind !== "running" || this.phase.run !== run) return;
    if (code === GRAMMAR_LOST) throw grammarLost();
    if (code === REFUSED) throw new ProtocolError("bad_setting", message);
    throw new ProtocolError("internal", `the model failed: ${message}`);
  }

  end(reason: StopReason | "failed", out: Effects): void {
    if (this.ended) return;
    this.grammar?.close();
    const wasRunning = this.isRunning;
    this.phase = ENDED;
    this.reason = reason;
    if (reason !== "failed") this.send(this.doneFrame(reason), out);
    if (wasRunning) this.engine({ kind: "cancelRun", session: this.identity.key }, out);
  }

  view(): SessionView {
    const { identity, ended, sequence, isRunning: busy } = this;
    const committed = sequence.view(sequence.committed);
    const promptTokens = this.rule.promptLength;
    const { usage } = this.report();
    return { identity, ended, promptTokens, committed, slot: -1, cached: 0, busy, usage };
  }

  report(): SessionReport {
    const { promptLength } = this.rule;
    const usage = this.usage.report(promptLength, this.sequence.committed - promptLength);
    return { reason: this.reason, usage };
  }

  checkIntegrity(): void {
    const { sequence } = this;
    sequence.checkIntegrity();
    const ahead = sequence.committed - this.edgeCommitted;
    const most = RUN_AHEAD_TOKENS + this.limits.draftTokens + 1;
    assert(
      this.isOneRun || ahead <= most,
      `the session is ${ahead} tokens ahead of its edge, and ${most} is the most`,
    );
    assert(this.ended || sequence.stopped() === null, "an answer is complete and its session goes on");
  }

  /** @returns what the target thought of the tokens, where that is wanted */
  private commit({ tokens, logprobs }: LiveStep): TokenLogprobs[] | null {
    const { sequence } = this;
    const told: TokenLogprobs[] | null = this.settings.logprobs === undefined ? null : [];
    for (const [i, token] of tokens.entries()) {
      sequence.commit(token);
      if (told) {
        const logprob = logprobs?.[i];
        if (!logprob) throw new ProtocolError("model_output", "the engine gave no log-probabilities");
        told.push(logprob);
      }
      // What the engine generates past the end is not part of the answer.
      if (sequence.stopped()) break;
    }
    return told;
  }

  private announce(first: number, logprobs: TokenLogprobs[] | null, out: Effects): void {
    const { committed, lineage } = this.sequence;
    const tokens = this.sequence.slice(first, committed);
    const session = this.identity.id;
    this.send({ type: "verdict", session, lineage, first, tokens, logprobs, rejection: null }, out);
  }

  /** All that is pending, each time: an earlier offer may be lost, or longer than the engine takes at a time. */
  private offer(out: Effects): void {
    const { committed, pending } = this.sequence;
    if (!this.isRunning || pending === 0) return;
    const to = committed + Math.min(pending, this.limits.draftTokens);
    const tokens = this.sequence.slice(committed, to);
    this.engine({ kind: "offer", session: this.identity.key, position: committed, tokens }, out);
  }

  private pause(nowMs: number, out: Effects): void {
    this.phase = PAUSED;
    this.pausedAtMs = nowMs;
    this.engine({ kind: "cancelRun", session: this.identity.key }, out);
  }

  private send(frame: Frame, out: Effects): void {
    out.push({ kind: "send", connection: this.identity.connection, frame });
  }

  private engine(effect: LiveEffect, out: Effects): void {
    out.push({ kind: "engine", effect });
  }

  private doneFrame(reason: StopReason): Frame {
    return { type: "done", session: this.identity.id, reason, usage: this.report().usage };
  }
}

function grammarLost(): ProtocolError {
  const message =
    "the engine begins a grammar anew with each request, and the request of this answer was lost; ask again";
  return new ProtocolError("grammar_lost", message);
}
