import { checkPolicy } from "../decoding/policy.ts";
import type { SessionSettings } from "../decoding/session.ts";
import type { Grammars } from "../grammar/grammar.ts";
import type { Peer } from "../protocol/features.ts";
import { type Frame, PROTOCOL_LIMITS, type TargetInfo } from "../protocol/frame.ts";
import { samplerSettings } from "../sampling/sampler.ts";
import { assert, unreachable } from "../util/assert.ts";
import type { Clock } from "../util/clock.ts";
import { messageOf, SettingError } from "../util/errors.ts";
import { checkDraftSize, checkPeer, frameProblem } from "./boundary.ts";
import { CloudError, Connection, type ConnectionOptions, type PingDone } from "./connection.ts";
import type { SequenceView } from "./core/session.ts";
import type { Drafter, OpenSequences } from "./drafters/drafter.ts";
import { EdgeDriver, type EdgeDriverOptions, type SessionListener } from "./driver.ts";

/**
 * The token-level way in, with callbacks, and the only place that makes edge sessions. A remote opener has a cloud
 * verify the drafts; a local one lets the drafter speak alone, for the policy `edge`.
 */

/** The model whose text the sessions of an opener give. */
export interface TextModel {
  readonly name: string;
  readonly vocabularySize: number;
  /** most tokens of one session, prompt included */
  readonly contextTokens: number;
  readonly endTokens: readonly number[];
  /** Jinja source; null where the model has none */
  readonly chatTemplate: string | null;
}

/** A session, for who opened it; what happens to it is told to its listener. */
export interface OpenedSession {
  /** 1 for the first of an opener, and so on */
  readonly id: number;
  /** what its drafter knows it by; 0: it drafts nothing */
  readonly owner: number;
  cancel(): void;
  /** What it holds now: for who compares. */
  view(): SequenceView;
  /** @throws AssertionError */
  checkIntegrity(): void;
}

export interface Opener {
  /** @throws CloudError `not_ready` while it is not known */
  readonly model: TextModel;
  /** null: it opens only sessions that draft nothing */
  readonly drafter: Drafter | null;
  /** it failed or was closed, and takes no more sessions */
  readonly gone: boolean;
  /**
   * Opens a session. Everything that happens to it, refusal by the cloud included, is told to the listener.
   * @throws SettingError for settings or a prompt that cannot be
   * @throws CloudError when the opener is gone
   */
  open(settings: SessionSettings, prompt: Int32Array, listener: SessionListener): OpenedSession;
  /** Sequences of the sessions that draft and are not over; valid until the next event. */
  sequences(): OpenSequences;
  /** Ends every session. */
  close(): void;
  /** @throws AssertionError when an invariant is broken, or a session that is over is kept */
  checkIntegrity(): void;
}

/** The sessions of an opener that are not over. */
class Sessions {
  private readonly byId = new Map<number, EdgeDriver>();
  private readonly changed: () => void;
  private nextId = 1;

  /** @param changed there is one more, or one less */
  constructor(changed: () => void) {
    this.changed = changed;
  }

  get size(): number {
    return this.byId.size;
  }

  /** As they are now: each may end while they are gone through. */
  all(): readonly EdgeDriver[] {
    return [...this.byId.values()];
  }

  get(id: number): EdgeDriver | undefined {
    return this.byId.get(id);
  }

  start(model: TextModel, options: Omit<EdgeDriverOptions, "id" | "rule" | "vocabularySize">): EdgeDriver {
    const { settings, prompt, listener } = options;
    const id = this.nextId++;
    const session = new EdgeDriver({
      ...options,
      id,
      vocabularySize: model.vocabularySize,
      rule: {
        promptLength: prompt.length,
        maxTokens: settings.maxTokens,
        contextTokens: model.contextTokens,
        endTokens: new Set(model.endTokens),
      },
      listener: {
        token: (token, origin, position) => listener.token?.(token, origin, position),
        logprobs: (logprobs, position) => listener.logprobs?.(logprobs, position),
        discarded: (tokens, position) => listener.discarded?.(tokens, position),
        finished: (outcome, statistics) => {
          this.byId.delete(id);
          this.changed();
          listener.finished(outcome, statistics);
        },
        observer: listener.observer,
      },
    });
    this.byId.set(id, session);
    this.changed();
    session.start();
    return session;
  }

