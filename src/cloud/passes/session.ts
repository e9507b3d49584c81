import type { SessionSettings, StopReason } from "../../decoding/session.ts";
import { rowsOf } from "../../engine/engine.ts";
import type { GrammarMatcher } from "../../grammar/grammar.ts";
import { ProtocolError } from "../../protocol/errors.ts";
import type { DraftFrame, Frame, WitnessRequestFrame } from "../../protocol/frame.ts";
import type { Answer, Question, Rejection, TokenLogprobs } from "../../sampling/question.ts";
import { assert } from "../../util/assert.ts";
import type { CloudEffect, CloudSession, Opening, SessionIdentity, SessionView } from "../core/machine.ts";
import type { SessionReport } from "../core/session.ts";
import { SessionUsage } from "../core/usage.ts";
import { CachedSequence } from "./cached-sequence.ts";
import { LaunchTiming } from "./launch-timing.ts";
import type { PassEffect, PassOutcome, PassPlan, Work } from "./machine.ts";
import { committedLogprobs, committedToken, questionAbout, refillQuestion } from "./questions.ts";
import type { SessionRecord } from "./scheduler.ts";

/**
 * One session over a pass engine: a pure state machine. Drafts, the ends of passes and answers about the held row come
 * in; frames, questions about the held row and work for the scheduler come out.
 *
 * The row that predicts position `committed` decides the first pending draft. Either it is held from an earlier pass,
 * or it comes out of the next one, which feeds the last committed token again or for the first time. So between passes
 * either the row is held or cached < committed.
 */

/** How far the cloud decodes past what the edge has read: one that went away costs no more than this. */
const RUN_AHEAD_TOKENS = 256;
/** Most tokens that are committed at a time since the grammar leaves no choice; more without rows are a prompt. */
export const MOST_CERTAIN_TOKENS = 32;
const NO_WORK: Work = { need: "none", prefillTokens: 0, rows: 0 };
const NOTHING = new Int32Array(0);

/** Where the row that predicts `committed` is, and what the session waits for. */
type Phase =
  /** no row: the next pass computes it */
  | { readonly kind: "ready" }
  | { readonly kind: "inPass"; readonly plan: PassPlan }
  /** the row is held for the next draft */
  | { readonly kind: "holding" }
  /** the held row is asked about the first pending draft, or for a token where none will come */
  | { readonly kind: "deciding"; readonly question: Question }
  /** the edge resamples the position, and the held row may be asked for more witnesses; null: it is not */
  | { readonly kind: "resampling"; readonly request: WitnessRequestFrame | null }
  /** ended while its tokens are in a pass */
  | { readonly kind: "leaving" }
  | { readonly kind: "ended" };

const READY: Phase = { kind: "ready" };
const HOLDING: Phase = { kind: "holding" };
const RESAMPLING: Phase = { kind: "resampling", request: null };
const LEAVING: Phase = { kind: "leaving" };
const ENDED: Phase = { kind: "ended" };

type Effects = CloudEffect<PassEffect>[];

export class PassSession implements CloudSession<PassEffect> {
  readonly identity: SessionIdentity;
  readonly timing: LaunchTiming;
  private lastHeardMs: number;
  /** since when the text waits for the work */
  private readySinceMs: number;
  private readonly settings: SessionSettings;
  private readonly promptLength: number;
  private readonly sequence: CachedSequence;
  private phase: Phase = READY;
  /** how many tokens the edge knows to be committed */
  private edgeCommitted: number;
  /** the edge drafts no more */
  private yielded = false;
  /** the prompt has been fed once */
  private primed = false;
  private readonly usage = new SessionUsage();
  private reason: SessionReport["reason"] = null;
  private readonly grammar: GrammarMatcher | null;

  /**
   * @param before of an earlier session of the same edge: drafts of this one will come and be accepted much alike
   * @param wholeOnly the engine cannot cut its KV back
   */
  constructor(opening: Opening<PassSession>, nowMs: number, before?: LaunchTiming, wholeOnly = false) {
    const { identity, settings, tokens, rule, vocabularySize, lineage, grammar } = opening;
    this.grammar = grammar;
    this.timing = new LaunchTiming(settings.policy, nowMs, before);
    this.identity = identity;
    this.settings = settings;
    this.promptLength = rule.promptLength;
    this.sequence = new CachedSequence(settings, tokens, rule, vocabularySize, lineage, grammar);
    this.sequence.cutsBack = !wholeOnly;
    this.edgeCommitted = tokens.length;
    this.lastHeardMs = nowMs;
    this.readySinceMs = nowMs;
  }

