import { ConnectionError } from "../transport/transport.ts";
import { assert } from "../util/assert.ts";
import type { CancelTimer, Clock } from "../util/clock.ts";
import { PicoSpecError } from "../util/errors.ts";
import { Retries } from "./core/retries.ts";
import { isPassing } from "./links.ts";
import type { RemoteOpener } from "./opener.ts";

/** Keeps an edge connected: makes an opener, and another when that one is gone. Also before its cloud was ever there. */

export interface KeeperOptions {
  /**
   * Connects once. The keeper closes what it gets.
   * @param changed to be called when the opener is up, down or gone
   */
  readonly open: (changed: () => void) => Promise<RemoteOpener>;
  readonly clock: Clock;
  /** for the jitter of waits, [0, 1); null: no jitter */
  readonly random: (() => number) | null;
  /** what the cloud's state has changed to. Default: not told */
  readonly changed?: (state: CloudState) => void;
}

/** How the cloud is, for who asks. */
export interface CloudState {
  readonly up: boolean;
  /** why it is down, where that is known */
  readonly error: PicoSpecError | null;
}

interface Waiter {
  readonly untilMs: number;
  readonly resolve: (opener: RemoteOpener) => void;
  readonly reject: (error: Error) => void;
  cancelTimer: CancelTimer | null;
}

/** Between two tries by oneself. A cloud that refuses (a wrong key, another protocol) is asked less often. */
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 10_000;
const REFUSED_RETRY_MS = 60_000;

/** A first try may go on for so long past the time that its waiter has: it tells why. */
const LAST_TRY_MS = 30_000;

const AWAY = "the cloud is not there yet";
const SLOW = "the cloud has not let this edge in yet: ask again later, or look whether the cloud is well";

export class Keeper {
  private readonly options: KeeperOptions;
  private readonly retries: Retries;
  private opener: RemoteOpener | null = null;
  private error: PicoSpecError | null = null;
  private readonly waiters = new Set<Waiter>();
  /** it tries by itself, also while no answer waits */
  private always = false;
  private opening = false;
  /** when the last try began */
  private triedMs = Number.NEGATIVE_INFINITY;
  /** of the retry that is due; only with `cancelRetry` */
  private retryAtMs = 0;
  private closed = false;
  private told: CloudState | null = null;
  /** links of openers before the latest */
  private earlier = 0;
  private cancelRetry: CancelTimer | null = null;

  constructor(options: KeeperOptions) {
    const limits = {
      firstMs: FIRST_RETRY_MS,
      longestMs: LONGEST_RETRY_MS,
      withinMs: Number.POSITIVE_INFINITY,
    };
    this.options = options;
    this.retries = new Retries(limits, options.random);
  }

  /** The newest opener, up or not: what is known of the target. null: there was none yet, or it was dropped */
  get latest(): RemoteOpener | null {
    return this.opener;
  }

  /** New sessions can be opened at once; null: the cloud is down. */
  get up(): RemoteOpener | null {
    return this.opener?.isUp ? this.opener : null;
  }

  /** Links that were made over openers before the latest. */
  get earlierLinks(): number {
    return this.earlier;
  }

  get state(): CloudState {
    return { up: this.up !== null, error: this.up ? null : this.error };
  }

  /** Tries by itself from now on, until it is closed. */
  start(): void {
    this.always = true;
    this.tryNow();
  }

  /** Takes an opener over that was made elsewhere, with this as its `changed`. */
  adopt(opener: RemoteOpener): void {
    assert(this.opener === null && !this.opening, "there is an opener already");
    this.opener = opener;
    this.noteChanged();
  }

  /** To be called when the opener is up, down or gone. */
  readonly noteChanged = (): void => {
    const { opener } = this;
    if (this.closed) return;
    if (opener?.gone) {
      this.error = opener.failed;
      if (opener.finishedAnswers > 0) this.retries.finished();
      // A cloud that welcomes and drops is not dialled at once, again and again.
      if (this.always) this.retryLater(false);
    }
    this.tell();
  };

