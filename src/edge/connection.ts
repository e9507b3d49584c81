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
import { guarded } from "../util/last-resort.ts";

/** The cloud refused the edge, went away, or broke the protocol. `code` is the cloud's own where it gave one. */
export class CloudError extends PicoSpecError {
  override readonly name = "CloudError";
  /** another try before this many ms is in vain; undefined: not known */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: string,
    message: string,
    options: { cause?: unknown; retryAfterMs?: number | undefined } = {},
  ) {
    super(code, message, options);
    this.retryAfterMs = options.retryAfterMs;
  }
}

export interface ConnectionOptions {
  /** the connection's from here on; it closes it */
  readonly link: FrameLink;
  /** of the drafter's tokenizer */
  readonly fingerprint: string;
  /** name and version of this software */
  readonly client: string;
  readonly clock: Clock;
  /** the last resort, for a fault of ours: it costs this link. null: it is thrown to whoever brought the event */
  readonly failed: ((error: unknown) => void) | null;
}

/** Why a link is of no use any more. */
export interface Loss {
  /** the cloud's own where it gave one */
  readonly code: string;
  readonly reason: string;
  /** another try before this many ms is in vain; 0: not known */
  readonly retryAfterMs: number;
}

export interface ConnectionHandlers {
  /** the cloud has accepted the edge */
  up(target: TargetInfo, peer: Peer): void;
  frame(frame: Frame, payloadBytes: number): void;
  /** the cloud will end the link within so long, and takes no more sessions */
  goAway(withinMs: number): void;
  /** from time to time while something is expected of the cloud, which is there */
  watched(): void;
  /** once, last: the link is closed */
  lost(loss: Loss): void;
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

/**
 * The edge's end of one link to a cloud: handshake, pings, silence. It calls back and is no machine with effects: nearly
 * all that it does is a frame or a timer, and `send` has to say its bytes at once.
 */
export class Connection {
  private readonly options: ConnectionOptions;
  private readonly handlers: ConnectionHandlers;
  /** what is agreed with the cloud; null: it has not answered yet */
  private peer: Peer | null = null;
  private ended = false;
  private expecting = false;
  private lastHeardMs: number;
  private greetedAtMs = -1;
  private roundTripMs = -1;
  /** what `ping` has out, oldest first */
  private pings: AskedPing[] = [];
  /** the one timer: handshake or silence */
  private cancelTimer: CancelTimer | null = null;

  constructor(options: ConnectionOptions, handlers: ConnectionHandlers) {
    this.options = options;
    this.handlers = handlers;
    this.lastHeardMs = options.clock.nowMs();
  }

  /** Says hello. */
  start(): void {
    const { link, client, fingerprint } = this.options;
    this.timer(HANDSHAKE_TIMEOUT_MS, () =>
      this.lose("unreachable", "the cloud does not answer; is it a PicoSpec cloud?"),
    );
    link.start({
      frame: (frame, bytes) => this.guarded(() => this.receive(frame, bytes)),
      garbage: (error) => this.guarded(() => this.lose("bad_frame", messageOf(error))),
      closed: (reason) => this.guarded(() => this.lose("connection_lost", reason)),
    });
    link.send({
      type: "hello",
      protocol: PROTOCOL_VERSION,
      ...{ client, fingerprint },
      features: FEATURES,
      limits: { frameBytes: OWN_LIMITS.frameBytes },
    });
  }

  /** The cloud can be spoken to. */
  get isUp(): boolean {
    return this.peer !== null && !this.ended;
  }

  /** Something is expected of the cloud. */
  get expects(): boolean {
    return this.expecting;
  }

  /** Since the cloud accepted the edge, ms; 0: it has not. */
  get upForMs(): number {
    return this.greetedAtMs < 0 ? 0 : this.options.clock.nowMs() - this.greetedAtMs;
  }

