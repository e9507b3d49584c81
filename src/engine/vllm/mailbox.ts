import { createHmac } from "node:crypto";
import { connect, type Socket } from "node:net";
import type { CancelTimer, Clock } from "../../util/clock.ts";
import { messageOf, SettingError } from "../../util/errors.ts";
import { EngineError } from "../engine.ts";
import {
  authFrame,
  beginFrame,
  endFrame,
  type MailboxFrame,
  MailboxReader,
  offerFrame,
  type Ready,
} from "./mailbox-frames.ts";

/**
 * A connection to the mailbox of one engine process. Drafts are hints, so nothing here blocks or fails a session: what
 * cannot be sent now is dropped and counted, and a connection that is lost is made again.
 */

const MAILBOX_LIMITS = {
  /** bytes that wait to be sent: past that offers are dropped, which newer ones replace anyway */
  unsentBytes: 2 ** 20,
  /** for the greeting, ms */
  greetingMs: 5000,
  /** waits between two tries: the first, and the longest, each twice the one before it */
  firstRetryMs: 100,
  longestRetryMs: 10_000,
} as const;

type MailboxLimits = Readonly<Record<keyof typeof MAILBOX_LIMITS, number>>;

/** Where a mailbox listens. */
export type MailboxAddress = { readonly path: string } | { readonly host: string; readonly port: number };

/**
 * @param text unix:/PATH or tcp:HOST:PORT, as the plugin has it, or without the word before it
 * @throws SettingError
 */
export function mailboxAddress(text: string): MailboxAddress {
  const path = text.startsWith("unix:") ? text.slice("unix:".length) : text;
  if (path.startsWith("/")) return { path };
  const match = /^(?:tcp:)?(\[[\da-f:]+\]|[^\s:/]+):(\d{1,5})$/i.exec(text);
  const port = Number(match?.[2]);
  if (match && port >= 1 && port <= 65_535) return { host: match[1]!.replaceAll(/[[\]]/g, ""), port };
  const message = `--mailbox is the address that the plugin listens on, unix:/PATH or HOST:PORT, not "${text}"`;
  throw new SettingError("mailbox", message);
}

export interface MailboxOptions {
  readonly address: MailboxAddress;
  /** that the plugin was started with */
  readonly secret: string;
  readonly clock: Clock;
  /** [0, 1): waits are shortened by up to half, so that gateways do not all come back at once */
  readonly random: () => number;
  /** a line for the operator: it is connected, or is not */
  readonly told: (line: string) => void;
  readonly limits?: Partial<MailboxLimits>;
}

/** Drafts for one run of the engine. */
export interface MailboxSession {
  /** These may follow the first `base` tokens, of this hash. */
  offer(base: number, hash: bigint, tokens: Int32Array): void;
  /** Its offers go. */
  end(): void;
}

export class Mailbox {
  readonly name: string;
  /** frames that were not sent: there was no connection, or too much waited */
  dropped = 0;
  private readonly options: MailboxOptions;
  private readonly limits: MailboxLimits;
  /** by our number, with the engine's request id; told anew to each connection */
  private readonly sessions = new Map<number, string>();
  private nextSession = 1;
  private socket: Socket | null = null;
  private greeted: Ready | null = null;
  private cancelTimer: CancelTimer = () => {};
  private tries = 0;
  private closed = false;
  /** the last thing that was told: an outage is one line */
  private lastTold = "";
  private readonly waiting: (() => void)[] = [];

  constructor(options: MailboxOptions) {
    this.options = options;
    this.limits = { ...MAILBOX_LIMITS, ...options.limits };
    const { address } = options;
    this.name = "path" in address ? `unix:${address.path}` : `${address.host}:${address.port}`;
    this.connect();
  }

  /** What the engine process behind it said of itself; null: there is no connection now. */
  get ready(): Ready | null {
    return this.greeted;
  }

  /** Sessions that are open. */
  get open(): number {
    return this.sessions.size;
  }

