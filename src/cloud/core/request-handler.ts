import type { Grammar } from "../../decoding/grammar.ts";
import type { StopRule } from "../../decoding/session.ts";
import type { Capabilities } from "../../engine/capabilities.ts";
import type { GrammarMatcher, Grammars } from "../../grammar/grammar.ts";
import { frameBytes } from "../../protocol/encode.ts";
import { ProtocolError } from "../../protocol/errors.ts";
import { FEATURES, OWN_LIMITS, type Peer, peerOf } from "../../protocol/features.ts";
import {
  type Frame,
  type HelloFrame,
  type OpenFrame,
  PROTOCOL_VERSION,
  pongFor,
  type TargetInfo,
  type TokenizerRequestFrame,
  type VocabularyRequestFrame,
  type WelcomeFrame,
} from "../../protocol/frame.ts";
import { assert, unreachable } from "../../util/assert.ts";
import { SettingError } from "../../util/errors.ts";
import type { Machine } from "../../util/machine.ts";
import type { Tenant } from "../trust/tenant.ts";
import { Tenants } from "../trust/tenants.ts";
import { openingRefusal } from "./admission.ts";
import { Giveaway } from "./giveaway.ts";
import type { CloudEffect, CloudEvent, CloudSession, EngineSessions, SessionView } from "./machine.ts";
import { errorFrame, Registry, type RegistryLimits } from "./registry.ts";

export interface HandlerOptions {
  readonly target: TargetInfo;
  /** what the welcome says of this software, for example "picospec/0.1.0" */
  readonly server: string;
  readonly limits: RegistryLimits;
  /** of the engine: what it lacks is refused when a session opens */
  readonly capabilities: Capabilities;
  /** what an edge without a tokenizer gets in one frame; null: it has to bring its own, or to ask for chunks */
  readonly tokenizer: Uint8Array | null;
  /** over the target's vocabulary; null: no session can have one */
  readonly grammars: Grammars | null;
}

/**
 * The cloud as one pure state machine: handshake, admission, ordering, cancellation. What an engine computes for the
 * sessions is the business of its kind of sessions, behind one face. It knows no socket, no clock and no model.
 */
