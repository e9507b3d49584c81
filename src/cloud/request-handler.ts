import type { Grammar } from "../decoding/grammar.ts";
import type { StopRule } from "../decoding/session.ts";
import type { GrammarMatcher, Grammars } from "../grammar/grammar.ts";
import { frameBytes } from "../protocol/encode.ts";
import { ProtocolError } from "../protocol/errors.ts";
import { FEATURES, OWN_LIMITS, type Peer, peerOf, usedFeatures } from "../protocol/features.ts";
import {
  type Frame,
  type HelloFrame,
  type OpenFrame,
  PROTOCOL_VERSION,
  pongFor,
  type TargetInfo,
  type WelcomeFrame,
} from "../protocol/frame.ts";
import { unreachable } from "../util/assert.ts";
import { SettingError } from "../util/errors.ts";
import type { CloudEffect, CloudEvent, CloudLimits } from "./core/machine.ts";
import { CloudSession } from "./passes/session.ts";
import { SessionTable } from "./session-table.ts";

const MOST_MESSAGE_UNITS = 1000;
/** What a verdict holds besides all of p, at most: tokens, their logprobs, a head and witnesses. */
const VERDICT_BYTES = 256 * 1024;

/**
 * The cloud as one pure state machine: handshake, admission, ordering, cancellation, and passes over all
 * sessions. Events in, effects out; it knows no socket, no clock and no model.
 */
export class RequestHandler {
  private readonly target: TargetInfo;
  private readonly server: string;
  private readonly limits: CloudLimits;
  private readonly tokenizer: Uint8Array | null;
  private readonly grammars: Grammars | null;
  private readonly table: SessionTable;
  /** until when each connection has to say hello; null: it has */
  private readonly helloByMs = new Map<number, number | null>();
  /** what is agreed with each edge that has said hello */
  private readonly peers = new Map<number, Peer>();
  private nextKey = 1;
  private closing = false;

  /**
   * @param server what the welcome says of this software, for example "picospec/0.1.0"
   * @param tokenizer what an edge without one gets; null: it has to bring its own
   * @param grammars over the target's vocabulary; null: no session can have one
   */
  constructor(
    target: TargetInfo,
    server: string,
    limits: CloudLimits,
    tokenizer: Uint8Array | null = null,
    grammars: Grammars | null = null,
  ) {
    this.grammars = grammars;
    this.tokenizer = tokenizer;
    this.target = target;
    this.server = server;
    this.limits = limits;
    this.table = new SessionTable(limits);
  }

  get openSessions(): number {
    return this.table.size;
  }

  handle(event: CloudEvent, nowMs: number): CloudEffect[] {
    const out: CloudEffect[] = [];
    this.react(event, nowMs, out);
    this.table.schedule(nowMs, this.nextHelloMs(), out);
    return out;
  }

  private react(event: CloudEvent, nowMs: number, out: CloudEffect[]): void {
    const { table } = this;
    switch (event.kind) {
      case "connected":
        this.connected(event.connection, nowMs, out);
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
      case "passEnded":
        table.passEnded(event.outcomes, nowMs, out);
        break;
      case "passFailed":
        table.passFailed(event.message, out);
        break;
      case "answered":
        table.runKey(event.session, out, (session, effects) =>
          session.answered(event.answer, nowMs, effects),
        );
        break;
      case "answerFailed":
        table.runKey(event.session, out, () => {
          throw new ProtocolError("model_output", event.message);
        });
        break;
      case "wake":
        table.endSilent(nowMs, out);
        this.endMute(nowMs, out);
        break;
      case "shutdown":
        this.closing = true;
        for (const id of [...this.helloByMs.keys()]) {
          this.failConnection(id, new ProtocolError("shutting_down", "the cloud is shutting down"), out);
        }
        break;
      default:
        unreachable(event);
    }
  }

  private connected(id: number, nowMs: number, out: CloudEffect[]): void {
    this.helloByMs.set(id, nowMs + this.limits.helloWithinMs);
    if (this.closing) {
      this.failConnection(id, new ProtocolError("shutting_down", "the cloud is shutting down"), out);
    } else if (this.helloByMs.size > this.limits.connections) {
      const message = `all ${this.limits.connections} connections of this cloud are taken; try again later`;
      this.failConnection(id, new ProtocolError("server_full", message), out);
    }
  }