  /** Resolves when it is connected, or has tried once. */
  tried(): Promise<void> {
    return new Promise((resolve) => {
      if (this.greeted || this.tries > 0 || this.closed) resolve();
      else this.waiting.push(resolve);
    });
  }

  /** @param requestId the engine's own */
  begin(requestId: string): MailboxSession {
    // A number is not used again while it may be open: 2^32 runs are years.
    const number = this.nextSession;
    this.nextSession = (this.nextSession % 0xffff_ffff) + 1;
    this.sessions.set(number, requestId);
    this.send(beginFrame(number, requestId), true);
    return {
      offer: (base, hash, tokens) => {
        const most = this.greeted?.offerTokens ?? 0;
        if (most === 0 || !this.sessions.has(number)) return;
        this.send(offerFrame(number, base, hash, tokens.subarray(0, most)), false);
      },
      end: () => {
        if (this.sessions.delete(number)) this.send(endFrame(number), true);
      },
    };
  }

  close(): void {
    this.closed = true;
    this.cancelTimer();
    this.socket?.destroy();
    this.settle();
  }

  private connect(): void {
    const { clock, address } = this.options;
    const socket = connect({ ...address, noDelay: true });
    const reader = new MailboxReader();
    this.socket = socket;
    const lose = (why: string) => {
      if (this.socket !== socket) return;
      this.lost(why);
      socket.destroy();
    };
    this.cancelTimer = clock.schedule(clock.nowMs() + this.limits.greetingMs, () => {
      lose(`no greeting within ${this.limits.greetingMs / 1000} s`);
    });
    socket.on("data", (bytes: Buffer) => {
      try {
        for (const frame of reader.push(bytes)) this.take(frame, socket);
      } catch (error) {
        if (!(error instanceof EngineError)) throw error;
        lose(error.message);
      }
    });
    socket.on("error", (error: NodeJS.ErrnoException) => lose(error.code ?? messageOf(error)));
    socket.on("close", () => lose("the connection was closed"));
  }

  /** @throws EngineError */
  private take(frame: MailboxFrame, socket: Socket): void {
    if (this.socket !== socket) return;
    if (frame.type === "challenge") {
      const proof = createHmac("sha256", this.options.secret).update(frame.nonce).digest();
      socket.write(authFrame(proof));
    } else if (frame.type === "ready") this.welcome(frame.ready);
    else if (frame.type === "refused") {
      throw new EngineError(
        "mailbox",
        `${frame.reason}; is the secret the one that the plugin was started with?`,
      );
    }
  }

  private welcome(ready: Ready): void {
    this.cancelTimer();
    this.greeted = ready;
    this.tries = 0;
    for (const [number, requestId] of this.sessions) this.send(beginFrame(number, requestId), true);
    this.tell(`the mailbox ${this.name} takes drafts, ${ready.stepDrafts} a step at most`);
    this.settle();
  }

  private lost(why: string): void {
    const { clock, random } = this.options;
    this.cancelTimer();
    this.socket = null;
    this.greeted = null;
    if (this.closed) return;
    const { firstRetryMs, longestRetryMs } = this.limits;
    const fullMs = Math.min(longestRetryMs, firstRetryMs * 2 ** Math.min(this.tries++, 20));
    this.cancelTimer = clock.schedule(clock.nowMs() + fullMs * (1 - random() / 2), () => this.connect());
    this.tell(`drafts are not used: the mailbox ${this.name} is not there (${why})`);
    this.settle();
  }

  private tell(line: string): void {
    if (line === this.lastTold) return;
    this.lastTold = line;
    this.options.told(line);
  }

  private settle(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  /** @param owed it changes what is open on the other side: where it cannot wait, the connection is made anew */
  private send(bytes: Uint8Array, owed: boolean): void {
    const { socket, greeted } = this;
    if (!socket || !greeted) {
      if (!owed) this.dropped++;
      return;
    }
    if (socket.writableLength + bytes.length <= this.limits.unsentBytes) socket.write(bytes);
    else if (owed) socket.destroy(new Error("the mailbox does not read"));
    else this.dropped++;
  }
}