  /**
   * An opener that is not gone. Where there is none the cloud is tried: at least once, and again for so long.
   * @throws why there is none: ConnectionError, CloudError
   */
  wait(withinMs: number): Promise<RemoteOpener> {
    const { clock } = this.options;
    if (this.closed)
      return Promise.reject(new ConnectionError("closed", "this edge was closed; make another"));
    if (this.opener && !this.opener.gone) return Promise.resolve(this.opener);
    const { error } = this;
    // A cloud that refuses will not think better of it while a question waits.
    if (this.cancelRetry && error && !isPassing(error.code)) return Promise.reject(error);
    return new Promise((resolve, reject) => {
      const untilMs = clock.nowMs() + withinMs;
      const waiter: Waiter = { untilMs, resolve, reject, cancelTimer: null };
      this.waiters.add(waiter);
      // Its first try is not cut short.
      if (withinMs > 0 && Number.isFinite(withinMs)) {
        waiter.cancelTimer = clock.schedule(untilMs, () => this.outOfTime(waiter));
      }
      if (this.cancelRetry) this.trySoon();
      else this.tryNow();
    });
  }

  /** Gives up an opener that is of no use any more. */
  drop(): void {
    const { opener } = this;
    if (opener) this.earlier += opener.reconnects + 1;
    this.opener = null;
    opener?.close();
    this.tell();
    if (this.always) this.tryNow();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.cancelRetry?.();
    this.cancelRetry = null;
    this.opener?.close();
    this.rejectAll(() => true, new ConnectionError("closed", "this edge was closed; make another"));
  }

  private tryNow(): void {
    if (this.opening || this.closed || (this.opener && !this.opener.gone)) return;
    this.cancelRetry?.();
    this.cancelRetry = null;
    this.opening = true;
    this.triedMs = this.options.clock.nowMs();
    void this.options.open(this.noteChanged).then(
      (opener) => this.opened(opener),
      (error: unknown) => this.notOpened(error),
    );
  }

  private opened(opener: RemoteOpener): void {
    this.opening = false;
    if (this.closed) {
      opener.close();
      return;
    }
    if (this.opener) this.earlier += this.opener.reconnects + 1;
    this.opener = opener;
    this.error = null;
    for (const waiter of [...this.waiters]) {
      this.forget(waiter);
      waiter.resolve(opener);
    }
    this.noteChanged();
  }

  private notOpened(thrown: unknown): void {
    this.opening = false;
    if (this.closed) return;
    const error =
      thrown instanceof PicoSpecError ? thrown : new PicoSpecError("internal", `cannot connect: ${thrown}`);
    this.error = error;
    const nowMs = this.options.clock.nowMs();
    const refused = !isPassing(error.code);
    this.rejectAll(({ untilMs }) => refused || untilMs <= nowMs, error);
    if (this.always || this.waiters.size > 0) this.retryLater(refused);
    this.tell();
  }

  private retryLater(refused: boolean): void {
    const { clock } = this.options;
    if (this.cancelRetry || this.opening) return;
    const waitMs = this.retries.lost(clock.nowMs(), refused ? REFUSED_RETRY_MS : 0)!;
    this.retryAt(clock.nowMs() + waitMs);
  }

  /** A question waits: the cloud may be there by now, but however many ask, it is not dialled without a pause. */
  private trySoon(): void {
    const soonMs = Math.max(this.options.clock.nowMs(), this.triedMs + FIRST_RETRY_MS);
    if (soonMs >= this.retryAtMs) return;
    this.cancelRetry?.();
    this.retryAt(soonMs);
  }

  private retryAt(atMs: number): void {
    this.retryAtMs = atMs;
    this.cancelRetry = this.options.clock.schedule(atMs, () => {
      this.cancelRetry = null;
      if (this.always || this.waiters.size > 0) this.tryNow();
    });
  }

  private outOfTime(waiter: Waiter): void {
    const { clock } = this.options;
    const lastMs = waiter.untilMs + LAST_TRY_MS;
    waiter.cancelTimer = null;
    // The try that is under way tells why, if it ends.
    if (this.error === null && this.opening && clock.nowMs() < lastMs) {
      waiter.cancelTimer = clock.schedule(lastMs, () => this.outOfTime(waiter));
      return;
    }
    this.forget(waiter);
    waiter.reject(this.error ?? new ConnectionError("unreachable", this.opening ? SLOW : AWAY));
  }

  private rejectAll(which: (waiter: Waiter) => boolean, error: Error): void {
    for (const waiter of [...this.waiters].filter(which)) {
      this.forget(waiter);
      waiter.reject(error);
    }
  }

  private forget(waiter: Waiter): void {
    waiter.cancelTimer?.();
    this.waiters.delete(waiter);
  }

  private tell(): void {
    const { state, told } = this;
    // Before the first try has ended there is nothing to tell.
    if (!told && !state.up && !state.error) return;
    if (told && told.up === state.up && told.error?.message === state.error?.message) return;
    this.told = state;
    this.options.changed?.(state);
  }
}
