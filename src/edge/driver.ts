import type { SessionSettings, StopRule } from "../decoding/session.ts";
import type { GrammarMatcher, Grammars } from "../grammar/grammar.ts";
import type {
  DoneFrame,
  DraftProbabilities,
  ErrorFrame,
  Frame,
  VerdictFrame,
  WitnessesFrame,
} from "../protocol/frame.ts";
import type { TokenLogprobs } from "../sampling/question.ts";
import { assert, unreachable } from "../util/assert.ts";
import type { CancelTimer, Clock } from "../util/clock.ts";
import type { EdgeEffect, EdgeEvent, Outcome, Segment, TokenOrigin } from "./core/machine.ts";
import { RejectionSampler } from "./core/rejection-sampler.ts";
import { Pipeline } from "./core/session.ts";
import type { PipelineStatistics } from "./core/statistics.ts";
import type { Drafter } from "./drafters/drafter.ts";

/** What the owner of a session hears of it, in order. */
export interface SessionListener {
  /** the next token of the answer is decided */
  token?(token: number, origin: TokenOrigin, position: number): void;
  /** what the target thought of a decided token, in order; only where the settings ask for it */
  logprobs?(logprobs: TokenLogprobs, position: number): void;
  /** drafts that fell, or that continued one that fell */
  discarded?(tokens: Int32Array, position: number): void;
  /** once, last */
  finished(outcome: Outcome, statistics: PipelineStatistics): void;
}

export interface EdgeSessionOptions {
  readonly id: number;
  readonly settings: SessionSettings;
  readonly prompt: Int32Array;
  readonly rule: StopRule;
  /** null: the policy drafts nothing */
  readonly drafter: Drafter | null;
  /** of the target: what the drafter has past it is never drafted */
  readonly vocabularySize: number;
  readonly clock: Clock;
  /** for drafts that keep to the grammar; null or left out: the cloud alone sees to that */
  readonly grammars?: Grammars | null;
  /** who knows it may resume the session; null: it is not resumed */
  readonly secret: string | null;
  /** @returns payload bytes */
  readonly send: (frame: Frame) => number;
  readonly listener: SessionListener;
}

/** Drives one pipeline: carries its effects to the drafter, the rejection sampler, the link and the listener. */
export class EdgeSession {
  readonly id: number;
  /** what the drafter knows this sequence by */
  private readonly owner: number;
  private readonly options: EdgeSessionOptions;
  private readonly pipeline: Pipeline;
  private readonly sampler: RejectionSampler;
  private readonly grammar: GrammarMatcher | null;
  private readonly events: EdgeEvent[] = [];
  private dispatching = false;
  private cancelWake: CancelTimer | null = null;

  constructor(options: EdgeSessionOptions) {
    const { id, settings, prompt, rule, drafter, vocabularySize, grammars } = options;
    this.grammar = (drafter && settings.grammar && grammars?.matcher(settings.grammar)) || null;
    this.id = id;
    this.owner = drafter?.newOwner() ?? 0;
    this.options = options;
    this.pipeline = new Pipeline(
      settings,
      prompt,
      rule,
      drafter?.reach ?? { contextTokens: 0, vocabularySize: 0 },
    );
    const width = Math.min(vocabularySize, drafter?.reach.vocabularySize ?? vocabularySize);
    this.sampler = new RejectionSampler(settings.seed, settings.policy.exchange, width);
  }

  get statistics(): PipelineStatistics {
    return this.pipeline.statistics;
  }

  start(): void {
    this.dispatch({ kind: "start" });
  }

  receive(frame: VerdictFrame | WitnessesFrame | DoneFrame | ErrorFrame): void {
    this.dispatch({ kind: "frame", frame });
  }

