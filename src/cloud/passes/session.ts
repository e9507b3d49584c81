import type { SessionSettings, StopReason, StopRule } from "../../decoding/session.ts";
import { rowsOf } from "../../engine/engine.ts";
import type { GrammarMatcher } from "../../grammar/grammar.ts";
import { ProtocolError } from "../../protocol/errors.ts";
import type { DraftFrame, Frame, WitnessRequestFrame } from "../../protocol/frame.ts";
import type { Answer, Question, Rejection, TokenLogprobs } from "../../sampling/question.ts";
import { assert } from "../../util/assert.ts";
import type { PassPlan, SessionEffect, SessionIdentity, Work } from "../core/machine.ts";
import { DraftedSequence } from "../core/sequence.ts";
import { SessionPace } from "./launch-timing.ts";
import type { Outlook } from "./outlook.ts";
import { decidedLogprobs, decidedToken, questionAbout, refillQuestion } from "./questions.ts";
import { SessionUsage } from "./usage.ts";

/**
 * One session on the cloud's side: a pure state machine. Drafts, the ends of passes and answers about the held
 * row come in; frames, questions about the held row and work for the scheduler come out.
 *
 * The row that predicts position `committed` decides the first pending draft. Either it is held from an
 * earlier pass, or it comes out of the next one, which feeds the last committed token again or for the first
 * time. So between passes either the row is held or cached < committed.
 */

/** How far the cloud decodes past what the edge has read: one that went away costs no more than this. */
const RUN_AHEAD_TOKENS = 256;
const NO_WORK: Work = { need: "none", prefillTokens: 0, rows: 0 };

export class CloudSession {
  readonly identity: SessionIdentity;
  lastHeardMs: number;
  /** since when somebody waits for the work */
  readySinceMs: number;
  private readonly settings: SessionSettings;
  private readonly promptLength: number;
  private readonly sequence: DraftedSequence;
  /** the row that predicts `committed` is held */
  private rowHeld = false;
  /** the edge is resampling the position `committed` */
  private resampling = false;
  /** how many tokens the edge knows to be decided */
  private edgeCommitted: number;
  /** the edge drafts no more */
  private yielded = false;
  /** the prompt has been fed once */
  private primed = false;
  private running: PassPlan | null = null;
  private asking: Question | WitnessRequestFrame | null = null;
  private reason: StopReason | "failed" | null = null;
  readonly pace: SessionPace;
  private readonly usage = new SessionUsage();
  private readonly grammar: GrammarMatcher | null;

  /**
   * @param before of an earlier session of the same edge
   * @param grammar that the answer keeps to, this session's from here on
   */
  constructor(
    identity: SessionIdentity,
    settings: SessionSettings,
    committed: Int32Array,
    rule: StopRule,
    vocabularySize: number,
    lineage: number,
    nowMs: number,
    before?: SessionPace,
    grammar: GrammarMatcher | null = null,
  ) {
    this.grammar = grammar;
    this.pace = new SessionPace(settings.policy, nowMs, before);
    this.identity = identity;
    this.settings = settings;
    this.promptLength = rule.promptLength;
    this.sequence = new DraftedSequence(settings, committed, rule, vocabularySize, lineage, grammar);
    this.edgeCommitted = committed.length;
    this.lastHeardMs = nowMs;
    this.readySinceMs = nowMs;
  }

  get ended(): boolean {
    return this.reason !== null;
  }

  /** A pass with this session's tokens is under way. */
  get inPass(): boolean {
    return this.running !== null;
  }

  /** What was learnt of its drafts. */
  get outlook(): Outlook {
    return this.pace.outlook;
  }

  /** Rate at which its tokens come, tokens/ms. */
  get tokensPerMs(): number {
    return this.pace.tokensPerMs;
  }

  /** Rows that are worth their time: see `SessionPace.worthwhileRows`. */
  worthwhileRows(tokensPerMs: number, msPerRow: number, most: number): number {
    return this.pace.worthwhileRows(tokensPerMs, msPerRow, most);
  }