  sequences(): OpenSequences {
    const drafting = this.all().filter(({ owner }) => owner !== 0);
    return new Map(drafting.map((session) => [session.owner, session.view().tokens]));
  }

  checkIntegrity(): void {
    for (const session of this.all()) {
      assert(!session.over, `session ${session.id} is over, and kept`);
      session.checkIntegrity();
    }
  }
}

export interface RemoteOpenerOptions extends ConnectionOptions {
  /** null: only policies that draft nothing */
  readonly drafter: Drafter | null;
  /** a fresh secret for each session, 16 characters or more that cannot be guessed; null: none is resumed */
  readonly secret: (() => string) | null;
  /** over the target's vocabulary, for drafts that keep to a grammar; null, the default: only the cloud sees to that */
  readonly grammars?: Grammars | null;
  /** the cloud has accepted the edge, or has not; called once */
  readonly ready: (error: CloudError | null, opener: RemoteOpener) => void;
}

/** One connection to a cloud, with any number of sessions over it; a link that broke is made anew. */
export class RemoteOpener implements Opener {
  readonly drafter: Drafter | null;
  private readonly options: RemoteOpenerOptions;
  private readonly sessions = new Sessions(() => this.noteExpected());
  private readonly connection: Connection;
  /** what each session asks of a cloud; see `checkPeer` */
  private readonly asked = new WeakMap<EdgeDriver, { settings: SessionSettings; tokens: number }>();
  private knownTarget: TargetInfo | null = null;
  private peer: Peer | null = null;
  private failure: CloudError | null = null;
  private relinks = 0;
  private tokenizerAsked: ((error: CloudError | null, file: Uint8Array) => void) | null = null;

  constructor(options: RemoteOpenerOptions) {
    this.options = options;
    this.drafter = options.drafter;
    this.connection = new Connection(options, {
      up: (target, peer) => this.up(target, peer),
      down: () => {
        for (const session of this.sessions.all()) session.suspend();
      },
      frame: (frame, bytes) => this.take(frame, bytes),
      failed: (error) => this.failed(error),
    });
  }

  /** What the cloud said of its target; only once it is ready. */
  get target(): TargetInfo {
    return this.welcomed().target;
  }

  private welcomed(): { readonly target: TargetInfo; readonly peer: Peer } {
    const { knownTarget, peer } = this;
    if (!knownTarget || !peer) throw new CloudError("not_ready", "the cloud has not answered yet");
    return { target: knownTarget, peer };
  }

  get model(): TextModel {
    return this.target;
  }

  get gone(): boolean {
    return this.failure !== null;
  }

  /** The cloud can be spoken to. */
  get isUp(): boolean {
    return this.connection.isUp;
  }

  /** Times that a link which broke was made anew. */
  get reconnects(): number {
    return this.relinks;
  }

  /** Latest round trip of a ping, ms; -1 before the first. */
  get rttMs(): number {
    return this.connection.rttMs;
  }

  /** Measures the link: see `Connection.ping`. */
  ping(paddingBytes: number, echo: boolean, done: PingDone): void {
    this.connection.ping(paddingBytes, echo, done);
  }

  /**
   * Asks for the target's tokenizer, a GGUF file without tensors: for an edge that has no model. Where the link breaks
   * it is asked for again over the next one.
   * @param done called once, with the bytes of the file, or with an error when the connection is gone
   * @throws CloudError `already_asked` while an earlier request is out
   */
  requestTokenizer(done: (error: CloudError | null, file: Uint8Array) => void): void {
    if (this.tokenizerAsked)
      throw new CloudError("already_asked", "the tokenizer has been asked for: wait for it");
    if (this.failure) {
      done(this.failure, new Uint8Array(0));
      return;
    }
    this.tokenizerAsked = done;
    this.noteExpected();
    this.connection.send({ type: "tokenizerRequest" });
  }

  private noteExpected(): void {
    this.connection.expect(this.sessions.size > 0 || this.tokenizerAsked !== null);
  }

  private tokenizerCame(error: CloudError | null, file: Uint8Array): void {
    const asked = this.tokenizerAsked;
    this.tokenizerAsked = null;
    this.noteExpected();
    asked?.(error, file);
  }