  /** Latest round trip of a ping, ms; -1 before the first. */
  get rttMs(): number {
    return this.roundTripMs;
  }

  /** @returns payload bytes; 0 where the cloud has not answered yet, or the link is gone: what was said is lost */
  send(frame: Frame): number {
    return this.isUp ? this.options.link.send(this.readable(frame)) : 0;
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
    if (!this.isUp) return;
    this.lastHeardMs = this.options.clock.nowMs();
    this.watch();
  }

  /** Asks for a pong: see `RemoteOpener.ping`. */
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

  /** Lets go of the link; nothing is told of it. */
  close(reason = "this connection was closed"): void {
    if (this.ended) return;
    this.ended = true;
    this.stopTimer();
    this.options.link.close();
    const { pings } = this;
    this.pings = [];
    for (const { done } of pings) done(new CloudError("connection_lost", reason), 0);
  }

  /**
   * @param expected something is expected of the cloud
   * @throws AssertionError
   */
  checkIntegrity(expected: boolean): void {
    const { ended, pings, expecting, isUp, cancelTimer } = this;
    assert(!ended, "a connection that is over is kept");
    assert(
      expecting === expected,
      expected ? "silence would go unnoticed" : "the cloud is watched for nothing",
    );
    assert(pings.length <= MOST_PINGS, `${pings.length} pings are out`);
    assert(isUp || pings.length === 0, "pings wait for a link that is gone");
    assert(isUp || cancelTimer, "a cloud that does not answer would be waited for");
    assert(!isUp || !expecting || cancelTimer, "silence would go unnoticed");
    assert(!isUp || expecting || !cancelTimer, "the cloud is watched for nothing");
  }

  private receive(frame: Frame, payloadBytes: number): void {
    // What it still says after its end is of no account.
    if (this.ended) return;
    this.lastHeardMs = this.options.clock.nowMs();
    if (frame.type === "welcome") this.welcomed(frame);
    else if (frame.type === "pong") this.ponged(frame);
    else if (frame.type === "error" && frame.session === 0) {
      this.lose(frame.code, frame.message, frame.retryAfterMs);
    } else if (!this.isUp) {
      this.lose("unexpected_frame", `a cloud begins with welcome, not ${frame.type}`);
    } else if (frame.type === "goAway") this.handlers.goAway(frame.withinMs);
    else this.handlers.frame(frame, payloadBytes);
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
    if (this.peer) return;
    const { protocol, target } = frame;
    if (protocol !== PROTOCOL_VERSION) {
      const message = `the cloud speaks protocol ${protocol}, and this edge ${PROTOCOL_VERSION}`;
      this.lose("protocol_version", message);
      return;
    }
    this.peer = peerOf(frame);
    this.greetedAtMs = this.options.clock.nowMs();
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
      this.lose("connection_lost", `the cloud has said nothing for ${Math.round(silentMs / 1000)} s`);
      return;
    }
    this.send({ type: "ping", sentAtMs: clock.nowMs(), paddingBytes: 0, echo: false });
    this.timer(PING_MS, () => {
      this.watch();
      if (this.isUp) this.handlers.watched();
    });
  }

  private lose(code: string, reason: string, retryAfterMs = 0): void {
    if (this.ended) return;
    this.close(reason);
    this.handlers.lost({ code, reason, retryAfterMs });
  }

  /** @param act what may throw by a fault of ours */
  private guarded(act: () => void): void {
    const reason = "PicoSpec itself has failed over this link; ask again, and please report it";
    guarded(this.options.failed, act, () => this.lose("internal", reason));
  }

  private timer(afterMs: number, callback: () => void): void {
    const { clock } = this.options;
    this.stopTimer();
    this.cancelTimer = clock.schedule(clock.nowMs() + afterMs, () => {
      this.cancelTimer = null;
      this.guarded(callback);
    });
  }

  private stopTimer(): void {
    this.cancelTimer?.();
    this.cancelTimer = null;
  }
}
