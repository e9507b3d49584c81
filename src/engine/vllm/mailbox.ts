import { randomBytes, timingSafeEqual } from "node:crypto";
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
  NONCE_BYTES,
  offerFrame,
  type Ready,
} from "./mailbox-frames.ts";
import { proofOf } from "./mailbox-proof.ts";
import { StateLines } from "./state-lines.ts";

/**
 * A connection to the mailbox of one engine process. Drafts are hints, so nothing here blocks or fails a session: what
 * cannot be sent now is dropped, and a connection that is lost is made again. Nothing is begun or offered before what is
 * behind the address has proved that it knows the secret: drafts are a tenant's text.
 */

const MAILBOX_LIMITS = {
  /** bytes that wait to be sent: past that offers are dropped, which newer ones replace anyway */
  unsentBytes: 2 ** 20,
  /** for the greeting, ms */
  greetingMs: 5000,
  /** waits between two tries: the first, and the longest, each twice the one before it */
  firstRetryMs: 100,
  longestRetryMs: 10_000,
  /** a connection that was there for less does not set the waits back, ms */
  lastingMs: 10_000,
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

/** In place of one more than the mailbox has. */
const NO_SESSION: MailboxSession = { offer() {}, end() {} };

const UNPROVED =
  "it does not prove that it knows the secret: another program may have the address of --mailbox";

export class Mailbox {
  readonly name: string;
  private readonly options: MailboxOptions;
  private readonly limits: MailboxLimits;
  /** by our number, with the engine's request id; told anew to each connection */
  private readonly sessions = new Map<number, string>();
  private nextSession = 1;
  private socket: Socket | null = null;
  private greeted: Ready | null = null;
  private greetedAtMs = Number.POSITIVE_INFINITY;
  /** the plugin's and ours, of the greeting that goes on */
  private nonces: Uint8Array | null = null;
  private listener: () => void = () => {};
  private cancelTimer: CancelTimer = () => {};
  private tries = 0;
  private closed = false;
  private readonly lines: StateLines;
  private readonly waiting: (() => void)[] = [];

  constructor(options: MailboxOptions) {
    this.options = options;
    this.limits = { ...MAILBOX_LIMITS, ...options.limits };
    this.lines = new StateLines(options.clock, options.told);
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

  /** @param listener called whenever what `ready` says is new */
  onReady(listener: () => void): void {
    this.listener = listener;
  }

  /** Resolves when it is connected, or has tried once. */
  tried(): Promise<void> {
    return new Promise((resolve) => {
      if (this.greeted || this.tries > 0 || this.closed) resolve();
      else this.waiting.push(resolve);
    });
  }

  /** @param requestId the engine's own; where the mailbox has its most sessions, it gets no drafts */
  begin(requestId: string): MailboxSession {
    if (this.sessions.size >= (this.greeted?.sessions ?? Number.POSITIVE_INFINITY)) return NO_SESSION;
    // A number is not used again while it may be open: 2^32 runs are years.
    const number = this.nextSession;
    this.nextSession = (this.nextSession % 0xffff_ffff) + 1;
    this.sessions.set(number, requestId);
    this.send(beginFrame(number, requestId), true);
    return {
      offer: (base, hash, tokens) => {
        const { offerTokens: most = 0, binds = false } = this.greeted ?? {};
        if (most === 0 || !binds || !this.sessions.has(number)) return;
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
    this.lines.close();
    this.socket?.destroy();
    this.settle();
  }

  private connect(): void {
    const { clock, address } = this.options;
    const socket = connect({ ...address, noDelay: true });
    const reader = new MailboxReader();
    this.socket = socket;
    this.nonces = null;
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
    switch (frame.type) {
      case "challenge":
        if (this.nonces) throw new EngineError("mailbox", "it greets twice");
        this.nonces = Buffer.concat([frame.nonce, randomBytes(NONCE_BYTES)]);
        socket.write(
          authFrame(this.nonces.subarray(NONCE_BYTES), proofOf(this.options.secret, "gateway", this.nonces)),
        );
        return;
      case "ready":
        if (this.greeted || !this.nonces || !this.isProof(frame.proof, this.nonces, frame.told)) {
          throw new EngineError("mailbox", UNPROVED);
        }
        this.welcome(frame.ready);
        return;
      case "unbound":
        if (this.greeted) this.greeted = { ...this.greeted, binds: false };
        this.tellReady();
        return;
      case "refused":
        throw new EngineError(
          "mailbox",
          `${frame.reason}; is the secret the one that the plugin was started with?`,
        );
      default:
        frame satisfies never;
    }
  }

  private isProof(proof: Uint8Array, nonces: Uint8Array, told: Uint8Array): boolean {
    return timingSafeEqual(proof, proofOf(this.options.secret, "plugin", nonces, told));
  }

  private welcome(ready: Ready): void {
    const { clock } = this.options;
    this.cancelTimer();
    this.greeted = ready;
    this.greetedAtMs = clock.nowMs();
    for (const number of [...this.sessions.keys()].slice(ready.sessions)) this.sessions.delete(number);
    for (const [number, requestId] of this.sessions) this.send(beginFrame(number, requestId), true);
    this.tellReady();
    this.settle();
    this.listener();
  }

  private tellReady(): void {
    const { greeted, name } = this;
    if (!greeted) return;
    if (greeted.binds) {
      this.lines.tell(`the mailbox ${name} takes drafts, ${greeted.stepDrafts} a step at most`);
    } else {
      this.lines.tell(
        `drafts are not used: the plugin at the mailbox ${name} cannot tell which row of vLLM is which request; its reason is in vLLM's log`,
      );
    }
  }

  private lost(why: string): void {
    const { clock, random } = this.options;
    const { firstRetryMs, longestRetryMs, lastingMs } = this.limits;
    this.cancelTimer();
    this.socket = null;
    if (this.greeted && clock.nowMs() - this.greetedAtMs >= lastingMs) this.tries = 0;
    this.greeted = null;
    if (this.closed) return;
    const fullMs = Math.min(longestRetryMs, firstRetryMs * 2 ** Math.min(this.tries++, 20));
    this.cancelTimer = clock.schedule(clock.nowMs() + fullMs * (1 - random() / 2), () => this.connect());
    this.lines.tell(`drafts are not used: the mailbox ${this.name} is not there (${why})`);
    this.settle();
  }

  private settle(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  /** @param owed it changes what is open on the other side: where it cannot wait, the connection is made anew */
  private send(bytes: Uint8Array, owed: boolean): void {
    const { socket, greeted } = this;
    if (!socket || !greeted) return;
    if (socket.writableLength + bytes.length <= this.limits.unsentBytes) socket.write(bytes);
    else if (owed) socket.destroy(new Error("the mailbox does not read"));
  }
}