  /** @throws CloudError `too_many_sessions` when it has as many as the cloud accepts, and as `Opener.open` */
  open(settings: SessionSettings, prompt: Int32Array, listener: SessionListener): OpenedSession {
    if (this.failure) throw this.failure;
    const { drafter } = this;
    const { target, peer } = this.welcomed();
    const { clock, secret, grammars = null } = this.options;
    if (!settings.policy.target) {
      throw new SettingError("policy", "this policy takes no cloud: open it with a local opener");
    }
    if (this.sessions.size >= peer.limits.sessions) {
      const message = `the cloud accepts ${peer.limits.sessions} sessions of one connection: wait for one to end`;
      throw new CloudError("too_many_sessions", message);
    }
    checkRequest(settings, prompt, target, drafter);
    checkDraftSize(settings.policy, target.vocabularySize, peer.limits.frameBytes);
    const tokens = mostTokens(settings, prompt, target.contextTokens);
    checkPeer(settings, tokens, peer);
    const session = this.sessions.start(target, {
      ...{ settings, prompt, listener, clock, grammars },
      secret: secret?.() ?? null,
      drafter: settings.policy.segmentTokens > 0 ? drafter : null,
      send: (frame) => this.connection.send(frame),
    });
    this.asked.set(session, { settings, tokens });
    // It is opened when there is a link again.
    if (!this.connection.isUp) session.suspend();
    return session;
  }

  sequences(): OpenSequences {
    return this.sessions.sequences();
  }

  checkIntegrity(): void {
    const { sessions, failure, tokenizerAsked } = this;
    this.connection.checkIntegrity(sessions.size > 0 || tokenizerAsked !== null);
    assert(
      !failure || (sessions.size === 0 && !tokenizerAsked),
      "something waits for a connection that is gone",
    );
    sessions.checkIntegrity();
  }

  /** Ends every session and the connection. */
  close(): void {
    for (const session of this.sessions.all()) session.cancel();
    this.connection.close();
    this.failed(new CloudError("closed", "this connection was closed"));
  }

  private up(target: TargetInfo, peer: Peer): void {
    const first = this.knownTarget === null;
    this.knownTarget = target;
    this.peer = peer;
    if (first) {
      this.options.ready(null, this);
      return;
    }
    this.relinks++;
    for (const session of this.sessions.all()) this.resume(session, peer);
    if (this.tokenizerAsked) this.connection.send({ type: "tokenizerRequest" });
  }

  /** The link may lead to a cloud of another release now. */
  private resume(session: EdgeDriver, peer: Peer): void {
    const { settings, tokens } = this.asked.get(session)!;
    try {
      checkPeer(settings, tokens, peer);
    } catch (error) {
      session.giveUp("unsupported", messageOf(error));
      return;
    }
    session.resume();
  }

  private take(frame: Frame, bytes: number): void {
    switch (frame.type) {
      case "verdict":
      case "witnesses":
      case "done":
      case "error": {
        const session = this.sessions.get(frame.session);
        if (!session) break; // it was cancelled while the frame was on its way
        if (frame.type === "verdict" || frame.type === "witnesses") {
          const problem = frameProblem(frame, this.target.vocabularySize);
          if (problem) {
            session.giveUp("bad_verdict", problem);
            break;
          }
          session.statistics.downlinkBytes += bytes;
        }
        session.receive(frame, bytes);
        break;
      }
      case "tokenizer":
        this.tokenizerCame(null, frame.file.slice());
        break;
      case "tokenizerRequest":
      case "hello":
      case "open":
      case "draft":
      case "witnessRequest":
      case "cancel":
      case "welcome":
      case "goAway":
      case "ping":
      case "pong":
        break; // for the connection, or nothing that a cloud sends: it does no harm
      default:
        unreachable(frame);
    }
  }

  private failed(error: CloudError): void {
    if (this.failure) return;
    this.failure = error;
    if (this.tokenizerAsked) this.tokenizerCame(error, new Uint8Array(0));
    for (const session of this.sessions.all()) session.lost(error.code, error.message);
    if (!this.knownTarget) this.options.ready(error, this);
  }
}

export interface LocalOpenerOptions {
  /** one that always proposes: the small model itself */
  readonly drafter: Drafter;
  readonly name: string;
  /** the drafter's own */
  readonly endTokens: readonly number[];
  /** the drafter's own, Jinja source; null where it has none */
  readonly chatTemplate: string | null;
  /** over the drafter's vocabulary; null: answers cannot keep to a grammar */
  readonly grammars: Grammars | null;
  readonly clock: Clock;
}