  /** Tokens that are final, prompt included. */
  get committedTokens(): number {
    return this.sequence.committed;
  }

  /** A grammar may leave no choice about some tokens: then they need no row. */
  get dictates(): boolean {
    return this.grammar !== null;
  }

  get ended(): boolean {
    return this.phase.kind === "leaving" || this.phase.kind === "ended";
  }

  /** A pass with this session's tokens is under way. */
  get inPass(): boolean {
    return this.phase.kind === "inPass" || this.phase.kind === "leaving";
  }

  /** A row is kept for it. */
  get holdsRow(): boolean {
    const { kind } = this.phase;
    return kind === "holding" || kind === "deciding" || kind === "resampling";
  }

  silentSinceMs(nowMs: number): number {
    const ours = this.inPass || this.work(nowMs).need === "now";
    return ours ? Number.POSITIVE_INFINITY : Math.max(this.lastHeardMs, this.readySinceMs);
  }

  // What the scheduler sees

  /** @param cached how many tokens the KV holds, from the first */
  work(nowMs: number, cached = this.sequence.cached): Work {
    if (this.phase.kind !== "ready") return NO_WORK;
    const { pending, committed } = this.sequence;
    const prefillTokens = Math.max(0, committed - 1 - cached);
    const lastRow = this.lastRow();
    const rows = pending + (lastRow === "none" ? 0 : 1);
    if (!this.primed && prefillTokens > 0) return { need: "now", prefillTokens, rows };
    if (this.settings.policy.coupling === "gumbel" || (pending === 0 && lastRow === "sample")) {
      if (pending === 0 && committed - this.edgeCommitted >= RUN_AHEAD_TOKENS) return NO_WORK;
      const { launchAtMs } = this.timing;
      if (nowMs >= launchAtMs) return { need: "now", prefillTokens, rows };
      return launchAtMs === Number.POSITIVE_INFINITY ? NO_WORK : { need: "along", prefillTokens, rows };
    }
    if (pending > 0) return { need: "now", prefillTokens, rows };
    // A row ahead is not worth rebuilding the KV for, but a few tokens that the grammar dictated.
    const backlog = this.dictates ? MOST_CERTAIN_TOKENS : 0;
    return lastRow === "hold" && prefillTokens <= backlog ? { need: "ahead", prefillTokens, rows } : NO_WORK;
  }

  /** When `work` changes although nothing happens: the wait is over. Infinity: never. */
  wakeAtMs(nowMs: number): number {
    const { launchAtMs } = this.timing;
    const waits = !this.ended && !this.inPass && nowMs < launchAtMs;
    const wouldGoOn = this.sequence.pending > 0 || this.lastRow() === "sample";
    return waits && wouldGoOn ? launchAtMs : Number.POSITIVE_INFINITY;
  }

  /** @param slot its KV slot, or -1 */
  record({ need, prefillTokens, rows }: Work, slot: number, nowMs: number): SessionRecord {
    const acquires = slot < 0 && need === "now";
    const { committed } = this.sequence;
    return {
      key: this.identity.key,
      principal: this.identity.principal,
      need,
      prefillTokens,
      rows,
      readySinceMs: this.readySinceMs,
      tokensPerMs: this.timing.tokensPerMs,
      acceptance: this.settings.policy.adaptive ? this.timing.outlook.acceptance : null,
      slot,
      wanted: acquires ? this.sequence.view(committed - 1) : NOTHING,
      rowsOnceHeld: acquires ? this.work(nowMs, committed - 1).rows : rows,
    };
  }

  /** Since when it has had nothing to do; Infinity: it has. */
  idleSinceMs(nowMs: number): number {
    return this.work(nowMs).need === "now" ? Number.POSITIVE_INFINITY : this.lastHeardMs;
  }

  /** The tokens whose KV its slot holds, from the first, Int32Array[n]; valid until the next event. */
  held(): Int32Array {
    return this.sequence.view(this.sequence.cached);
  }

  // What the scheduler decided