  private disconnected(id: number, out: CloudEffect[]): void {
    this.helloByMs.delete(id);
    this.peers.delete(id);
    for (const session of this.table.ofConnection(id)) {
      this.table.run(session, out, (effects) => session.end("failed", effects));
    }
    this.table.forget(id);
  }

  private nextHelloMs(): number {
    let earliest = Number.POSITIVE_INFINITY;
    for (const byMs of this.helloByMs.values()) if (byMs !== null) earliest = Math.min(earliest, byMs);
    return earliest;
  }

  /** Cuts off connections that were opened and say nothing. */
  private endMute(nowMs: number, out: CloudEffect[]): void {
    for (const [id, byMs] of [...this.helloByMs]) {
      if (byMs === null || nowMs < byMs) continue;
      const message = `no hello came within ${this.limits.helloWithinMs / 1000} s`;
      this.failConnection(id, new ProtocolError("slow_peer", message), out);
    }
  }

  /** What cannot be read costs the connection; settings that cannot be had, only the session they were for. */
  private garbage(id: number, error: ProtocolError, out: CloudEffect[]): void {
    const { session } = error;
    if (session === 0 || this.helloByMs.get(id) !== null || this.table.find(id, session)) {
      this.failConnection(id, error, out);
    } else out.push({ kind: "send", connection: id, frame: errorFrame(session, error) });
  }

  /** Tells an edge what it did wrong and lets go of it. */
  private failConnection(id: number, error: ProtocolError, out: CloudEffect[]): void {
    if (!this.helloByMs.has(id)) return;
    this.disconnected(id, out);
    out.push({ kind: "send", connection: id, frame: errorFrame(0, error) });
    out.push({ kind: "close", connection: id });
  }

