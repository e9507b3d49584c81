import type { TargetIdentity } from "../decoding/identity.ts";
import type { Peer } from "../protocol/features.ts";
import type { Frame, TargetInfo } from "../protocol/frame.ts";
import type { FrameLink } from "../protocol/link.ts";
import { ConnectionError } from "../transport/transport.ts";
import { assert } from "../util/assert.ts";
import type { CancelTimer, Clock } from "../util/clock.ts";
import { messageOf } from "../util/errors.ts";
import { guarded } from "../util/last-resort.ts";
import { CloudError, Connection, type Loss } from "./connection.ts";
import { Replicas } from "./core/replicas.ts";
import { Retries } from "./core/retries.ts";
import { targetDifference } from "./target-difference.ts";

/**
 * The links of an edge to one target, which one cloud serves or several: replicas. One link is current, and new sessions
 * are opened over it. Others are draining: their cloud has said goAway, and the sessions that run there may end there.
 *
 * | event                                    | what follows                                                       |
 * | ---------------------------------------- | ------------------------------------------------------------------ |
 * | welcome, by the target that was known    | the link is current: sessions without a link are resumed over it   |
 * | welcome, by another target               | that replica is excluded, as if it were not there                  |
 * | the current link is lost, or not made    | its sessions have no link; another is made after a wait, or all fail |
 * | goAway on the current link               | it is draining, and another link is made at once                   |
 * | a draining link is lost, or out of time  | its sessions have no link, and are resumed over the current one    |
 * | the last session of a draining link ends | that link is closed                                                |
 */

/** Makes a link anew, to the replica at this place in a list; tells once. */
export type Reconnect = (
  done: (error: Error | null, link: FrameLink | null) => void,
  replica: number,
) => void;

export interface LinksOptions {
  /** the edge's from here on; it closes it */
  readonly link: FrameLink;
  /** null: a link that broke stays broken */
  readonly reconnect: Reconnect | null;
  /** how long to try for a new link before giving up; time in which the cloud commits something does not count */
  readonly reconnectWithinMs: number;
  /** how many clouds serve the target; it may grow. Default: 1 */
  readonly replicas?: () => number;
  /** which of them the first link leads to. Default: 0 */
  readonly replica?: number;
  /** for the jitter of waits, [0, 1). Default: no jitter */
  readonly random?: () => number;
  /** that the clouds have to serve. Default: what the first one serves */
  readonly expected?: TargetInfo;
  /** of the drafter's tokenizer */
  readonly fingerprint: string;
  /** name and version of this software */
  readonly client: string;
  readonly clock: Clock;
  /**
   * The last resort: a fault of ours has thrown. It costs the session, or the link, that it happened in, and all else
   * goes on. Default: it is thrown to whoever brought the event, as tests want it
   */
  readonly failed?: (error: unknown) => void;
}

export interface LinksHandlers {
  /** something is expected of the cloud over this link */
  expects(link: Connection): boolean;
  /** there is a current link: for the first time, or again */
  up(target: TargetInfo, peer: Peer): void;
  /** a link takes no more sessions; those over it go on */
  draining(): void;
  /** this link is gone, and another is made, or there already */
  down(link: Connection): void;
  frame(link: Connection, frame: Frame, payloadBytes: number): void;
  /** the cloud behind this link is there; see `Connection` */
  watched(link: Connection): void;
  /** for good; nothing follows */
  failed(error: CloudError): void;
}

/** Tries for a new link: soon at first, then less and less often. */
const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 5_000;
/** A cloud may not put its edges off for longer than this. */
const LONGEST_PUT_OFF_MS = 60_000;
/** A link that was there so long while nothing was asked, and is lost, is no sign of trouble. */
const STEADY_MS = 60_000;
/** A cloud that says goAway ends the link itself; the edge does so a little later. */
const DRAIN_GRACE_MS = 2_000;
const LONGEST_DRAIN_MS = 600_000;
/** Each has a session at least: more than a cloud has any reason for. */
const MOST_DRAINING = 8;

/** What a cloud says for which another try, or another server, may do. */
const PASSING = new Set([
  ...["connection_lost", "unreachable", "shutting_down", "server_full", "slow_peer"],
  // It has not sent its tokenizer.
  "silent_cloud",
]);

/** Whether another try may do, by the code of the error that ended the last. */
export function isPassing(code: string): boolean {
  return PASSING.has(code);
}