  /** The link broke, and another is being made. */
  suspend(): void {
    if (this.options.secret === null)
      this.lost("connection_lost", "the link broke, and the session has no secret");
    else this.dispatch({ kind: "suspend" });
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

  /** One event after the other: what an effect causes at once comes after the effects before it. */
  private dispatch(event: EdgeEvent): void {
    this.events.push(event);
    if (this.dispatching) return;
    this.dispatching = true;
    try {
      for (let next = this.events.shift(); next; next = this.events.shift()) {
        for (const effect of this.pipeline.handle(next, this.options.clock.nowMs())) this.perform(effect);
      }
    } finally {
      this.dispatching = false;
    }
  }

  private perform(effect: EdgeEffect): void {
    const { drafter, listener, send } = this.options;
    switch (effect.kind) {
      case "draft":
        this.draft(effect.version, effect.position, effect.lineage);
        break;
      case "rollback":
        drafter?.interrupt(this.owner, effect.length);
        this.sampler.rollback(effect.length);
        if (effect.discarded.length > 0) listener.discarded?.(effect.discarded, effect.length);
        break;
      case "open": {
        const { settings, secret } = this.options;
        send({
          type: "open",
          session: this.id,
          settings,
          tokens: effect.tokens,
          secret,
          resume: effect.resume,
        });
        break;
      }
      case "restore":
        this.sampler.restore(effect.position);
        break;
      case "send":
        this.sendCounted(this.draftFrame(effect.segment));
        break;
      case "resample": {
        const { position, lineage, rejection } = effect;
        this.dispatch({ kind: "resampled", step: this.sampler.resample(position, lineage, rejection) });
        break;
      }
      case "refill":
        this.dispatch({ kind: "resampled", step: this.sampler.refill(effect.reply) });
        break;
      case "requestWitnesses": {
        const { lineage, position, from, count } = effect;
        this.sendCounted({ type: "witnessRequest", session: this.id, lineage, position, from, count });
        break;
      }
      case "cancel":
        send({ type: "cancel", session: this.id });
        break;
      case "emit":
        this.sampler.decided(effect.position);
        listener.token?.(effect.token, effect.origin, effect.position);
        break;
      case "logprobs":
        listener.logprobs?.(effect.logprobs, effect.position);
        break;
      case "wake":
        this.cancelWake?.();
        this.cancelWake = this.options.clock.schedule(effect.atMs, () => this.dispatch({ kind: "wake" }));
        break;
      case "finished":
        this.cancelWake?.();
        drafter?.interrupt(this.owner, Number.POSITIVE_INFINITY);
        this.grammar?.close();
        listener.finished(effect.outcome, this.pipeline.statistics);
        break;
      default:
        unreachable(effect);
    }
  }

  private sendCounted(frame: Frame): void {
    this.pipeline.statistics.uplinkBytes += this.options.send(frame);
  }

  private draft(version: number, position: number, lineage: number): void {
    const { drafter, settings, vocabularySize, rule } = this.options;
    assert(drafter, "a policy that drafts needs a drafter");
    const { grammar } = this;
    const { sampler, policy, seed } = settings;
    drafter.propose({
      owner: this.owner,
      sampler,
      coupling: policy.coupling,
      seed,
      lineage,
      vocabularySize,
      prefix: () => this.pipeline.prefix(position),
      allowed: grammar && ((prefix) => grammar.allowed(prefix, rule.promptLength, prefix.length)),
      done: (error, proposal) => {
        if (error) {
          this.dispatch({ kind: "draftFailed", message: error.message });
          return;
        }
        if (proposal && policy.coupling === "rejection") this.sampler.drafted(position, proposal);
        this.dispatch({ kind: "drafted", version, position, token: proposal?.token ?? null });
      },
    });
  }

  private draftFrame(segment: Segment): Frame {
    const { coupling } = this.options.settings.policy;
    const { lineage, first, committedThrough, final, tokens } = segment;
    const q: DraftProbabilities =
      coupling === "gumbel" ? { kind: "none" } : this.sampler.probabilities(first, tokens.length);
    return { type: "draft", session: this.id, lineage, first, committedThrough, final, tokens, q };
  }
}