export class RequestHandler<Session extends CloudSession<Effect>, Event, Effect>
  implements Machine<CloudEvent<Event>, CloudEffect<Effect>>
{
  private readonly options: HandlerOptions;
  private readonly registry: Registry<Session, Effect>;
  private readonly sessions: EngineSessions<Session, Event, Effect>;
  /** until when each connection has to say hello; null: it has */
  private readonly helloByMs = new Map<number, number | null>();
  /** what is agreed with each edge that has said hello */
  private readonly peers = new Map<number, Peer>();
  private readonly giveaway: Giveaway;
  private readonly tenants = new Tenants();
  private nextKey = 1;
  private closing = false;
  /** no session begins any more; null: they do */
  private drains: "waits" | "told" | null = null;
  /** of the event that is handled */
  private nowMs = 0;

  /** @param sessionsOf the sessions of one kind of engine, which end by the registry's rules */
  constructor(
    options: HandlerOptions,
    sessionsOf: (registry: Registry<Session, Effect>) => EngineSessions<Session, Event, Effect>,
  ) {
    this.options = options;
    this.giveaway = new Giveaway(options.tokenizer, options.target.vocabulary ?? null);
    this.registry = new Registry(options.limits, ({ identity, committedTokens }) =>
      this.tenants.ended(identity.key, committedTokens, this.nowMs),
    );
    this.sessions = sessionsOf(this.registry);
  }

  get openSessions(): number {
    return this.registry.size;
  }

  get connections(): number {
    return this.helloByMs.size;
  }

  /** Every open session, and those that have ended and wait for the engine. */
  views(): SessionView[] {
    return this.sessions.views();
  }

  handle(event: CloudEvent<Event>, nowMs: number): CloudEffect<Effect>[] {
    const out: CloudEffect<Effect>[] = [];
    this.nowMs = nowMs;
    this.react(event, nowMs, out);
    const engineAtMs = this.sessions.goOn(nowMs, out);
    if (this.drains === "waits" && this.registry.size === 0) {
      this.drains = "told";
      out.push({ kind: "drained" });
    }
    if (engineAtMs === null) return out;
    const atMs = Math.min(engineAtMs, this.nextHelloMs(), this.registry.silenceAtMs(nowMs));
    if (atMs < Number.POSITIVE_INFINITY) out.push({ kind: "wake", atMs });
    return out;
  }

  /** @param atRest every edge has gone and no work is under way: then nothing may be left. @throws AssertionError */
  checkIntegrity(atRest = false): void {
    this.registry.checkIntegrity();
    this.sessions.checkIntegrity(atRest);
    assert(this.helloByMs.size <= this.options.limits.connections, `${this.helloByMs.size} connections`);
    for (const [id, byMs] of this.helloByMs)
      assert((byMs === null) === this.peers.has(id), `connection ${id} has said hello, or has not`);
    assert(this.giveaway.counted <= this.peers.size, "a count of what was given outlives its connection");
    assert(this.peers.size <= this.helloByMs.size, "what was agreed with an edge outlives its connection");
    this.tenants.checkIntegrity(this.helloByMs.size, (session) => this.registry.get(session) !== undefined);
    const left = this.helloByMs.size + this.registry.size;
    assert(!atRest || left === 0, `a cloud at rest is left with ${left} connections and sessions`);
  }

  private react(event: CloudEvent<Event>, nowMs: number, out: CloudEffect<Effect>[]): void {
    switch (event.kind) {
      case "connected":
        this.connected(event.connection, event.tenant, nowMs, out);
        break;
      case "tenants":
        for (const id of this.tenants.replace(event.tenants, nowMs)) {
          const message = "the key of this connection has been revoked; ask the operator for another";
          this.failConnection(id, new ProtocolError("bad_key", message), out);
        }
        break;
      case "frame":
        this.frame(event.connection, event.frame, nowMs, out);
        break;
      case "garbage":
        this.garbage(event.connection, event.error, out);
        break;
      case "disconnected":
        this.disconnected(event.connection, out);
        break;
      case "engine":
        this.sessions.react(event.event, nowMs, out);
        break;
      case "wake":
        this.registry.endSilent(nowMs, out);
        this.endMute(nowMs, out);
        break;
      case "drain":
        this.drain(event.withinMs, out);
        break;
      case "shutdown":
        this.closing = true;
        for (const id of [...this.helloByMs.keys()]) {
          this.failConnection(id, shuttingDown(), out);
        }
        break;
      default:
        unreachable(event);
    }
  }

  /** Open sessions go on; edges that know how begin others elsewhere. */
  private drain(withinMs: number, out: CloudEffect<Effect>[]): void {
    this.drains ??= "waits";
    for (const [id, { features }] of this.peers) {
      if (features.has("go-away")) {
        out.push({ kind: "send", connection: id, frame: { type: "goAway", withinMs } });
      }
    }
  }

  private connected(id: number, tenant: Tenant | null, nowMs: number, out: CloudEffect<Effect>[]): void {
    this.tenants.connected(id, tenant, nowMs);
    this.helloByMs.set(id, nowMs + this.options.limits.helloWithinMs);
    if (this.closing || this.drains) this.failConnection(id, shuttingDown(), out);
    else if (this.helloByMs.size > this.options.limits.connections) {
      const message = `all ${this.options.limits.connections} connections of this cloud are taken; try again later`;
      this.failConnection(id, new ProtocolError("server_full", message), out);
    }
  }

  private disconnected(id: number, out: CloudEffect<Effect>[], code = "connection_lost"): void {
    this.helloByMs.delete(id);
    this.peers.delete(id);
    this.giveaway.forget(id);
    for (const session of this.registry.ofConnection(id)) {
      this.registry.run(session, out, () => session.end("failed", out), code);
    }
    this.tenants.disconnected(id);
    this.sessions.forget(id, this.nowMs);
  }

  private nextHelloMs(): number {
    let earliest = Number.POSITIVE_INFINITY;
    for (const byMs of this.helloByMs.values()) if (byMs !== null) earliest = Math.min(earliest, byMs);
    return earliest;
  }

  /** Cuts off connections that were opened and say nothing. */
  private endMute(nowMs: number, out: CloudEffect<Effect>[]): void {
    for (const [id, byMs] of [...this.helloByMs]) {
      if (byMs === null || nowMs < byMs) continue;
      const message = `no hello came within ${this.options.limits.helloWithinMs / 1000} s`;
      this.failConnection(id, new ProtocolError("slow_peer", message), out);
    }
  }

  /** What cannot be read costs the connection; settings that cannot be had, only the session they were for. */
  private garbage(id: number, error: ProtocolError, out: CloudEffect<Effect>[]): void {
    const { session } = error;
    if (session === 0 || this.helloByMs.get(id) !== null || this.registry.find(id, session)) {
      this.failConnection(id, error, out);
    } else out.push({ kind: "send", connection: id, frame: errorFrame(session, error) });
  }

  /** Tells an edge what it did wrong and lets go of it. */
  private failConnection(id: number, error: ProtocolError, out: CloudEffect<Effect>[]): void {
    if (!this.helloByMs.has(id)) return;
    this.disconnected(id, out, error.code);
    out.push({ kind: "send", connection: id, frame: errorFrame(0, error) });
    out.push({ kind: "close", connection: id });
  }

  private frame(id: number, frame: Frame, nowMs: number, out: CloudEffect<Effect>[]): void {
    const byMs = this.helloByMs.get(id);
    if (byMs === undefined) return; // refused or failed a moment ago
    const greeted = byMs === null;
    if (greeted === (frame.type === "hello")) {
      const message = `a connection begins with one hello, and then ${frame.type} comes ${greeted ? "once" : "after it"}`;
      this.failConnection(id, new ProtocolError("unexpected_frame", message), out);
      return;
    }
    switch (frame.type) {
      case "hello":
        this.greet(id, frame, out);
        break;
      case "open":
        this.open(id, frame, nowMs, out);
        break;
      case "draft":
      case "witnessRequest":
      case "cancel":
        this.route(id, frame, nowMs, out);
        break;
      case "ping":
        out.push({ kind: "send", connection: id, frame: pongFor(frame) });
        break;
      case "pong":
        break; // not asked for, and it does no harm
      case "tokenizerRequest":
      case "vocabularyRequest":
        this.give(id, frame, out);
        break;
      case "tokenizer":
      case "vocabulary":
      case "welcome":
      case "verdict":
      case "witnesses":
      case "done":
      case "goAway":
      case "error":
        this.failConnection(id, new ProtocolError("unexpected_frame", `an edge sends no ${frame.type}`), out);
        break;
      default:
        unreachable(frame);
    }
  }

  private greet(id: number, frame: HelloFrame, out: CloudEffect<Effect>[]): void {
    const { target } = this.options;
    const peer = peerOf(frame);
    const welcome = this.welcomeFor(id, peer);
    if (frame.protocol !== PROTOCOL_VERSION) {
      const message = `the edge speaks protocol ${frame.protocol} and this cloud ${PROTOCOL_VERSION}; use one version of PicoSpec on both sides`;
      this.failConnection(id, new ProtocolError("protocol_version", message), out);
    } else if (frame.fingerprint !== "" && frame.fingerprint !== target.fingerprint) {
      const message = `the drafter's tokenizer ${frame.fingerprint.slice(0, 80)} is not the target's ${target.fingerprint} (${target.name}); take a drafter of the same family`;
      this.failConnection(id, new ProtocolError("tokenizer_mismatch", message), out);
    } else if (frameBytes(welcome) > peer.limits.frameBytes) {
      const message = `this edge accepts frames of ${peer.limits.frameBytes} bytes, and the welcome has ${frameBytes(welcome)}; raise its frameBytes`;
      this.failConnection(id, new ProtocolError("unsupported", message), out);
    } else {
      this.helloByMs.set(id, null);
      this.peers.set(id, peer);
      out.push({ kind: "send", connection: id, frame: welcome });
    }
  }

  private welcomeFor(id: number, peer: Peer): WelcomeFrame {
    const { server, limits } = this.options;
    const { identity, vocabulary, ...others } = this.options.target;
    const target = {
      ...others,
      contextTokens: this.contextTokensFor(id),
      ...(identity && peer.features.has("identity") ? { identity } : {}),
      ...(vocabulary && peer.features.has("vocabulary") ? { vocabulary } : {}),
    };
    const sessions = Math.min(limits.sessions, limits.sessionsPerConnection);
    const growth = { features: FEATURES, limits: { ...OWN_LIMITS, sessions } };
    return { type: "welcome", protocol: PROTOCOL_VERSION, server, target, ...growth };
  }

  /** Most tokens of a session on this connection, the same for as long as it lasts. */
  private contextTokensFor(id: number): number {
    return Math.min(this.options.target.contextTokens, this.tenants.contextTokensOf(id));
  }

  /** Chunks are made where they are not at hand: see `CloudOptions.vocabulary`. */
  private give(
    id: number,
    frame: TokenizerRequestFrame | VocabularyRequestFrame,
    out: CloudEffect<Effect>[],
  ): void {
    const peer = this.peers.get(id)!;
    try {
      if (frame.type === "tokenizerRequest") {
        out.push({ kind: "send", connection: id, frame: this.giveaway.whole(id, peer) });
      } else {
        this.giveaway.chunk(id, peer, frame);
        out.push({ kind: "vocabulary", connection: id, part: frame.part, chunk: frame.chunk });
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.failConnection(id, error, out);
    }
  }

  private open(id: number, frame: OpenFrame, nowMs: number, out: CloudEffect<Effect>[]): void {
    if (frame.session === 0 || this.registry.find(id, frame.session)) {
      // An error with this number would speak of the session that has it.
      const message = `session ${frame.session} cannot be opened (again)`;
      this.failConnection(id, new ProtocolError("unexpected_frame", message), out);
      return;
    }
    if (this.drains) {
      // An edge that did not hear of it in time, or does not know how: all of its sessions go on elsewhere.
      this.failConnection(id, shuttingDown(), out);
      return;
    }
    const { tokens, settings, resume, secret } = frame;
    const resumeKey = secret === null ? null : this.tenants.resumeKeyOf(id, secret);
    const orphan = resumeKey === null ? undefined : this.registry.resumable(resumeKey);
    const refusal = this.refusal(id, frame, orphan) ?? this.tenantRefusal(id, frame, orphan, nowMs);
    if (refusal) {
      out.push({ kind: "send", connection: id, frame: errorFrame(frame.session, refusal) });
      return;
    }
    let grammar: GrammarMatcher | null = null;
    try {
      grammar = this.grammarFor(settings.grammar);
    } catch (error) {
      if (!(error instanceof SettingError)) throw error;
      const wrong = new ProtocolError("bad_setting", error.message);
      out.push({ kind: "send", connection: id, frame: errorFrame(frame.session, wrong) });
      return;
    }
    // Its link is dead, and only the edge has noticed so far.
    if (orphan) this.registry.run(orphan, out, () => orphan.end("failed", out), "superseded");
    const { endTokens, vocabularySize } = this.options.target;
    const contextTokens = this.contextTokensFor(id);
    const rule: StopRule = {
      promptLength: resume?.promptTokens ?? tokens.length,
      maxTokens: settings.maxTokens,
      contextTokens,
      endTokens: new Set(endTokens),
    };
    if (orphan) this.tenants.adopt(id, orphan.identity.principal);
    const identity = {
      key: this.nextKey++,
      connection: id,
      ...this.tenants.ownerOf(id),
      id: frame.session,
      secret,
      resumeKey,
      epoch: resume?.epoch ?? 0,
    };
    const lineage = resume?.lineage ?? 0;
    const session = this.sessions.open(
      { identity, settings, tokens, rule, vocabularySize, lineage, grammar, resumed: orphan ?? null },
      nowMs,
    );
    this.registry.add(session);
    this.tenants.opened(identity.key, id, tokens.length, orphan !== undefined, nowMs);
    out.push({
      kind: "opened",
      session: { identity, policy: settings.policy, promptTokens: rule.promptLength, tokens: tokens.length },
    });
    this.registry.run(session, out, () => session.start(nowMs, out));
  }

  /** @throws SettingError for a grammar that is none */
  private grammarFor(grammar: Grammar | undefined): GrammarMatcher | null {
    const { grammars, capabilities } = this.options;
    // An engine that keeps to grammars by itself reads them as it does: a second reading could only differ.
    if (grammar === undefined || capabilities.ownGrammars) return null;
    if (!grammars) throw new SettingError("grammar", "this cloud knows no grammars: ask it without one");
    return grammars.matcher(grammar);
  }

  /** Why a session cannot be had; it costs the edge nothing else. */
  private refusal(id: number, frame: OpenFrame, orphan: Session | undefined): ProtocolError | null {
    const { registry } = this;
    const { target, limits, capabilities } = this.options;
    if (orphan && orphan.identity.epoch >= (frame.resume?.epoch ?? 0)) {
      return new ProtocolError("superseded", "this session goes on over a newer link");
    }
    return openingRefusal(frame, {
      target,
      limits,
      capabilities,
      peer: this.peers.get(id)!,
      contextTokens: this.contextTokensFor(id),
      open: registry.size - (orphan ? 1 : 0),
      openOfConnection: registry.ofConnection(id).length,
    });
  }

  /** What the key of the connection does not allow. */
  private tenantRefusal(
    id: number,
    { tokens, resume }: OpenFrame,
    orphan: Session | undefined,
    nowMs: number,
  ): ProtocolError | null {
    const { registry, tenants } = this;
    const principal = tenants.principalOf(id);
    // What its open sessions have used by now counts.
    if (tenants.isMetered(id)) {
      for (const { identity, committedTokens } of registry.all()) {
        if (identity.principal === principal) tenants.settle(identity.key, committedTokens, nowMs);
      }
    }
    const promptTokens = resume?.promptTokens ?? tokens.length;
    const open = registry.countOf(principal) - (orphan ? 1 : 0);
    return tenants.refusal(id, { promptTokens, open, resumes: orphan !== undefined }, nowMs);
  }

  private route(
    id: number,
    frame: Extract<Frame, { type: "draft" | "witnessRequest" | "cancel" }>,
    nowMs: number,
    out: CloudEffect<Effect>[],
  ): void {
    const session = this.registry.find(id, frame.session);
    if (!session) return; // it ended while the frame was on its way
    this.registry.run(session, out, () => {
      if (frame.type === "draft") session.draft(frame, nowMs, out);
      else if (frame.type === "witnessRequest") session.witnessRequest(frame, nowMs, out);
      else session.end("cancelled", out);
    });
  }
}

function shuttingDown(): ProtocolError {
  return new ProtocolError("shutting_down", "the cloud is shutting down");
}
