import { identityDifference, type TargetIdentity } from "../decoding/identity.ts";
import { FEATURES, OWN_LIMITS, type Peer, peerOf } from "../protocol/features.ts";
import {
  type Frame,
  type PingFrame,
  PROTOCOL_VERSION,
  type TargetInfo,
  type WelcomeFrame,
} from "../protocol/frame.ts";
import type { FrameLink } from "../protocol/link.ts";
import { assert } from "../util/assert.ts";
import type { CancelTimer, Clock } from "../util/clock.ts";
import { messageOf, PicoSpecError } from "../util/errors.ts";

/** The cloud refused the edge, went away, or broke the protocol. `code` is the cloud's own where it gave one. */
export class CloudError extends PicoSpecError {
  override readonly name = "CloudError";
}

/** Makes a link anew; tells once. */
export type Reconnect = (done: (error: Error | null, link: FrameLink | null) => void) => void;

export interface ConnectionOptions {
  /** the connection's from here on; it closes it */
  readonly link: FrameLink;
  /** null: a link that broke stays broken */
  readonly reconnect: Reconnect | null;
  /** how long to try for a new link before giving up */
  readonly reconnectWithinMs: number;
  /** of the drafter's tokenizer */
  readonly fingerprint: string;
  /** name and version of this software */
  readonly client: string;
  readonly clock: Clock;
}

export interface ConnectionHandlers {
  /** the cloud has accepted the edge: for the first time, or again */
  up(target: TargetInfo, peer: Peer): void;
  /** the link broke and is being made anew */
  down(): void;
  frame(frame: Frame, payloadBytes: number): void;
  /** for good; nothing follows */
  failed(error: CloudError): void;
}

/** @param roundTripMs meaningless with an error */
export type PingDone = (error: CloudError | null, roundTripMs: number) => void;

interface AskedPing {
  readonly sentAtMs: number;
  /** padding of the pong it waits for */
  readonly backBytes: number;
  readonly done: PingDone;
}

/** Asked for and out at the same time. */
const MOST_PINGS = 64;
const HANDSHAKE_TIMEOUT_MS = 15_000;
/** How often the cloud is asked whether it is there, while something is expected of it. */
const PING_MS = 5_000;
const SILENT_AFTER_MS = 20_000;
/** Tries for a new link: soon at first, then less and less often. */
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 5_000;

/** What a cloud says for which another try, or another server, may do. */
const PASSING = new Set(["connection_lost", "unreachable", "shutting_down", "server_full", "slow_peer"]);

/**
 * The edge's end of the link to its cloud: handshake, pings, and a new link where one broke. It calls back and is no
 * machine with effects: nearly all that it does is a frame, a timer or a link, and `send` has to say its bytes at once.
 */
export class Connection {
  private readonly options: ConnectionOptions;
  private readonly handlers: ConnectionHandlers;
  private link: FrameLink | null = null;
  private target: TargetInfo | null = null;
  /** what is agreed with the cloud; null: it has not answered yet */
  private peer: Peer | null = null;
  /** the last that a cloud told: one that tells none is taken for the same */
  private identity: TargetIdentity | null = null;
  /** the cloud has answered the hello on this link */
  private greeted = false;
  private ended = false;
  private expecting = false;
  private lastHeardMs = 0;
  private roundTripMs = -1;
  /** since when there is no link; -1: there is one */
  private downSinceMs = -1;
  private tries = 0;
  /** what `ping` has out, oldest first */
  private pings: AskedPing[] = [];
  /** the one timer: handshake, silence or the next try */
  private cancelTimer: CancelTimer | null = null;

  constructor(options: ConnectionOptions, handlers: ConnectionHandlers) {
    this.options = options;
    this.handlers = handlers;
    this.take(options.link);
  }

  /** The cloud can be spoken to. */
  get isUp(): boolean {
    return this.greeted && !this.ended;
  }

  /** Latest round trip of a ping, ms; -1 before the first. */
  get rttMs(): number {
    return this.roundTripMs;
  }

  /** @returns payload bytes; 0 where there is no link, and what was said is lost */
  send(frame: Frame): number {
    return this.greeted && this.link ? this.link.send(this.readable(frame)) : 0;
  }