export class Links {
  private readonly options: LinksOptions;
  private readonly handlers: LinksHandlers;
  private readonly retries: Retries;
  private readonly replicas: Replicas;
  private newest: Connection | null = null;
  /** which replica the newest link leads to, or the next one will */
  private place: number;
  private readonly drains = new Map<Connection, CancelTimer>();
  private target: TargetInfo | null;
  /** the last that a cloud told: one that tells none is taken for the same */
  private identity: TargetIdentity | null;
  /** links that were made or tried before any cloud has answered */
  private firstTries = 0;
  private ended = false;
  /** the next try */
  private cancelRetry: CancelTimer | null = null;

  constructor(options: LinksOptions, handlers: LinksHandlers) {
    const { reconnectWithinMs: withinMs, random = null, replica = 0, expected = null } = options;
    this.options = options;
    this.handlers = handlers;
    this.retries = new Retries({ firstMs: FIRST_RETRY_MS, longestMs: LONGEST_RETRY_MS, withinMs }, random);
    this.replicas = new Replicas(replica);
    this.place = replica;
    this.target = expected;
    this.identity = expected?.identity ?? null;
  }

  start(): void {
    this.take(this.options.link);
  }

  /** New sessions are opened over it; null: there is none that is up. */
  get current(): Connection | null {
    return this.newest?.isUp ? this.newest : null;
  }

  /** New sessions are opened over it once it is up. */
  isNewest(link: Connection): boolean {
    return link === this.newest;
  }

  /** All that are there, up or being greeted. */
  all(): readonly Connection[] {
    return [...this.drains.keys(), ...(this.newest ? [this.newest] : [])];
  }

  /** What is expected of the cloud has changed. A draining link of which nothing is expected is closed. */
  noteExpected(): void {
    for (const link of this.all()) {
      const something = this.handlers.expects(link);
      link.expect(something);
      if (something || !this.drains.has(link)) continue;
      this.forget(link);
      link.close();
    }
  }

  /** The cloud has committed something. */
  progressed(): void {
    this.retries.pause(this.options.clock.nowMs());
  }

  /** The cloud has finished what it was asked. */
  finished(link: Connection): void {
    if (link !== this.newest) return;
    this.retries.finished();
    this.replicas.served(this.place);
  }

  close(): void {
    this.ended = true;
    this.cancelRetry?.();
    this.cancelRetry = null;
    for (const link of this.all()) {
      this.forget(link);
      link.close();
    }
  }

  /**
   * @throws AssertionError
   */
  checkIntegrity(): void {
    const { ended, drains, newest, cancelRetry, handlers } = this;
    const links = this.all();
    for (const link of links) link.checkIntegrity(handlers.expects(link));
    assert(!ended || (links.length === 0 && !cancelRetry), "a link or a timer outlives its edge");
    assert(!newest || !cancelRetry, "another link is made beside the current one");
    assert(!newest?.isUp || this.target, "a link leads nowhere");
    assert(drains.size <= MOST_DRAINING, `${drains.size} links are draining`);
    for (const link of drains.keys()) assert(link.expects, "a draining link is kept for nothing");
  }

  private take(link: FrameLink): void {
    const { client, fingerprint, clock, failed = null } = this.options;
    const { place } = this;
    const connection: Connection = new Connection(
      { link, client, fingerprint, clock, failed },
      {
        up: (target, peer) => this.welcomed(connection, place, target, peer),
        frame: (frame, bytes) => this.handlers.frame(connection, frame, bytes),
        goAway: (withinMs) => this.drain(connection, withinMs),
        watched: () => this.handlers.watched(connection),
        lost: (loss) => this.lost(connection, loss),
      },
    );
    this.newest = connection;
    connection.start();
    this.noteExpected();
  }

  private welcomed(connection: Connection, place: number, target: TargetInfo, peer: Peer): void {
    const difference = this.target && targetDifference(this.target, this.identity, target);
    if (difference) {
      const reason = `the cloud came back with another target, ${target.name}: ${difference}. The text would not go on as it began; ask again`;
      this.forget(connection);
      connection.close(reason);
      this.refused(place, { code: "other_target", reason, retryAfterMs: 0 });
      return;
    }
    this.target = target;
    this.identity = target.identity ?? this.identity;
    this.handlers.up(target, peer);
    if (!connection.expects) this.retries.pause(this.options.clock.nowMs());
  }

