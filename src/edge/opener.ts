import type { SessionSettings } from "../decoding/session.ts";
import type { Grammars } from "../grammar/grammar.ts";
import type { Peer } from "../protocol/features.ts";
import type {
  DoneFrame,
  ErrorFrame,
  Frame,
  TargetInfo,
  TokenizerFrame,
  TokenizerRequestFrame,
  VerdictFrame,
  VocabularyFrame,
  VocabularyPart,
  VocabularyRequestFrame,
  WitnessesFrame,
} from "../protocol/frame.ts";
import { assert, unreachable } from "../util/assert.ts";
import { messageOf, SettingError } from "../util/errors.ts";
import { checkDraftSize, checkPeer, checkRequest, frameProblem, mostTokens } from "./boundary.ts";
import { CloudError, type Connection, type PingDone } from "./connection.ts";
import { DraftGate } from "./core/draft-gate.ts";
import type { SequenceView } from "./core/session.ts";
import type { Drafter, OpenSequences } from "./drafters/drafter.ts";
import { EdgeDriver, type EdgeDriverOptions, type SessionListener } from "./driver.ts";
import { Links, type LinksOptions } from "./links.ts";
import { type BytesDone, VocabularyRequests } from "./vocabulary-requests.ts";

/**
 * The token-level way in, with callbacks, and the only place that makes edge sessions. A remote opener has a cloud
 * verify the drafts; a local one (local-opener.ts) lets the drafter speak alone, for the policy `edge`.
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
export class Sessions {
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

  /** @param made it is there, and has not begun */
  start(
    model: TextModel,
    options: Omit<EdgeDriverOptions, "id" | "rule" | "vocabularySize">,
    made: (session: EdgeDriver) => void = () => {},
  ): EdgeDriver {
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
    made(session);
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

export interface RemoteOpenerOptions extends LinksOptions {
  /** null: only policies that draft nothing */
  readonly drafter: Drafter | null;
  /** a fresh secret for each session, 16 characters or more that cannot be guessed; null: none is resumed */
  readonly secret: (() => string) | null;
  /** over the target's vocabulary, for drafts that keep to a grammar; null, the default: only the cloud sees to that */
  readonly grammars?: Grammars | null;
  /** the cloud has accepted the edge, or has not; called once */
  readonly ready: (error: CloudError | null, opener: RemoteOpener) => void;
  /** it is up, or down, or gone: for who tells how the cloud is. Default: not told */
  readonly changed?: () => void;
}

/** What a session asks of a cloud, and over which link. */
interface Asked {
  readonly settings: SessionSettings;
  /** see `checkPeer` */
  readonly tokens: number;
  /** null: there is none now */
  link: Connection | null;
  /** when something was last committed, or the session was opened over a link */
  toldMs: number;
}

/** A cloud that answers pings, and commits nothing of a session for so long, has forgotten it. */
const SILENT_SESSION_MS = 600_000;

/** Any number of sessions with the clouds of one target; a link that broke is made anew. */
export class RemoteOpener implements Opener {
  readonly drafter: Drafter | null;
  private readonly options: RemoteOpenerOptions;
  private readonly sessions = new Sessions(() => this.links.noteExpected());
  private readonly links: Links;
  private readonly gate = new DraftGate();
  private readonly asked = new WeakMap<EdgeDriver, Asked>();
  private knownTarget: TargetInfo | null = null;
  private peer: Peer | null = null;
  private failure: CloudError | null = null;
  private relinks = 0;
  private readonly requests = new VocabularyRequests();
  private roundTripMs = -1;
  private answers = 0;

  constructor(options: RemoteOpenerOptions) {
    this.options = options;
    this.drafter = options.drafter;
    this.links = new Links(options, {
      up: (target, peer) => this.up(target, peer),
      expects: (link) => this.expects(link),
      draining: () => this.options.changed?.(),
      down: (link) => this.down(link),
      frame: (link, frame, bytes) => this.take(link, frame, bytes),
      watched: (link) => this.watched(link),
      failed: (error) => this.end(error),
    });
    this.links.start();
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

  /** Times that a link which broke was made anew. */
  get reconnects(): number {
    return this.relinks;
  }

  /** Why it is gone; null: it is not. */
  get failed(): CloudError | null {
    return this.failure;
  }

  /** There is a link over which new sessions are opened. */
  get isUp(): boolean {
    return this.links.current !== null;
  }

  /** Answers that the cloud has finished. */
  get finishedAnswers(): number {
    return this.answers;
  }

  /** Latest round trip of a ping, ms; -1 before the first. */
  get rttMs(): number {
    return this.links.current?.rttMs ?? this.roundTripMs;
  }

  /**
   * Asks for a pong, with padding to measure bandwidth by.
   * @param echo the padding comes back as well
   * @param done called once, with the round trip in ms, or with `connection_lost` where there is no link or it breaks
   * first, and `too_many_pings` where 64 are out
   */
  ping(paddingBytes: number, echo: boolean, done: PingDone): void {
    const { current } = this.links;
    if (current) current.ping(paddingBytes, echo, done);
    else done(new CloudError("connection_lost", "there is no link to the cloud"), 0);
  }

  /**
   * Asks for the target's tokenizer, a GGUF file without tensors: for an edge that has no model. Where the link breaks
   * it is asked for again over the next one.
   * @param done called once, with the bytes of the file, or with an error: when the connection is gone, or `silent_cloud`
   * where nothing has come in 30 s
   * @throws CloudError `already_asked` while an earlier request is out, `too_many_requests` while 64 others are
   */
  requestTokenizer(done: BytesDone): void {
    this.request({ type: "tokenizerRequest" }, done);
  }

  /**
   * Asks for a chunk of the target's vocabulary, which `target.vocabulary` tells of. Several may be out at a time.
   * @param done called once, with the bytes as they travel, or with an error as of `requestTokenizer`
   * @throws CloudError `already_asked` while the same chunk is out, `too_many_requests` while 64 others are
   */
  requestVocabulary(part: VocabularyPart, chunk: number, done: BytesDone): void {
    this.request({ type: "vocabularyRequest", part, chunk }, done);
  }

  private request(frame: TokenizerRequestFrame | VocabularyRequestFrame, done: BytesDone): void {
    if (this.failure) {
      done(this.failure, new Uint8Array(0));
      return;
    }
    this.requests.add(frame, done, this.options.clock.nowMs());
    this.links.noteExpected();
    this.links.current?.send(frame);
  }

  /** Something is expected over this link; over the newest also what waits for one. */
  private expects(link: Connection): boolean {
    const isNewest = this.links.isNewest(link);
    if (isNewest && this.requests.size > 0) return true;
    return this.sessions.all().some((session) => {
      const over = this.asked.get(session)!.link;
      return over === link || (over === null && isNewest);
    });
  }

  /** What was asked for is here; what was not is ignored. */
  private came(link: Connection, frame: TokenizerFrame | VocabularyFrame): void {
    this.links.finished(link);
    const [asked, bytes] =
      frame.type === "tokenizer"
        ? [{ type: "tokenizerRequest" } as const, frame.file]
        : [{ type: "vocabularyRequest", part: frame.part, chunk: frame.chunk } as const, frame.bytes];
    const done = this.requests.take(asked);
    this.links.noteExpected();
    // Frames are views of what was received.
    done?.(null, bytes.slice());
  }

  /** @throws CloudError `too_many_sessions` when it has as many as the cloud accepts, and as `Opener.open` */
  open(settings: SessionSettings, prompt: Int32Array, listener: SessionListener): OpenedSession {
    if (this.failure) throw this.failure;
    const { drafter } = this;
    const { target, peer } = this.welcomed();
    const { clock, secret, grammars = null, failed = null } = this.options;
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
    const asked: Asked = { settings, tokens, link: this.links.current, toldMs: clock.nowMs() };
    const options = {
      ...{ settings, prompt, listener, clock, grammars, failed },
      secret: secret?.() ?? null,
      drafter: settings.policy.segmentTokens > 0 ? drafter : null,
      gate: this.gate,
      send: (frame: Frame) => asked.link?.send(frame) ?? 0,
    };
    const session = this.sessions.start(target, options, (made) => this.asked.set(made, asked));
    // It is opened when there is a link again.
    if (!asked.link) session.suspend();
    return session;
  }

  sequences(): OpenSequences {
    return this.sessions.sequences();
  }

  checkIntegrity(): void {
    const { sessions, failure, requests, links } = this;
    links.checkIntegrity();
    assert(
      !failure || (sessions.size === 0 && requests.size === 0),
      "something waits for a connection that is gone",
    );
    const there = links.all();
    for (const session of sessions.all()) {
      const { link } = this.asked.get(session)!;
      assert(!link || there.includes(link), `session ${session.id} is over a link that is gone`);
      assert(link || !links.current, `session ${session.id} waits for a link that is there`);
    }
    sessions.checkIntegrity();
  }

  /** Ends every session and the connection. */
  close(): void {
    for (const session of this.sessions.all()) session.cancel();
    this.links.close();
    this.end(new CloudError("closed", "this connection was closed"));
  }

  private up(target: TargetInfo, peer: Peer): void {
    const first = this.knownTarget === null;
    this.knownTarget = target;
    this.peer = peer;
    if (first) this.options.ready(null, this);
    else {
      this.relinks++;
      this.resumeAll();
      const frames = this.requests.again(this.options.clock.nowMs());
      for (const frame of frames) this.links.current?.send(frame);
    }
    this.options.changed?.();
  }

  private down(link: Connection): void {
    this.roundTripMs = link.rttMs;
    for (const session of this.sessions.all()) {
      if (this.asked.get(session)!.link === link) this.leave(session);
    }
    this.links.noteExpected();
    this.resumeAll();
    this.options.changed?.();
  }

  /** It has no link now. */
  private leave(session: EdgeDriver): void {
    this.asked.get(session)!.link = null;
    session.suspend();
  }

  /** Every session that has no link goes on over the current one, if there is one. */
  private resumeAll(): void {
    const { current } = this.links;
    const { peer } = this;
    if (!current || !peer) return;
    for (const session of this.sessions.all()) {
      const asked = this.asked.get(session)!;
      if (asked.link === null) this.resume(session, asked, current, peer);
    }
  }

  /** The link may lead to a cloud of another release now. */
  private resume(session: EdgeDriver, asked: Asked, link: Connection, peer: Peer): void {
    asked.link = link;
    asked.toldMs = this.options.clock.nowMs();
    try {
      checkPeer(asked.settings, asked.tokens, peer);
    } catch (error) {
      session.giveUp("unsupported", messageOf(error));
      return;
    }
    session.resume();
  }

  private take(link: Connection, frame: Frame, bytes: number): void {
    switch (frame.type) {
      case "verdict":
      case "witnesses":
      case "done":
      case "error": {
        const session = this.sessions.get(frame.session);
        // It was cancelled while the frame was on its way, or goes on over another link.
        if (!session || this.asked.get(session)?.link !== link) break;
        this.tell(session, link, frame, bytes);
        break;
      }
      case "tokenizer":
      case "vocabulary":
        this.came(link, frame);
        break;
      case "tokenizerRequest":
      case "vocabularyRequest":
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

  private tell(
    session: EdgeDriver,
    link: Connection,
    frame: VerdictFrame | WitnessesFrame | DoneFrame | ErrorFrame,
    bytes: number,
  ): void {
    if (frame.type === "verdict" || frame.type === "witnesses") {
      const problem = frameProblem(frame, this.target.vocabularySize);
      if (problem) {
        session.giveUp("bad_verdict", problem);
        return;
      }
      session.statistics.downlinkBytes += bytes;
    } else if (frame.type === "done") {
      this.answers++;
      this.links.finished(link);
    } else if (frame.code === "shutting_down" && !this.links.isNewest(link)) {
      // Its open and the cloud's goAway crossed: it belongs to the next link.
      this.leave(session);
      this.links.noteExpected();
      this.resumeAll();
      return;
    }
    const before = session.statistics.tokens;
    session.receive(frame, bytes);
    if (session.statistics.tokens === before) return;
    this.links.progressed();
    this.asked.get(session)!.toldMs = this.options.clock.nowMs();
  }

  /** The cloud behind a link is there: does it do anything for those who wait? */
  private watched(link: Connection): void {
    const nowMs = this.options.clock.nowMs();
    for (const session of this.sessions.all()) {
      const asked = this.asked.get(session)!;
      if (asked.link !== link || nowMs - asked.toldMs <= SILENT_SESSION_MS) continue;
      const message = `the cloud has committed nothing for ${SILENT_SESSION_MS / 1000} s, though it answers pings: ask again`;
      session.giveUp("silent_cloud", message);
    }
    if (!this.links.isNewest(link)) return;
    this.requests.endOverdue(nowMs);
    this.links.noteExpected();
  }

  private end(error: CloudError): void {
    if (this.failure) return;
    this.failure = error;
    for (const done of this.requests.takeAll()) done(error, new Uint8Array(0));
    this.links.noteExpected();
    for (const session of this.sessions.all()) session.lost(error.code, error.message);
    if (!this.knownTarget) this.options.ready(error, this);
    this.options.changed?.();
  }
}