  /** The frame as this cloud can read it. */
  private readable(frame: Frame): Frame {
    if (frame.type !== "open" || !frame.settings.grammar) return frame;
    return this.peer?.features.has("grammar-kinds") ? frame : { ...frame, plainGrammar: true };
  }

  /** Whether something is expected of the cloud: silence only counts then. */
  expect(something: boolean): void {
    if (this.expecting === something) return;
    this.expecting = something;
    if (!this.greeted) return;
    this.lastHeardMs = this.options.clock.nowMs();
    this.watch();
  }

  /**
   * Asks for a pong, with padding to measure bandwidth by.
   * @param echo the padding comes back as well
   * @param done called once, with the round trip in ms, or with `connection_lost` where there is no link or it breaks
   * first, and `too_many_pings` where 64 are out
   */
  ping(paddingBytes: number, echo: boolean, done: PingDone): void {
    if (!this.isUp) done(new CloudError("connection_lost", "there is no link to the cloud"), 0);
    else if (this.pings.length === MOST_PINGS) {
      done(new CloudError("too_many_pings", `${MOST_PINGS} pings are out: wait for one of them`), 0);
    } else {
      const sentAtMs = this.options.clock.nowMs();
      this.pings.push({ sentAtMs, backBytes: echo ? paddingBytes : 0, done });
      this.send({ type: "ping", sentAtMs, paddingBytes, echo });
    }
  }

  close(): void {
    this.ended = true;
    this.stopTimer();
    this.link?.close();
    this.dropPings("this connection was closed");
  }

  /**
   * @param expected something is expected of the cloud
   * @throws AssertionError
   */
  checkIntegrity(expected: boolean): void {
    const { ended, pings, expecting, isUp, cancelTimer } = this;
    assert(
      expecting === expected,
      expected ? "silence would go unnoticed" : "the cloud is watched for nothing",
    );
    assert(pings.length <= MOST_PINGS, `${pings.length} pings are out`);
    assert(isUp || pings.length === 0, "pings wait for a link that is gone");
    assert(!isUp || (this.link !== null && this.target !== null), "there is no link, or it leads nowhere");
    assert(!(ended && cancelTimer), "a timer outlives its connection");
    assert(!isUp || !expecting || cancelTimer, "silence would go unnoticed");
    assert(!isUp || expecting || !cancelTimer, "the cloud is watched for nothing");
  }

  private dropPings(reason: string): void {
    const { pings } = this;
    this.pings = [];
    for (const { done } of pings) done(new CloudError("connection_lost", reason), 0);
  }

  private take(link: FrameLink): void {
    const { clock, client, fingerprint } = this.options;
    this.link = link;
    this.greeted = false;
    this.lastHeardMs = clock.nowMs();
    this.timer(HANDSHAKE_TIMEOUT_MS, () =>
      this.lost("unreachable", "the cloud does not answer; is it a PicoSpec cloud?"),
    );
    // What an earlier link still says is of no account.
    const current = () => this.link === link && !this.ended;
    link.start({
      frame: (frame, bytes) => current() && this.receive(frame, bytes),
      garbage: (error) => current() && this.fail("bad_frame", messageOf(error)),
      closed: (reason) => current() && this.lost("connection_lost", reason),
    });
    link.send({
      type: "hello",
      protocol: PROTOCOL_VERSION,
      ...{ client, fingerprint },
      features: FEATURES,
      limits: { frameBytes: OWN_LIMITS.frameBytes },
    });
  }

  private receive(frame: Frame, payloadBytes: number): void {
    this.lastHeardMs = this.options.clock.nowMs();
    if (frame.type === "welcome") this.welcomed(frame);
    else if (frame.type === "pong") this.ponged(frame);
    else if (frame.type === "error" && frame.session === 0) this.lost(frame.code, frame.message);
    else if (this.greeted) this.handlers.frame(frame, payloadBytes);
    else this.fail("unexpected_frame", `a cloud begins with welcome, not ${frame.type}`);
  }

  private ponged({ sentAtMs, paddingBytes }: PingFrame): void {
    const roundTripMs = this.lastHeardMs - sentAtMs;
    // Pongs come in order, so among those that were sent in one moment it is the oldest.
    const place = this.pings.findIndex(
      (ping) => ping.sentAtMs === sentAtMs && ping.backBytes === paddingBytes,
    );
    if (place >= 0) this.pings.splice(place, 1)[0]!.done(null, roundTripMs);
    else if (paddingBytes === 0) this.roundTripMs = roundTripMs;
  }