  /**
   * Takes part in a pass.
   * @param prefillTokens most tokens without rows
   * @param mostRows most tokens with rows, after those
   * @param msPerRow what another row costs on this server
   */
  plan(prefillTokens: number, mostRows: number, msPerRow: number): PassPlan {
    assert(this.phase.kind === "ready", "this session has no work");
    const { cached: from, committed, pending } = this.sequence;
    const firstRow = committed - 1;
    const reaches = firstRow - from <= prefillTokens;
    const lastRow = this.lastRow();
    const wanted = pending + (lastRow === "none" ? 0 : 1);
    const rows = reaches ? Math.min(wanted, mostRows) : 0;
    const to = reaches ? firstRow + rows : from + prefillTokens;
    assert(to > from, "a share of a pass has tokens");
    const hold = rows > 0 && rows === wanted && lastRow === "hold";
    const questions: Question[] = [];
    for (let i = 0; i < rows - (hold ? 1 : 0); i++)
      questions.push(questionAbout(this.settings, this.sequence, i));
    const plan: PassPlan = { from, tokens: this.sequence.slice(from, to), questions, hold };
    this.phase = { kind: "inPass", plan };
    this.timing.launched(msPerRow);
    this.usage.fedTokens += to - from;
    return plan;
  }

  /** It got a slot, which holds so many of its first tokens: they had been computed for others. */
  gotSlot(tokens: number): void {
    this.usage.reusedTokens += tokens - this.sequence.cached;
    this.sequence.holds(tokens);
  }

  /** It lost its slot to another session. */
  evicted(): void {
    assert(!this.inPass, "a session in a pass keeps its KV");
    this.sequence.holds(0);
    this.usage.evictions++;
  }

  // What happens to it

  start(nowMs: number, out: Effects): void {
    const reason = this.sequence.stopped();
    if (reason) this.end(reason, out);
    else this.commitCertain(nowMs, out);
  }

  draft(frame: DraftFrame, nowMs: number, out: Effects): void {
    if (this.ended) return; // the edge did not know yet
    const says = this.says(frame);
    if (says) this.lastHeardMs = nowMs;
    const before = this.sequence.pending;
    if (frame.tokens.length > 0) this.take(frame, nowMs);
    this.edgeCommitted = Math.max(this.edgeCommitted, Math.min(frame.committedThrough, this.sequence.length));
    if (frame.final) this.yielded = true;
    this.planLaunch(nowMs);
    if (before === 0 && says) this.readySinceMs = nowMs;
    this.commitCertain(nowMs, out);
    this.askHeldRow(out);
  }

  witnessRequest(frame: WitnessRequestFrame, nowMs: number, out: Effects): void {
    if (this.ended) return;
    this.lastHeardMs = nowMs;
    const { committed, lineage } = this.sequence;
    const { phase } = this;
    // Late: the rejection that it is about is settled.
    if (phase.kind !== "resampling" || frame.position !== committed || frame.lineage !== lineage) return;
    if (phase.request) throw new ProtocolError("bad_draft", "one request for witnesses at a time");
    this.phase = { kind: "resampling", request: frame };
    this.ask(refillQuestion(this.settings, this.sequence, frame), out);
  }

  /**
   * The pass is over.
   * @param tookMs how long it took
   * @param decodesOnly no prompt was fed in it, of any session
   */
  passEnded(
    { answers, held, resident }: PassOutcome,
    tookMs: number,
    decodesOnly: boolean,
    nowMs: number,
    out: Effects,
  ): void {
    const { phase } = this;
    if (phase.kind === "leaving") {
      this.phase = ENDED;
      // The KV holds more than before where it could be cut back, and something else where it could not.
      this.sequence.holds(this.sequence.cutsBack ? Math.min(resident, this.sequence.cached) : 0);
      if (held) this.releaseRow(out);
      return;
    }
    assert(phase.kind === "inPass", "a pass ended that never began");
    const { plan } = phase;
    this.sequence.fed(plan.from, plan.tokens, resident);
    this.primed ||= this.sequence.cached >= this.sequence.committed - 1;
    this.readySinceMs = nowMs;
    this.phase = held ? HOLDING : READY;
    const rows = rowsOf(plan);
    this.usage.pass(rows, tookMs);
    if (rows > 0) {
      if (decodesOnly) this.timing.passTook(tookMs, rows);
      this.apply(plan.questions, answers, nowMs, out);
    }
    this.askHeldRow(out);
  }

  /** The pass failed, and its KV is empty. */
  passFailed(): void {
    this.phase = this.phase.kind === "leaving" ? ENDED : READY;
    this.sequence.holds(0);
  }