  /** Since when nothing has come of the edge that the session waits for; Infinity: it waits for the cloud itself. */
  silentSinceMs(nowMs: number): number {
    const ours = this.inPass || this.work(nowMs).need === "now";
    return ours ? Number.POSITIVE_INFINITY : Math.max(this.lastHeardMs, this.readySinceMs);
  }

  // What the scheduler sees

  work(nowMs: number): Work {
    if (this.ended || this.running || this.asking || this.resampling || this.rowHeld) return NO_WORK;
    const { pending, committed, cached } = this.sequence;
    const prefillTokens = Math.max(0, committed - 1 - cached);
    const lastRow = this.lastRow();
    const rows = pending + (lastRow === "none" ? 0 : 1);
    if (!this.primed && prefillTokens > 0) return { need: "now", prefillTokens, rows };
    if (this.settings.policy.coupling === "gumbel" || (pending === 0 && lastRow === "sample")) {
      if (pending === 0 && committed - this.edgeCommitted >= RUN_AHEAD_TOKENS) return NO_WORK;
      const { launchAtMs } = this.pace;
      if (nowMs >= launchAtMs) return { need: "now", prefillTokens, rows };
      return launchAtMs === Number.POSITIVE_INFINITY ? NO_WORK : { need: "along", prefillTokens, rows };
    }
    if (pending > 0) return { need: "now", prefillTokens, rows };
    // A row ahead is not worth rebuilding the KV for.
    return lastRow === "hold" && prefillTokens === 0 ? { need: "ahead", prefillTokens, rows } : NO_WORK;
  }

  /** When `work` changes although nothing happens: the wait is over. Infinity: never. */
  wakeAtMs(nowMs: number): number {
    const { launchAtMs } = this.pace;
    const waits = !this.ended && !this.running && nowMs < launchAtMs;
    const wouldGoOn = this.sequence.pending > 0 || this.lastRow() === "sample";
    return waits && wouldGoOn ? launchAtMs : Number.POSITIVE_INFINITY;
  }

  /**
   * Takes part in a pass.
   * @param prefillTokens most tokens without rows
   * @param mostRows most tokens with rows, after those
   * @param msPerRow what another row costs on this server
   */
  plan(prefillTokens: number, mostRows: number, msPerRow: number): PassPlan {
    assert(!this.running && !this.ended && !this.rowHeld, "this session has no work");
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
    this.running = { from, tokens: this.sequence.slice(from, to), questions, hold };
    this.pace.launched(msPerRow);
    this.usage.fedTokens += to - from;
    return this.running;
  }

  /** The tokens whose KV its sequence holds, from the first, Int32Array[n]: a copy. */
  held(): Int32Array {
    return this.sequence.slice(0, this.sequence.cached);
  }

  /** The tokens that are to be fed before its first row. */
  wanted(): Int32Array {
    return this.sequence.slice(0, this.sequence.committed - 1);
  }

  /** Its sequence holds so many of its first tokens, which others had computed. */
  reused(tokens: number): void {
    this.usage.reusedTokens += tokens - this.sequence.cached;
    this.sequence.cached = tokens;
  }

  /** The pass came to nothing, and its KV is empty. */
  passFailed(): void {
    this.running = null;
    this.sequence.cached = 0;
  }

  /** The scheduler took the session's KV away. */
  evicted(): void {
    assert(!this.running, "a session in a pass keeps its KV");
    this.sequence.cached = 0;
    this.usage.evictions++;
  }

  // What happens to it

  /** A resumed session may have been at its end already: the edge only lacks the last word. */
  start(out: SessionEffect[]): void {
    const reason = this.sequence.stopped();
    if (reason) this.end(reason, out);
  }

