import { createHmac, randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";

/** The plugin's side of a mailbox, written from the protocol alone: engines/vllm has the real one. */

export interface FakeMailboxOptions {
  readonly secret: string;
  readonly vocabularySize: number;
  readonly stepDrafts?: number;
  readonly offerTokens?: number;
  readonly rank?: number;
  readonly ranks?: number;
  /** does not greet */
  readonly isMute?: boolean;
  /** greets, and reads nothing after the proof */
  readonly isDeaf?: boolean;
  /** greets and hangs up; a plain value, so that it can be over */
  readonly hangsUp?: { now: boolean };
  /** in place of the plugin's proof: what a program has that does not know the secret */
  readonly forgery?: (gatewayProof: Uint8Array) => Uint8Array;
  readonly sessions?: number;
  /** rows are known by request id. Default: true */
  readonly binds?: boolean;
  /** share of offers that are lost, by draws in [0, 1) */
  readonly loses?: () => boolean;
}

interface Offer {
  readonly base: number;
  readonly hash: bigint;
  readonly tokens: readonly number[];
}

interface Session {
  readonly requestId: string;
  offers: readonly Offer[];
}

const MODULUS = (1n << 61n) - 1n;

export class FakeMailbox {
  readonly key = (randomBytes(8).readBigUInt64LE() >> 4n) + 2n;
  /** what was begun, by the engine's request id, and what has ended */
  readonly begun: string[] = [];
  ended = 0;
  offers = 0;
  /** drafts that were given, by the row's request */
  readonly given = new Map<string, number>();
  connections = 0;
  /** frames behind the greeting */
  heard = 0;
  /** connections that brought a wrong proof */
  refused = 0;
  private readonly options: FakeMailboxOptions;
  private readonly server: Server;
  private readonly sockets = new Map<Socket, Map<number, Session>>();

  private constructor(options: FakeMailboxOptions) {
    this.options = options;
    this.server = createServer((socket) => this.accept(socket));
  }

  /** @param port 0: any free one */
  static async start(options: FakeMailboxOptions, port = 0): Promise<FakeMailbox> {
    const mailbox = new FakeMailbox(options);
    mailbox.server.listen(port, "127.0.0.1");
    await once(mailbox.server, "listening");
    return mailbox;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Sessions that are open, on all connections. */
  get open(): number {
    return [...this.sockets.values()].reduce((sum, sessions) => sum + sessions.size, 0);
  }

  get stepDrafts(): number {
    return this.options.stepDrafts ?? 8;
  }

  /** Drafts of a row, which its own session alone gives; the newest offer wins. @param requestId the engine's */
  drafts(tokens: readonly number[], requestId: string): readonly number[] {
    for (const sessions of this.sockets.values()) {
      for (const session of sessions.values()) {
        if (session.requestId !== requestId) continue;
        for (const { base, hash, tokens: offered } of [...session.offers].reverse()) {
          const since = tokens.slice(base);
          if (base > tokens.length || since.length >= offered.length) continue;
          if (this.hash(tokens.slice(0, base)) !== hash) continue;
          if (since.every((token, i) => token === offered[i])) {
            const drafts = offered.slice(since.length, since.length + this.stepDrafts);
            this.given.set(requestId, (this.given.get(requestId) ?? 0) + drafts.length);
            return drafts;
          }
        }
      }
    }
    return [];
  }

  /** Rows are not known by request id any more. */
  unbind(): void {
    for (const socket of this.sockets.keys()) socket.write(frame(0x85, Buffer.alloc(0)));
  }

  hangUp(): void {
    for (const socket of this.sockets.keys()) socket.destroy();
  }

  async close(): Promise<void> {
    this.hangUp();
    this.server.close();
    await once(this.server, "close");
  }

  private hash(tokens: readonly number[]): bigint {
    return tokens.reduce((h, token) => (h * this.key + BigInt(token) + 1n) % MODULUS, 0n);
  }

  private accept(socket: Socket): void {
    const sessions = new Map<number, Session>();
    this.connections++;
    this.sockets.set(socket, sessions);
    socket.on("error", () => {});
    socket.on("close", () => this.sockets.delete(socket));
    if (this.options.isMute) return;
    const nonce = randomBytes(16);
    socket.write(frame(0x81, Buffer.concat([Buffer.from("PSMB"), u16(2), nonce])));
    let held = Buffer.alloc(0);
    let isIn = false;
    const { forgery } = this.options;
    socket.on("data", (bytes: Buffer) => {
      held = Buffer.concat([held, bytes]);
      while (held.length >= 4 && held.length >= 4 + held.readUInt32LE(0)) {
        const end = 4 + held.readUInt32LE(0);
        const [type, body] = [held[4]!, held.subarray(5, end)];
        held = held.subarray(end);
        const nonces = Buffer.concat([nonce, body.subarray(0, 16)]);
        if (isIn) {
          this.heard++;
          this.take(sessions, type, body);
        } else if (type === 0x01 && (forgery || body.subarray(16).equals(this.proof("gateway", nonces)))) {
          isIn = true;
          const told = this.ready();
          const proof = forgery?.(body.subarray(16)) ?? this.proof("plugin", Buffer.concat([nonces, told]));
          socket.write(frame(0x82, Buffer.concat([proof, told])));
          if (this.options.isDeaf) return void socket.pause();
          if (this.options.hangsUp?.now) return void socket.end();
        } else {
          this.refused++;
          socket.end(frame(0x84, Buffer.from("the secret is another one")));
          return;
        }
      }
    });
  }

  private proof(side: "gateway" | "plugin", signed: Buffer): Buffer {
    return createHmac("sha256", this.options.secret)
      .update(`picospec mailbox 2 ${side}\0`)
      .update(signed)
      .digest();
  }

  private ready(): Buffer {
    const {
      vocabularySize,
      offerTokens = 64,
      rank = 0,
      ranks = 1,
      sessions = 100,
      binds = true,
    } = this.options;
    const key = Buffer.alloc(8);
    key.writeBigUInt64LE(this.key);
    const counts = [u16(this.stepDrafts), u16(rank), u16(ranks)];
    return Buffer.concat([
      u32(vocabularySize),
      ...counts,
      key,
      u16(offerTokens),
      u32(sessions),
      Buffer.of(Number(binds)),
    ]);
  }

  private take(sessions: Map<number, Session>, type: number, body: Buffer): void {
    const session = body.readUInt32LE(0);
    if (type === 0x02) {
      const requestId = body.toString("utf8", 6, 6 + body.readUInt16LE(4));
      this.begun.push(requestId);
      sessions.set(session, { requestId, offers: [] });
    } else if (type === 0x04) {
      if (sessions.delete(session)) this.ended++;
    } else if (type === 0x03) {
      this.offers++;
      if (this.options.loses?.()) return;
      const tokens = Array.from({ length: body.readUInt16LE(16) }, (_, i) => body.readUInt32LE(18 + 4 * i));
      const offer = { base: body.readUInt32LE(4), hash: body.readBigUInt64LE(8), tokens };
      const open = sessions.get(session);
      const others = open?.offers.filter(({ base }) => base !== offer.base) ?? [];
      if (open) open.offers = [...others.slice(-7), offer];
    }
  }
}

function frame(type: number, body: Buffer): Buffer {
  return Buffer.concat([u32(1 + body.length), Buffer.of(type), body]);
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
