import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";
import { mailboxAddress } from "../../src/engine/vllm/mailbox.ts";
import { authFrame, beginFrame, endFrame, offerFrame } from "../../src/engine/vllm/mailbox-frames.ts";
import { proofOf } from "../../src/engine/vllm/mailbox-proof.ts";
import { PrefixHash } from "../../src/engine/vllm/prefix-hash.ts";

/** A client of a real mailbox that sends what it likes, and reads the statistics. */

/** What the tests read of it; the rest is as in engines/vllm. */
export interface MailboxStatistics {
  readonly steps: number;
  readonly slowest_cpu_s: number;
  readonly steps_over_1ms_cpu: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly invalid: number;
  readonly rows_by: string;
  readonly offers: { readonly found: number; readonly proposed: number; readonly accepted: number };
  readonly box: Readonly<Record<string, number>>;
  readonly mailbox: Readonly<Record<string, number>>;
}

const ASK_STATISTICS = Buffer.from([1, 0, 0, 0, 5]);
const TYPE = { challenge: 0x81, ready: 0x82, statistics: 0x83 } as const;

/** A connection to a mailbox, without a word said. */
export function connectRaw(address: string): Socket {
  return connect({ ...mailboxAddress(address) }).on("error", () => {});
}

/** Resolves when it takes more, or is closed. */
export function room(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      socket.off("drain", done).off("close", done);
      resolve();
    };
    if (socket.destroyed) resolve();
    else socket.on("drain", done).on("close", done);
  });
}

export class MailboxClient {
  readonly socket: Socket;
  /** of the prefixes' hash */
  key = 0n;
  private held = Buffer.alloc(0);
  private readonly frames: { type: number; body: Buffer }[] = [];
  private wake: () => void = () => {};

  private constructor(address: string) {
    this.socket = connectRaw(address);
    this.socket.on("close", () => this.wake());
    this.socket.on("data", (bytes: Buffer) => {
      this.held = Buffer.concat([this.held, bytes]);
      while (this.held.length >= 5 && this.held.length >= 4 + this.held.readUInt32LE(0)) {
        const end = 4 + this.held.readUInt32LE(0);
        this.frames.push({ type: this.held[4]!, body: this.held.subarray(5, end) });
        this.held = this.held.subarray(end);
      }
      this.wake();
    });
  }

  /** One that has shown the secret. */
  static async open(address: string, secret: string): Promise<MailboxClient> {
    const client = new MailboxClient(address);
    const challenge = await client.next(TYPE.challenge);
    const nonce = randomBytes(16);
    const nonces = Buffer.concat([challenge.subarray(6, 22), nonce]);
    client.socket.write(authFrame(nonce, proofOf(secret, "gateway", nonces)));
    client.key = (await client.next(TYPE.ready)).readBigUInt64LE(42);
    return client;
  }

  /** Resolves when there is room for more. */
  async send(bytes: Uint8Array): Promise<void> {
    if (this.socket.destroyed) throw new Error("the mailbox has ended the connection");
    if (!this.socket.write(bytes)) await room(this.socket);
  }

  begin(session: number, requestId = ""): Promise<void> {
    return this.send(beginFrame(session, requestId));
  }

  offer(session: number, prefix: readonly number[], tokens: readonly number[]): Promise<void> {
    const hash = new PrefixHash(this.key);
    hash.pushAll(prefix);
    return this.send(offerFrame(session, prefix.length, hash.value, Int32Array.from(tokens)));
  }

  end(session: number): Promise<void> {
    return this.send(endFrame(session));
  }

  /** All that was sent before is done when they come. */
  async statistics(): Promise<MailboxStatistics> {
    await this.send(ASK_STATISTICS);
    return JSON.parse((await this.next(TYPE.statistics)).toString()) as MailboxStatistics;
  }

  /** Asks for statistics, and reads nothing from here on. */
  stall(asks: number): void {
    this.socket.pause();
    for (let i = 0; i < asks; i++) this.socket.write(ASK_STATISTICS);
  }

  close(): void {
    this.socket.destroy();
  }

  private async next(type: number): Promise<Buffer> {
    for (;;) {
      const frame = this.frames.shift();
      if (frame?.type === type) return frame.body;
      if (frame) throw new Error(`the mailbox answers ${frame.type}: ${frame.body}`);
      if (this.socket.destroyed) throw new Error("the mailbox has ended the connection");
      await new Promise<void>((wake) => {
        this.wake = wake;
      });
    }
  }
}