  private welcomed(frame: WelcomeFrame): void {
    if (this.greeted) return;
    const { protocol, target } = frame;
    if (protocol !== PROTOCOL_VERSION) {
      this.fail(
        "protocol_version",
        `the cloud speaks protocol ${protocol}, and this edge ${PROTOCOL_VERSION}`,
      );
      return;
    }
    const difference = this.target && targetDifference(this.target, this.identity, target);
    if (difference) {
      const message = `the cloud came back with another target, ${target.name}: ${difference}. The text would not go on as it began; ask again`;
      this.fail("other_target", message);
      return;
    }
    this.peer = peerOf(frame);
    this.target = target;
    this.identity = target.identity ?? this.identity;
    this.greeted = true;
    this.downSinceMs = -1;
    this.tries = 0;
    this.watch();
    this.handlers.up(target, this.peer);
  }

  /** Asks the cloud from time to time whether it is there; a link can die without a word. */
  private watch(): void {
    const { clock } = this.options;
    this.stopTimer();
    if (!this.expecting) return;
    const silentMs = clock.nowMs() - this.lastHeardMs;
    if (silentMs > SILENT_AFTER_MS) {
      this.lost("connection_lost", `the cloud has said nothing for ${Math.round(silentMs / 1000)} s`);
      return;
    }
    this.send({ type: "ping", sentAtMs: clock.nowMs(), paddingBytes: 0, echo: false });
    this.timer(PING_MS, () => this.watch());
  }

  /** The link is of no use any more: another one may be. */
  private lost(code: string, reason: string): void {
    const { clock, reconnect, reconnectWithinMs } = this.options;
    this.link?.close();
    this.link = null;
    const wasUp = this.greeted;
    this.greeted = false;
    this.stopTimer();
    this.dropPings(reason);
    if (this.downSinceMs < 0) this.downSinceMs = clock.nowMs();
    const waitMs = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.tries++);
    const tooLate = clock.nowMs() + waitMs > this.downSinceMs + reconnectWithinMs;
    // A cloud that was never there is not waited for: the address may be wrong.
    if (!reconnect || !this.target || !PASSING.has(code) || tooLate) {
      this.fail(code, reason);
      return;
    }
    this.timer(waitMs, () => this.tryAgain(reconnect, reason));
    if (wasUp) this.handlers.down();
  }

  private tryAgain(reconnect: Reconnect, reason: string): void {
    reconnect((error, link) => {
      if (this.ended) link?.close();
      else if (link) this.take(link);
      else this.lost("connection_lost", error ? messageOf(error) : reason);
    });
  }

  private fail(code: string, message: string): void {
    if (this.ended) return;
    this.close();
    this.handlers.failed(new CloudError(code, message));
  }

  private timer(afterMs: number, callback: () => void): void {
    const { clock } = this.options;
    this.stopTimer();
    this.cancelTimer = clock.schedule(clock.nowMs() + afterMs, () => {
      this.cancelTimer = null;
      callback();
    });
  }

  private stopTimer(): void {
    this.cancelTimer?.();
    this.cancelTimer = null;
  }
}

/**
 * What differs between the target that answered before and the one that does now, in words; null: nothing that is known.
 * @param identity of the earlier; null: no cloud told one
 */
function targetDifference(
  before: TargetInfo,
  identity: TargetIdentity | null,
  now: TargetInfo,
): string | null {
  if (before.fingerprint !== now.fingerprint)
    return `tokenizer (${now.fingerprint}, before: ${before.fingerprint})`;
  if (before.vocabularySize !== now.vocabularySize) {
    return `vocabulary (${now.vocabularySize} tokens, before: ${before.vocabularySize})`;
  }
  if (before.contextTokens !== now.contextTokens) {
    return `context (${now.contextTokens} tokens, before: ${before.contextTokens})`;
  }
  if (before.endTokens.join() !== now.endTokens.join()) {
    return `end tokens (${now.endTokens.join(" ")}, before: ${before.endTokens.join(" ")})`;
  }
  return identity && now.identity ? identityDifference(identity, now.identity) : null;
}
