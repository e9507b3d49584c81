import type { SessionSettings, StopRule } from "../decoding/session.ts";
import type { Grammars } from "../grammar/grammar.ts";
import type { DoneFrame, ErrorFrame, Frame, VerdictFrame, WitnessesFrame } from "../protocol/frame.ts";
import type { DraftSource } from "../sampling/propose.ts";
import type { TokenLogprobs } from "../sampling/question.ts";
import { assert, unreachable } from "../util/assert.ts";
import type { CancelTimer, Clock } from "../util/clock.ts";
import { type Driver, drive } from "../util/driver.ts";
import { PicoSpecError } from "../util/errors.ts";
import { guarded } from "../util/last-resort.ts";
import type { DraftGate } from "./core/draft-gate.ts";
import type { EdgeEffect, EdgeEvent, EdgeFrame, Outcome, TokenOrigin } from "./core/machine.ts";
import { EdgeSession, type SequenceView } from "./core/session.ts";
import type { PipelineStatistics } from "./core/statistics.ts";
import type { Drafter } from "./drafters/drafter.ts";
import { GrammarGuide } from "./drafters/grammar-guide.ts";
import type { AnswerObserver } from "./observer.ts";

/** What the owner of a session hears of it, in order. */
export interface SessionListener {
  /** the next token of the answer is committed */
  token?(token: number, origin: TokenOrigin, position: number): void;
  /** what the target thought of a committed token, in order; only where the settings ask for it */
  logprobs?(logprobs: TokenLogprobs, position: number): void;
  /** drafts that were rejected, or that continued one that was */
  discarded?(tokens: Int32Array, position: number): void;
  /** once, last */
  finished(outcome: Outcome, statistics: PipelineStatistics): void;
  /** counts, logs or traces the session; default: nothing does */
  readonly observer?: AnswerObserver | undefined;
}

export interface EdgeDriverOptions {
  readonly id: number;
  readonly settings: SessionSettings;
  readonly prompt: Int32Array;
  readonly rule: StopRule;
  /** null: the policy drafts nothing */
  readonly drafter: Drafter | null;
  /** of the target: what the drafter has past it is never drafted */
  readonly vocabularySize: number;
  readonly clock: Clock;
  /** for drafts that keep to the grammar; null: the cloud alone sees to that */
  readonly grammars: Grammars | null;
  /** whether drafting pays with this cloud. Default: the session finds that out for itself */
  readonly gate?: DraftGate;
  /** resumes the session; null: it does not outlive its link */
  readonly secret: string | null;
  /** @returns payload bytes */
  readonly send: (frame: Frame) => number;
  /** the last resort, for a fault of ours: it costs this session. null: it is thrown to whoever brought the event */
  readonly failed: ((error: unknown) => void) | null;
  readonly listener: SessionListener;
}

/** Drives one session: carries its effects to the drafter, the link and the listener. */
export class EdgeDriver {
  readonly id: number;
  /** what the drafter knows this sequence by; 0: it drafts nothing */
  readonly owner: number;
  private readonly options: EdgeDriverOptions;
  private readonly session: EdgeSession;
  private readonly driver: Driver<EdgeEvent>;
  /** null: drafts keep to no grammar */
  private readonly guide: GrammarGuide | null;
  private readonly observer: AnswerObserver | null;
  /** position of the draft that an observer knows to be under way; -1: none */
  private observedDraft = -1;
  private draftsAsked = 0;
  private cancelWake: CancelTimer | null = null;
  private finished = false;

  constructor(options: EdgeDriverOptions) {
    const { id, secret, settings, prompt, rule, drafter, vocabularySize, grammars } = options;
    const gate = options.gate ? { gate: options.gate } : {};
    const matcher = (drafter && settings.grammar && grammars?.matcher(settings.grammar)) || null;
    this.guide = matcher && new GrammarGuide(matcher, rule.promptLength, settings.policy);
    this.id = id;
    this.owner = drafter?.newOwner() ?? 0;
    this.options = options;
    this.observer = options.listener.observer ?? null;
    const reach = drafter?.reach ?? { contextTokens: 0, vocabularySize: 0 };
    const asked = { settings, prompt, rule, vocabularySize };
    this.session = new EdgeSession({ id, secret, ...asked, drafter: reach, ...gate });
    this.driver = drive(this.session, options.clock, (effect) => this.perform(effect));
  }

  get statistics(): PipelineStatistics {
    return this.session.statistics;
  }

  start(): void {
    const { id: session, secret, settings, prompt } = this.options;
    const { statistics } = this;
    this.observer?.opened?.({ session, secret, settings, promptTokens: prompt.length, statistics });
    this.dispatch({ kind: "start" });
  }

  receive(frame: VerdictFrame | WitnessesFrame | DoneFrame | ErrorFrame, payloadBytes: number): void {
    this.observer?.received?.(frame, payloadBytes);
    this.dispatch({ kind: "frame", frame });
  }

  /** The link broke, and another is being made. */
  suspend(): void {
    this.dispatch({ kind: "suspend" });
  }

  resume(): void {
    this.dispatch({ kind: "resume" });
  }

  /** What the cloud said cannot be. */
  giveUp(code: string, message: string): void {
    this.dispatch({ kind: "giveUp", code, message });
  }

