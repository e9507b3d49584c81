import { checkPolicy } from "../decoding/policy.ts";
import type { SessionSettings, StopRule } from "../decoding/session.ts";
import type { Grammars } from "../grammar/grammar.ts";
import { type Frame, PROTOCOL_LIMITS, type TargetInfo } from "../protocol/frame.ts";
import { samplerSettings } from "../sampling/sampler.ts";
import { assert, unreachable } from "../util/assert.ts";
import { SettingError } from "../util/errors.ts";
import { checkDraftSize, frameProblem } from "./boundary.ts";
import { CloudError, Connection, type ConnectionOptions, type PingDone } from "./connection.ts";
import type { Drafter } from "./drafters/drafter.ts";
import { EdgeDriver, type SessionListener } from "./driver.ts";

export interface EdgeClientOptions extends ConnectionOptions {
  /** null: only policies that draft nothing */
  readonly drafter: Drafter | null;
  /** a fresh secret for each session, 16 characters or more that nobody can guess; null: none is resumed */
  readonly secret: (() => string) | null;
  /** over the target's vocabulary, for drafts that keep to a grammar; null or left out: only the cloud sees to that */
  readonly grammars?: Grammars | null;
  /** the cloud has accepted the edge, or has not; called once */
  readonly ready: (error: CloudError | null, client: EdgeClient) => void;
}

/** One connection to a cloud, with any number of sessions over it; a link that broke is made anew. */
export class EdgeClient {
  private readonly options: EdgeClientOptions;
  private readonly sessions = new Map<number, EdgeDriver>();
  private readonly connection: Connection;
  private knownTarget: TargetInfo | null = null;
  private nextSession = 1;
  private failure: CloudError | null = null;
  private tokenizerAsked: ((error: CloudError | null, file: Uint8Array) => void) | null = null;

  constructor(options: EdgeClientOptions) {
    this.options = options;
    this.connection = new Connection(options, {
      up: (target) => this.up(target),
      down: () => {
        for (const session of [...this.sessions.values()]) session.suspend();
      },
      frame: (frame, bytes) => this.take(frame, bytes),
      failed: (error) => this.failed(error),
    });
  }

  /** What the cloud said of its target; only once it is ready. */
  get target(): TargetInfo {
    if (!this.knownTarget) throw new CloudError("not_ready", "the cloud has not answered yet");
    return this.knownTarget;
  }

  /** It failed or was closed, and takes no more sessions. */
  get gone(): boolean {
    return this.failure !== null;
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

  /**
   * Opens a session. Everything that happens to it, refusal by the cloud included, is told to the listener.
   * @throws SettingError for settings or a prompt that cannot be
   * @throws CloudError when the connection is gone
   */
  open(settings: SessionSettings, prompt: Int32Array, listener: SessionListener): EdgeDriver {
    if (this.failure) throw this.failure;
    const { target } = this;
    const { clock, secret } = this.options;
    this.check(settings, prompt);
    const rule: StopRule = {
      promptLength: prompt.length,
      maxTokens: settings.maxTokens,
      contextTokens: target.contextTokens,
      endTokens: new Set(target.endTokens),
    };
    const id = this.nextSession++;
    const session = new EdgeDriver({
      id,
      settings,
      prompt,
      rule,
      secret: secret?.() ?? null,
      drafter: settings.policy.segmentTokens > 0 ? this.options.drafter : null,
      vocabularySize: target.vocabularySize,
      clock,
      grammars: this.options.grammars ?? null,
      send: (frame) => this.connection.send(frame),
      listener: {
        ...listener,
        token: (token, origin, position) => listener.token?.(token, origin, position),
        logprobs: (logprobs, position) => listener.logprobs?.(logprobs, position),
        discarded: (tokens, position) => listener.discarded?.(tokens, position),
        finished: (outcome, statistics) => {
          this.sessions.delete(id);
          this.noteExpected();
          listener.finished(outcome, statistics);
        },
      },
    });
    this.sessions.set(id, session);
    this.noteExpected();
    session.start();
    // It is opened when there is a link again.
    if (!this.connection.isUp) session.suspend();
    return session;
  }

  /** @throws AssertionError when an invariant is broken, or a session that is over is kept */
  checkIntegrity(): void {
    const { sessions, failure, tokenizerAsked } = this;
    this.connection.checkIntegrity(sessions.size > 0 || tokenizerAsked !== null);
    assert(
      !failure || (sessions.size === 0 && !tokenizerAsked),
      "something waits for a connection that is gone",
    );
    for (const session of sessions.values()) {
      assert(!session.over, `session ${session.id} is over, and kept`);
      session.checkIntegrity();
    }
  }

  /** Ends every session and the connection. */
  close(): void {
    for (const session of [...this.sessions.values()]) session.cancel();
    this.connection.close();
    this.failed(new CloudError("closed", "this connection was closed"));
  }

  /** Refuses here what the cloud would refuse: over there it could cost more than this session. */
  private check({ policy, sampler, maxTokens }: SessionSettings, prompt: Int32Array): void {
    const { contextTokens, vocabularySize } = this.target;
    checkPolicy(policy);
    samplerSettings(sampler);
    if (!policy.target) throw new SettingError("policy", "this policy wants no cloud: generate alone");
    if (policy.segmentTokens > 0 && !this.options.drafter) {
      throw new SettingError("policy", "this policy drafts, and there is no drafter: give a --model");
    }
    const cloudGoesOn = policy.patienceMs < Number.POSITIVE_INFINITY;
    if (policy.segmentTokens > 0 && !cloudGoesOn && !this.options.drafter?.alwaysProposes) {
      const message =
        "this policy needs a drafter that always has a draft, and looking into the text does not: take race";
      throw new SettingError("policy", message);
    }
    if (!Number.isInteger(maxTokens) || maxTokens < 1 || maxTokens >= PROTOCOL_LIMITS.counter) {
      throw new SettingError("maxTokens", `maxTokens must be a whole number of 1 or more, not ${maxTokens}`);
    }
    checkDraftSize(policy, vocabularySize);
    if (prompt.length === 0) throw new SettingError("prompt", "the prompt is empty");
    if (prompt.length >= Math.min(contextTokens, PROTOCOL_LIMITS.promptTokens)) {
      const message = `the prompt has ${prompt.length} tokens, and the context of ${contextTokens} leaves no room for an answer; shorten the prompt`;
      throw new SettingError("prompt", message);
    }
  }

  private up(target: TargetInfo): void {
    const first = this.knownTarget === null;
    this.knownTarget = target;
    if (first) {
      this.options.ready(null, this);
      return;
    }
    for (const session of [...this.sessions.values()]) session.resume();
    if (this.tokenizerAsked) this.connection.send({ type: "tokenizerRequest" });
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
        session.receive(frame);
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
    for (const session of [...this.sessions.values()]) session.lost(error.code, error.message);
    if (!this.knownTarget) this.options.ready(error, this);
  }
}