  /** @throws ProtocolError `bad_draft` */
  draft(frame: DraftFrame, nowMs: number, out: SessionEffect[]): void {
    if (this.ended) return; // the edge did not know yet
    this.lastHeardMs = nowMs;
    const before = this.sequence.pending;
    if (frame.tokens.length > 0) {
      const rejectedAt = this.resampling ? this.sequence.committed : -1;
      if (this.sequence.take(frame, rejectedAt)) {
        this.resampling = false;
        // Drafts for what is committed already are no help, however fast they come.
        const added = this.sequence.pending - before;
        if (added > 0) this.outlook.arrived(added, nowMs);
        else if (!this.sequence.lineageDead) this.outlook.caughtUp();
      }
    }
    this.edgeCommitted = Math.max(this.edgeCommitted, Math.min(frame.committedThrough, this.sequence.length));
    if (frame.final) this.yielded = true;
    this.planLaunch(nowMs);
    if (before === 0) this.readySinceMs = nowMs;
    this.askHeldRow(out);
  }

  /**
   * The edge ran out of witnesses.
   * @throws ProtocolError `bad_draft`
   */
  witnessRequest(frame: WitnessRequestFrame, nowMs: number, out: SessionEffect[]): void {
    this.lastHeardMs = nowMs;
    const { committed, lineage } = this.sequence;
    // Late: the rejection that it is about is settled.
    const current = this.resampling && frame.position === committed && frame.lineage === lineage;
    if (this.ended || !current) return;
    if (this.asking) throw new ProtocolError("bad_draft", "one request for witnesses at a time");
    this.asking = frame;
    const question = refillQuestion(this.settings, this.sequence, frame);
    out.push({ kind: "ask", question });
  }

  /**
   * The pass is over.
   * @param answers one for each question, up to the first that was not "accepted"
   * @param held a row was kept: that of a rejection, or the last one
   * @param tookMs how long it took
   * @param decodesOnly no prompt was fed in it, of nobody
   */
  passEnded(
    answers: readonly Answer[],
    held: boolean,
    tookMs: number,
    decodesOnly: boolean,
    nowMs: number,
    out: SessionEffect[],
  ): void {
    const plan = this.running;
    assert(plan, "a pass ended that never began");
    this.running = null;
    if (this.ended) {
      if (held) out.push({ kind: "releaseRow" });
      return;
    }
    this.sequence.fed(plan.from, plan.tokens);
    this.primed ||= this.sequence.cached >= this.sequence.committed - 1;
    this.readySinceMs = nowMs;
    this.rowHeld = held;
    const rows = rowsOf(plan);
    this.usage.pass(rows, tookMs);
    if (rows > 0) {
      if (decodesOnly) this.pace.passTook(tookMs, rows);
      this.apply(plan.questions, answers, nowMs, out);
    }
    this.askHeldRow(out);
  }

  /** The answer about the held row. */
  answered(answer: Answer, nowMs: number, out: SessionEffect[]): void {
    const asked = this.asking;
    assert(asked, "an answer that nobody asked for");
    this.asking = null;
    if (this.ended) return;
    if ("type" in asked) {
      const { session, lineage, position, from } = asked;
      assert(answer.kind === "witnesses" || answer.kind === "dense", "witnesses were asked for");
      const frame = { type: "witnesses", session, lineage, position, from, reply: answer } as const;
      out.push({ kind: "send", frame });
      return;
    }
    // A rejection may still need the row for more witnesses; otherwise it has done its work.
    if (answer.kind !== "rejected") this.dropHeldRow(out);
    this.apply([asked], [answer], nowMs, out);
    this.askHeldRow(out);
  }

  /** Ends it. `failed`: the edge is gone or is told by an error, so there is no done frame. */
  end(reason: StopReason | "failed", out: SessionEffect[]): void {
    if (this.ended) return;
    this.reason = reason;
    this.grammar?.close();
    this.dropHeldRow(out);
    if (reason !== "failed") out.push({ kind: "send", frame: this.doneFrame(reason) });
    out.push({ kind: "ended" });
  }

  // Decisions