  private frame(id: number, frame: Frame, nowMs: number, out: CloudEffect[]): void {
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
        break; // nobody asked, and it does no harm
      case "tokenizerRequest":
        this.sendTokenizer(id, out);
        break;
      case "tokenizer":
      case "welcome":
      case "verdict":
      case "witnesses":
      case "done":
      case "error":
        this.failConnection(id, new ProtocolError("unexpected_frame", `an edge sends no ${frame.type}`), out);
        break;
      default:
        unreachable(frame);
    }
  }

  private greet(id: number, frame: HelloFrame, out: CloudEffect[]): void {
    const { target } = this;
    const peer = peerOf(frame);
    const welcome = this.welcomeFor(peer);
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

  private welcomeFor(peer: Peer): WelcomeFrame {
    const { server, limits } = this;
    const { identity, ...rest } = this.target;
    const target = identity && peer.features.has("identity") ? { ...rest, identity } : rest;
    const sessions = Math.min(limits.sessions, limits.sessionsPerConnection);
    const growth = { features: FEATURES, limits: { ...OWN_LIMITS, sessions } };
    return { type: "welcome", protocol: PROTOCOL_VERSION, server, target, ...growth };
  }

  private sendTokenizer(id: number, out: CloudEffect[]): void {
    const most = this.peers.get(id)!.limits.frameBytes;
    const frame = this.tokenizer && ({ type: "tokenizer", file: this.tokenizer } as const);
    if (frame && frameBytes(frame) <= most) {
      out.push({ kind: "send", connection: id, frame });
      return;
    }
    const why = frame ? `sends no frame over the edge's ${most} bytes` : "gives no tokenizer away";
    const message = `this cloud ${why}; bring a model of the target's family`;
    this.failConnection(id, new ProtocolError("no_tokenizer", message), out);
  }

  private open(id: number, frame: OpenFrame, nowMs: number, out: CloudEffect[]): void {
    if (frame.session === 0 || this.table.find(id, frame.session)) {
      // An error with this number would speak of the session that has it.
      const message = `session ${frame.session} cannot be opened (again)`;
      this.failConnection(id, new ProtocolError("unexpected_frame", message), out);
      return;
    }
    const { tokens, settings, secret, resume } = frame;
    const orphan = secret === null ? undefined : this.table.withSecret(secret);
    const refusal = this.refusal(id, frame, orphan);
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
    if (orphan) this.table.run(orphan, out, (effects) => orphan.end("failed", effects));
    const { contextTokens, endTokens, vocabularySize } = this.target;
    const rule: StopRule = {
      promptLength: resume?.promptTokens ?? tokens.length,
      maxTokens: settings.maxTokens,
      contextTokens,
      endTokens: new Set(endTokens),
    };
    const identity = {
      key: this.nextKey++,
      connection: id,
      id: frame.session,
      secret,
      epoch: resume?.epoch ?? 0,
    };
    const lineage = resume?.lineage ?? 0;
    const session = new CloudSession(
      identity,
      settings,
      tokens,
      rule,
      vocabularySize,
      lineage,
      nowMs,
      orphan?.pace ?? this.table.lastPace(id, settings.policy),
      grammar,
    );
    this.table.add(session);
    this.table.run(session, out, (effects) => session.start(effects));
  }

  /** @throws SettingError for a grammar that is none */
  private grammarFor(grammar: Grammar | undefined): GrammarMatcher | null {
    if (grammar === undefined) return null;
    if (!this.grammars) throw new SettingError("grammar", "this cloud knows no grammars: ask it without one");
    return this.grammars.matcher(grammar);
  }

  /** Why a session cannot be had; it costs the edge nothing else. */
  private refusal(id: number, frame: OpenFrame, orphan: CloudSession | undefined): ProtocolError | null {
    const { limits, target, table } = this;
    const { settings, tokens, resume } = frame;
    if (orphan && orphan.identity.epoch >= (resume?.epoch ?? 0)) {
      return new ProtocolError("superseded", "this session goes on over a newer link");
    }
    if (!settings.policy.target) return new ProtocolError("bad_setting", "this policy wants no cloud");
    const unsupported = peerProblem(frame, this.peers.get(id)!, target.vocabularySize);
    if (unsupported !== null) return new ProtocolError("unsupported", unsupported);
    if (table.size - (orphan ? 1 : 0) >= limits.sessions) {
      const message = `all ${limits.sessions} sessions of this cloud are taken; try again later`;
      return new ProtocolError("server_full", message);
    }
    if (table.ofConnection(id).length >= limits.sessionsPerConnection) {
      const message = `a connection has at most ${limits.sessionsPerConnection} sessions at a time`;
      return new ProtocolError("too_many_sessions", message);
    }
    if (tokens.length >= target.contextTokens) {
      const message = `the prompt has ${tokens.length} tokens, and the context of ${target.contextTokens} leaves no room for an answer; shorten the prompt`;
      return new ProtocolError("prompt_too_long", message);
    }
    const stranger = tokens.find((token) => token >= target.vocabularySize);
    if (stranger !== undefined) return new ProtocolError("bad_frame", `there is no token ${stranger}`);
    return null;
  }

  private route(
    id: number,
    frame: Extract<Frame, { type: "draft" | "witnessRequest" | "cancel" }>,
    nowMs: number,
    out: CloudEffect[],
  ): void {
    const session = this.table.find(id, frame.session);
    if (!session) return; // it ended while the frame was on its way
    this.table.run(session, out, (effects) => {
      if (frame.type === "draft") session.draft(frame, nowMs, effects);
      else if (frame.type === "witnessRequest") session.witnessRequest(frame, nowMs, effects);
      else session.end("cancelled", effects);
    });
  }
}

/** What a session would need that is not agreed with its edge; null: nothing. */
function peerProblem(frame: OpenFrame, { features, limits }: Peer, vocabularySize: number): string | null {
  const missing = usedFeatures(frame).find(({ feature }) => !features.has(feature));
  if (missing) {
    return `${missing.setting} needs the feature ${missing.feature}, which this edge and this cloud did not both list`;
  }
  // After a rejection an edge may ask for all of p.
  const rowBytes = frame.settings.policy.coupling === "gumbel" ? 0 : 4 * vocabularySize;
  const mostBytes = VERDICT_BYTES + rowBytes;
  if (mostBytes <= limits.frameBytes) return null;
  return `this edge accepts frames of ${limits.frameBytes} bytes, and this session may need ${mostBytes}; raise its frameBytes`;
}

function errorFrame(session: number, { code, message }: ProtocolError): Frame {
  // A message may quote what the peer sent, however long that is; the frame has its limit.
  return { type: "error", session, code, message: message.slice(0, MOST_MESSAGE_UNITS) };
}