  /** The connection failed, and `code` says how. */
  lost(code: string, reason: string): void {
    this.dispatch({ kind: "lost", code, reason });
  }

  cancel(): void {
    this.dispatch({ kind: "cancel" });
  }

  get over(): boolean {
    return this.finished;
  }

  /** What the session holds now: for who compares. */
  view(): SequenceView {
    return this.session.view();
  }

  /** @throws AssertionError between two events when an invariant is broken, or something is kept past the end */
  checkIntegrity(): void {
    this.driver.checkIntegrity();
    assert(this.session.over === this.finished, `session ${this.id} goes on after its end`);
    this.session.checkIntegrity();
    if (!this.finished) return;
    assert(this.cancelWake === null, "a timer outlives its session");
    assert(!this.guide || this.guide.closed, "a grammar outlives its session");
  }

  private dispatch(event: EdgeEvent): void {
    const { failed } = this.options;
    // A session that a fault has ended hears nothing more.
    if (failed && this.finished) return;
    guarded(
      failed,
      () => this.driver.dispatch(event),
      () => this.endByFault(),
    );
  }

  /** By the machine, where it still can; otherwise without it. */
  private endByFault(): void {
    const { failed } = this.options;
    const code = "internal";
    const message = "PicoSpec itself has failed in this answer; ask again, and please report it";
    const ends = [
      () => this.driver.dispatch({ kind: "giveUp", code, message }),
      () => this.options.send({ type: "cancel", session: this.id }),
      () => this.finish({ kind: "failed", code, message }),
    ];
    for (const end of ends) {
      if (this.finished) return;
      guarded(failed, end, () => {});
    }
  }

  private perform(effect: EdgeEffect): void {
    const { drafter, listener } = this.options;
    switch (effect.kind) {
      case "rollback":
        drafter?.interrupt(this.owner, effect.length);
        this.guide?.rollback(effect.length);
        this.noteDraft(null);
        this.observer?.rolledBack?.(effect.length, effect.discarded.length);
        if (effect.discarded.length > 0) listener.discarded?.(effect.discarded, effect.length);
        break;
      case "emit":
        listener.token?.(effect.token, effect.origin, effect.position);
        break;
      case "logprobs":
        listener.logprobs?.(effect.logprobs, effect.position);
        break;
      case "send":
        this.send(effect.frame);
        break;
      case "draft":
        this.draft(effect.version, effect.position, effect.lineage);
        break;
      case "wake":
        this.wake(effect.atMs);
        break;
      case "finished":
        this.finish(effect.outcome);
        break;
      default:
        unreachable(effect);
    }
  }

  private send(frame: EdgeFrame): void {
    const bytes = this.options.send(frame);
    this.observer?.sent?.(frame, bytes);
    // What opens and cancels a session is not its payload.
    if (frame.type === "draft" || frame.type === "witnessRequest") this.statistics.uplinkBytes += bytes;
  }

  private wake(atMs: number): void {
    this.cancelWake?.();
    this.cancelWake = this.options.clock.schedule(atMs, () => {
      this.cancelWake = null;
      this.dispatch({ kind: "wake" });
    });
  }

  private draft(version: number, position: number, lineage: number): void {
    const { drafter, settings, vocabularySize } = this.options;
    assert(drafter, "a policy that drafts needs a drafter");
    const { guide, session } = this;
    const nth = ++this.draftsAsked;
    if (this.observer) {
      this.observedDraft = position;
      this.observer.drafting?.(position);
    }
    const { sampler, policy, seed } = settings;
    try {
      const proposal = guide?.dictated(session.prefix(position)) ?? null;
      if (proposal) {
        this.noteDraft(proposal.source ?? "model");
        this.dispatch({ kind: "drafted", version, position, proposal });
        return;
      }
    } catch (error) {
      if (!(error instanceof PicoSpecError)) throw error;
      this.giveUp(error.code, error.message);
      return;
    }
    drafter.propose({
      owner: this.owner,
      sampler,
      coupling: policy.coupling,
      seed,
      lineage,
      vocabularySize,
      prefix: () => session.prefix(position),
      allowed: guide && ((prefix) => guide.allowed(prefix)),
      done: (error, proposal) => {
        // A late one was interrupted, and the observer knows.
        if (nth === this.draftsAsked) this.noteDraft(proposal && (proposal.source ?? "model"));
        if (error?.code === "grammar_limit") this.giveUp(error.code, error.message);
        else {
          this.dispatch(
            error
              ? { kind: "draftFailed", message: error.message }
              : { kind: "drafted", version, position, proposal },
          );
        }
      },
    });
  }

  /** The draft that is under way is there, or will not come. */
  private noteDraft(source: DraftSource | null): void {
    if (this.observedDraft < 0) return;
    this.observer?.drafted?.(this.observedDraft, source);
    this.observedDraft = -1;
  }

  private finish(outcome: Outcome): void {
    const { drafter, listener } = this.options;
    this.finished = true;
    this.cancelWake?.();
    this.cancelWake = null;
    // The owner hears of the end whatever else fails.
    try {
      drafter?.interrupt(this.owner, Number.POSITIVE_INFINITY);
      this.guide?.close();
      this.noteDraft(null);
      this.observer?.finished?.(outcome);
    } finally {
      listener.finished(outcome, this.statistics);
    }
  }
}