  /** The answer about the held row. */
  answered(answer: Answer, nowMs: number, out: Effects): void {
    const { phase } = this;
    if (phase.kind === "resampling") {
      assert(phase.request, "an answer without a question");
      const { session, lineage, position, from } = phase.request;
      assert(answer.kind === "witnesses" || answer.kind === "dense", "witnesses were asked for");
      this.phase = RESAMPLING;
      this.send({ type: "witnesses", session, lineage, position, from, reply: answer }, out);
      return;
    }
    assert(phase.kind === "deciding", "an answer without a question");
    // A rejection may still need the row for more witnesses; otherwise it has done its work.
    if (answer.kind !== "rejected") {
      this.releaseRow(out);
      this.phase = READY;
    } else this.phase = HOLDING;
    this.apply([phase.question], [answer], nowMs, out);
  }

  end(reason: StopReason | "failed", out: Effects): void {
    if (this.ended) return;
    this.grammar?.close();
    if (this.holdsRow) this.releaseRow(out);
    this.phase = this.inPass ? LEAVING : ENDED;
    this.reason = reason;
    if (reason !== "failed") this.send(this.doneFrame(reason), out);
  }

  /** @param slot its KV slot, or -1 */
  view(slot: number): SessionView {
    const { identity, ended, promptLength: promptTokens, sequence, inPass: busy } = this;
    const { cached } = sequence;
    const { usage } = this.report();
    return {
      identity,
      ended,
      promptTokens,
      committed: sequence.view(sequence.committed),
      slot,
      cached,
      busy,
      usage,
    };
  }

  report(): SessionReport {
    const committedTokens = this.sequence.committed - this.promptLength;
    return { reason: this.reason, usage: this.usage.report(this.promptLength, committedTokens) };
  }

  checkIntegrity(): void {
    const { sequence, phase } = this;
    sequence.checkIntegrity();
    const { committed, cached, pending } = sequence;
    const ready = phase.kind === "ready";
    assert(
      !ready || cached < committed,
      `the KV holds all ${committed} committed tokens, and no row is held`,
    );
    assert(
      phase.kind !== "resampling" || pending === 0,
      "drafts are pending while their position is resampled",
    );
    const ahead = committed - this.edgeCommitted;
    const most = RUN_AHEAD_TOKENS + this.settings.policy.windowTokens + 1;
    assert(ahead <= most, `the session is ${ahead} tokens ahead of its edge, and ${most} is the most`);
    assert(!this.settings.grammar || this.grammar, "a session with a grammar lost it");
  }

  // Decisions

  /** Whether a frame tells anything: one that does not is no sign of an edge that goes on. */
  private says({ tokens, committedThrough, final }: DraftFrame): boolean {
    return tokens.length > 0 || committedThrough > this.edgeCommitted || (final && !this.yielded);
  }

  private take(frame: DraftFrame, nowMs: number): void {
    const { sequence, phase } = this;
    const before = sequence.pending;
    const resampling = phase.kind === "resampling";
    if (!sequence.take(frame, resampling ? sequence.committed : -1)) return;
    if (resampling) {
      if (phase.request) throw new ProtocolError("bad_draft", "drafts came while witnesses were asked for");
      this.phase = HOLDING;
    }
    // Drafts for what is committed already are no help, however fast they come.
    const added = sequence.pending - before;
    if (added > 0) this.timing.outlook.arrived(added, nowMs);
    else if (!sequence.lineageDead) this.timing.outlook.caughtUp();
  }

  /** Commits what the answers decide and tells the edge. */
  private apply(
    questions: readonly Question[],
    answers: readonly Answer[],
    nowMs: number,
    out: Effects,
  ): void {
    const { sequence } = this;
    const first = sequence.committed;
    const logprobs: TokenLogprobs[] | null = this.settings.logprobs === undefined ? null : [];
    let rejection: Rejection | null = null;
    const { lineageDead } = sequence;
    for (const [i, answer] of answers.entries()) {
      if (questions[i]!.ask === "decide") this.timing.outlook.judged(answer.kind === "accepted");
      if (answer.kind === "rejected") {
        assert(this.phase.kind === "holding", "the row of a rejection is held");
        rejection = answer.rejection;
        sequence.reject();
        this.phase = RESAMPLING;
      } else {
        sequence.commit(committedToken(questions[i]!, answer));
        if (logprobs) logprobs.push(committedLogprobs(answer));
      }
      if (sequence.stopped()) break;
    }
    // The rest of a longer text comes with the next event: each of them takes a mask.
    for (let left = MOST_CERTAIN_TOKENS; left > 0; left--) {
      const token = this.nextCertain();
      if (token < 0) break;
      sequence.commit(token);
    }
    if (questions.length > 0) this.noteOutlook(sequence.committed - first, !lineageDead, nowMs);
    this.timing.committed(nowMs);
    this.planLaunch(nowMs);
    this.readySinceMs = nowMs;
    this.announce(first, logprobs, rejection, out);
    const reason = sequence.stopped();
    if (reason) this.end(reason, out);
  }