  private drain(connection: Connection, withinMs: number): void {
    if (connection !== this.newest) return;
    const { clock, reconnect } = this.options;
    if (!reconnect) return; // its sessions have nowhere else to go: they end with the link
    const endsAtMs = clock.nowMs() + Math.min(withinMs, LONGEST_DRAIN_MS) + DRAIN_GRACE_MS;
    const cancelEnd = clock.schedule(endsAtMs, () => this.guarded(() => this.drop(connection)));
    this.newest = null;
    this.drains.set(connection, cancelEnd);
    const oldest = [...this.drains.keys()][0]!;
    if (this.drains.size > MOST_DRAINING) this.drop(oldest);
    this.replicas.lost(this.place);
    this.noteExpected();
    this.handlers.draining();
    // Said again and again by each that welcomes, it is a try like any other.
    const waitMs = this.retries.lost(clock.nowMs());
    this.retryAfter(waitMs ?? LONGEST_RETRY_MS, "the cloud is being drained");
  }

  /** A draining link is out of time: its sessions go on elsewhere. */
  private drop(connection: Connection): void {
    const reason = "the cloud was drained";
    connection.close(reason);
    this.lost(connection, { code: "shutting_down", reason, retryAfterMs: 0 });
  }

  private lost(connection: Connection, loss: Loss): void {
    const { place } = this;
    if (this.drains.has(connection)) {
      this.forget(connection);
      this.handlers.down(connection);
      return;
    }
    this.forget(connection);
    if (connection.upForMs > STEADY_MS && !connection.expects) this.retries.finished();
    if (isPassing(loss.code)) this.again(loss, connection);
    else this.refused(place, loss, connection);
  }

  /** This replica is of no use. */
  private refused(place: number, loss: Loss, connection: Connection | null = null): void {
    const { replicas: count = () => 1 } = this.options;
    const others = this.replicas.exclude(place, count());
    if (loss.code === "internal" || !others) this.fail(loss);
    else this.again(loss, connection);
  }

  /** Another link may do. @param connection that was lost; null: none was made */
  private again(loss: Loss, connection: Connection | null): void {
    const { clock, reconnect, replicas: count = () => 1, expected = null } = this.options;
    this.replicas.lost(this.place);
    const waitMs = this.retries.lost(clock.nowMs(), Math.min(loss.retryAfterMs, LONGEST_PUT_OFF_MS));
    // A cloud that was never there is not waited for: the address may be wrong.
    const known = this.target !== expected || ++this.firstTries < count();
    // What runs over a draining link is not given up.
    const inTime = waitMs !== null || this.drains.size > 0;
    if (!reconnect || !known || !inTime) {
      this.fail(loss);
      return;
    }
    this.retryAfter(waitMs ?? LONGEST_RETRY_MS, loss.reason);
    if (connection) this.handlers.down(connection);
  }

  private retryAfter(waitMs: number, reason: string): void {
    const { clock } = this.options;
    this.cancelRetry = clock.schedule(clock.nowMs() + waitMs, () => {
      this.cancelRetry = null;
      this.guarded(() => this.tryAgain(reason));
    });
  }

  private tryAgain(reason: string): void {
    const { reconnect, replicas: count = () => 1 } = this.options;
    const place = this.replicas.next(count());
    assert(reconnect && place !== null, "there is another cloud to try");
    this.place = place;
    reconnect(
      (error, link) =>
        this.guarded(() => {
          if (this.ended) link?.close();
          else if (link) this.take(link);
          else this.notMade(place, error, reason);
        }),
      place,
    );
  }

  /** @param before why there is no link */
  private notMade(place: number, error: Error | null, before: string): void {
    const reason = error ? messageOf(error) : before;
    const refusal = error instanceof ConnectionError && !isPassing(error.code) ? error.code : null;
    if (refusal === null) this.again({ code: "connection_lost", reason, retryAfterMs: 0 }, null);
    else this.refused(place, { code: refusal, reason, retryAfterMs: 0 });
  }

  private fail({ code, reason }: Loss): void {
    if (this.ended) return;
    this.close();
    this.handlers.failed(new CloudError(code, reason));
  }

  /** @param act what may throw by a fault of ours */
  private guarded(act: () => void): void {
    const reason = "PicoSpec itself has failed over its links; ask again, and please report it";
    guarded(this.options.failed, act, () => this.fail({ code: "internal", reason, retryAfterMs: 0 }));
  }

  private forget(connection: Connection): void {
    this.drains.get(connection)?.();
    this.drains.delete(connection);
    if (this.newest === connection) this.newest = null;
  }
}