  /** Commits what was decided and tells the edge. */
  private apply(
    questions: readonly Question[],
    answers: readonly Answer[],
    nowMs: number,
    out: SessionEffect[],
  ): void {
    const { sequence } = this;
    const first = sequence.committed;
    const logprobs: TokenLogprobs[] | null = this.settings.logprobs === undefined ? null : [];
    let rejection: Rejection | null = null;
    const { lineageDead } = sequence;
    for (const [i, answer] of answers.entries()) {
      if (questions[i]!.ask === "decide") this.outlook.judged(answer.kind === "accepted");
      if (answer.kind === "rejected") {
        rejection = answer.rejection;
        sequence.reject();
        this.resampling = true;
      } else {
        sequence.commit(decidedToken(questions[i]!, answer));
        if (logprobs) logprobs.push(decidedLogprobs(answer));
      }
      if (sequence.stopped()) break;
    }
    if (questions.length > 0) this.noteOutlook(sequence.committed - first, !lineageDead, nowMs);
    this.pace.decided(nowMs);
    this.planLaunch(nowMs);
    this.readySinceMs = nowMs;
    this.announce(first, logprobs, rejection, out);
    const reason = sequence.stopped();
    if (reason) this.end(reason, out);
  }

  /** What a decision teaches of drafts. A gap counts only where a row could be computed meanwhile. */
  private noteOutlook(tokens: number, wasAlive: boolean, nowMs: number): void {
    const { pending, lineageDead } = this.sequence;
    this.outlook.committed(tokens, nowMs);
    // Under rejection coupling both kinds of gap are one.
    const missed = this.settings.policy.coupling === "rejection" || (lineageDead && wasAlive);
    if (pending > 0 || this.resampling || this.rowHeld) this.outlook.busy();
    else if (lineageDead && !wasAlive) this.outlook.stillDry(tokens, nowMs);
    else this.outlook.dry(missed, nowMs);
  }

  /** What an edge knows already, its own correction, needs no verdict, unless it wants to know more of it. */
  private announce(
    first: number,
    logprobs: TokenLogprobs[] | null,
    rejection: Rejection | null,
    out: SessionEffect[],
  ): void {
    const { committed, lineage } = this.sequence;
    const from = logprobs ? first : Math.min(committed, Math.max(first, this.edgeCommitted));
    if (from === committed && !rejection) return;
    const tokens = this.sequence.slice(from, committed);
    const session = this.identity.id;
    out.push({
      kind: "send",
      frame: { type: "verdict", session, lineage, first: from, tokens, logprobs, rejection },
    });
  }

  /** Decides the first pending draft by the row that is held for it: that needs no pass. */
  private askHeldRow(out: SessionEffect[]): void {
    if (!this.rowHeld || this.ended || this.running || this.asking || this.resampling) return;
    if (this.sequence.pending === 0 && !this.yielded) return;
    this.asking = questionAbout(this.settings, this.sequence, 0);
    out.push({ kind: "ask", question: this.asking });
  }

  private dropHeldRow(out: SessionEffect[]): void {
    if (this.rowHeld) out.push({ kind: "releaseRow" });
    this.rowHeld = false;
  }

  // Rows and questions

  /** What becomes of the row behind the last pending draft. */
  private lastRow(): "sample" | "hold" | "none" {
    if (this.sequence.full) return "none";
    const { coupling, bonusToken, preVerify } = this.settings.policy;
    if (coupling === "gumbel" || this.yielded) return "sample";
    if (bonusToken && this.sequence.pending > 0) return "sample";
    return preVerify ? "hold" : "none";
  }

  private planLaunch(nowMs: number): void {
    this.pace.plan(this.sequence.pending, this.yielded || this.sequence.full, nowMs);
  }

  private doneFrame(reason: StopReason): Frame {
    const committedTokens = this.sequence.committed - this.promptLength;
    const usage = this.usage.report(this.promptLength, committedTokens);
    return { type: "done", session: this.identity.id, reason, usage };
  }
}