  /** Commits and tells what the grammar leaves no choice about, where that is known between two passes. */
  private commitCertain(nowMs: number, out: Effects): void {
    if (!this.ended && this.nextCertain() >= 0) this.apply([], [], nowMs, out);
  }

  /**
   * The next token where it is the only one that the grammar allows, or -1: a row and a draw would give it for certain.
   * Not where log-probabilities are wanted, which a row has, nor where a row is held, which is there already.
   */
  private nextCertain(): number {
    const { sequence, settings, grammar, phase } = this;
    if (!grammar?.dictates || phase.kind !== "ready" || settings.logprobs !== undefined || sequence.stopped())
      return -1;
    if (sequence.committed - this.edgeCommitted >= RUN_AHEAD_TOKENS) return -1;
    if (settings.policy.coupling === "gumbel") return sequence.certain();
    // Under rejection coupling the edge drafts each position: the cloud goes first only where it has yielded.
    const drafted = sequence.pending > 0;
    if (!drafted && !this.yielded) return -1;
    const token = sequence.certain();
    return drafted && sequence.at(sequence.committed) !== token ? -1 : token;
  }

  /** What a decision teaches of drafts. A gap counts only where a row could be computed meanwhile. */
  private noteOutlook(tokens: number, wasAlive: boolean, nowMs: number): void {
    const { pending, lineageDead } = this.sequence;
    const { outlook } = this.timing;
    outlook.committed(tokens, nowMs);
    // Under rejection coupling both kinds of gap are one.
    const missed = this.settings.policy.coupling === "rejection" || (lineageDead && wasAlive);
    if (pending > 0 || this.phase.kind !== "ready") outlook.busy();
    else if (lineageDead && !wasAlive) outlook.stillDry(tokens, nowMs);
    else outlook.dry(missed, nowMs);
  }

  /** What an edge knows already, its own correction, needs no verdict, unless it wants to know more of it. */
  private announce(
    first: number,
    logprobs: TokenLogprobs[] | null,
    rejection: Rejection | null,
    out: Effects,
  ): void {
    const { committed, lineage } = this.sequence;
    const from = logprobs ? first : Math.min(committed, Math.max(first, this.edgeCommitted));
    if (from === committed && !rejection) return;
    const tokens = this.sequence.slice(from, committed);
    const session = this.identity.id;
    this.send({ type: "verdict", session, lineage, first: from, tokens, logprobs, rejection }, out);
  }

  /** Decides the first pending draft by the row that is held for it: that needs no pass. */
  private askHeldRow(out: Effects): void {
    if (this.phase.kind !== "holding") return;
    if (this.sequence.pending === 0 && !this.yielded) return;
    const question = questionAbout(this.settings, this.sequence, 0);
    this.phase = { kind: "deciding", question };
    this.ask(question, out);
  }

  // Effects

  private send(frame: Frame, out: Effects): void {
    out.push({ kind: "send", connection: this.identity.connection, frame });
  }

  private ask(question: Question, out: Effects): void {
    out.push({ kind: "engine", effect: { kind: "ask", session: this.identity.key, question } });
  }

  private releaseRow(out: Effects): void {
    out.push({ kind: "engine", effect: { kind: "releaseRow", session: this.identity.key } });
  }

  // Rows and questions

  /** What becomes of the row behind the last pending draft. `hold` is Fast Verification: it is there before its draft. */
  private lastRow(): "sample" | "hold" | "none" {
    if (this.sequence.full) return "none";
    const { coupling, bonusToken, preVerify } = this.settings.policy;
    if (coupling === "gumbel" || this.yielded) return "sample";
    if (bonusToken && this.sequence.pending > 0) return "sample";
    return preVerify ? "hold" : "none";
  }

  private planLaunch(nowMs: number): void {
    this.timing.plan(this.sequence.pending, this.yielded || this.sequence.full, nowMs);
  }

  private doneFrame(reason: StopReason): Frame {
    return { type: "done", session: this.identity.id, reason, usage: this.report().usage };
  }
}