/** The drafter alone, without a cloud: the policy `edge`. */
export class LocalOpener implements Opener {
  readonly model: TextModel;
  readonly drafter: Drafter;
  private readonly options: LocalOpenerOptions;
  private readonly sessions = new Sessions(() => {});
  private closed = false;

  constructor(options: LocalOpenerOptions) {
    const { drafter, name, endTokens, chatTemplate } = options;
    const { vocabularySize, contextTokens } = drafter.reach;
    this.options = options;
    this.drafter = drafter;
    this.model = { name, vocabularySize, contextTokens, endTokens, chatTemplate };
  }

  get gone(): boolean {
    return this.closed;
  }

  open(settings: SessionSettings, prompt: Int32Array, listener: SessionListener): OpenedSession {
    const { drafter, model } = this;
    const { clock, grammars } = this.options;
    if (this.closed) throw new CloudError("closed", "this opener was closed");
    if (settings.policy.target) throw new SettingError("policy", "this policy needs a cloud");
    if (settings.grammar !== undefined && !grammars) {
      throw new SettingError("grammar", "no grammar engine is loaded here: ask without a grammar");
    }
    if (settings.logprobs !== undefined) {
      throw new SettingError("logprobs", "logprobs are the target's, and the policy edge asks none");
    }
    checkRequest(settings, prompt, model, drafter);
    return this.sessions.start(model, {
      ...{ settings, prompt, listener, clock, grammars, drafter },
      secret: null,
      send: () => 0,
    });
  }

  sequences(): OpenSequences {
    return this.sessions.sequences();
  }

  close(): void {
    this.closed = true;
    for (const session of this.sessions.all()) session.cancel();
  }

  checkIntegrity(): void {
    assert(!this.closed || this.sessions.size === 0, "a session outlives its opener");
    this.sessions.checkIntegrity();
  }
}

/**
 * What every session has to keep to. Refuses here what the cloud would refuse: over there it could cost more than this
 * session.
 * @throws SettingError
 */
function checkRequest(
  { policy, sampler, maxTokens }: SessionSettings,
  prompt: Int32Array,
  { contextTokens, vocabularySize }: TextModel,
  drafter: Drafter | null,
): void {
  checkPolicy(policy);
  samplerSettings(sampler);
  if (policy.segmentTokens > 0 && !drafter) {
    throw new SettingError("policy", "this policy drafts, and there is no drafter: give a --model");
  }
  if (!policy.target && !drafter?.alwaysProposes) {
    throw new SettingError("policy", "the policy edge needs a model of its own: give a --model");
  }
  const cloudGoesOn = policy.patienceMs < Number.POSITIVE_INFINITY;
  if (policy.segmentTokens > 0 && !cloudGoesOn && !drafter?.alwaysProposes) {
    const message =
      "this policy needs a drafter that always has a draft, and prompt lookup does not: take race";
    throw new SettingError("policy", message);
  }
  if (!Number.isInteger(maxTokens) || maxTokens < 1 || maxTokens >= PROTOCOL_LIMITS.counter) {
    throw new SettingError("maxTokens", `maxTokens must be a whole number of 1 or more, not ${maxTokens}`);
  }
  if (prompt.length === 0) throw new SettingError("prompt", "the prompt is empty");
  const stranger = prompt.find((token) => token < 0 || token >= vocabularySize);
  if (stranger !== undefined) {
    throw new SettingError("prompt", `there is no token ${stranger}: the model has ${vocabularySize}`);
  }
  if (prompt.length >= Math.min(contextTokens, PROTOCOL_LIMITS.promptTokens)) {
    const message = `the prompt has ${prompt.length} tokens, and the context of ${contextTokens} leaves no room for an answer; shorten the prompt`;
    throw new SettingError("prompt", message);
  }
}

/** Most tokens that an `open` of the session holds: the prompt's, and after a resumption the answer's. */
function mostTokens({ maxTokens }: SessionSettings, prompt: Int32Array, contextTokens: number): number {
  return Math.min(prompt.length + maxTokens, contextTokens, PROTOCOL_LIMITS.promptTokens);
}
