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
  /** share of offers that are lost, by draws in [0, 1) */
  readonly loses?: () => boolean;
}

interface Offer {
  readonly base: number;
  readonly hash: bigint;
  readonly tokens: readonly number[];
}

const MODULUS = (1n << 61n) - 1n;

export class FakeMailbox {
  readonly key = (randomBytes(8).readBigUInt64LE() >> 4n) + 2n;
  /** what was begun, by the engine's request id, and what has ended */
  readonly begun: string[] = [];
  ended = 0;
  offers = 0;
  /** connections that brought a wrong proof */
  refused = 0;
  private readonly options: FakeMailboxOptions;
  private readonly server: Server;
  private readonly sockets = new Map<Socket, Map<number, Offer[]>>();

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

  /** Drafts that go on from these tokens; the newest offer wins. */
  drafts(tokens: readonly number[]): readonly number[] {
    for (const sessions of this.sockets.values()) {
      for (const offers of sessions.values()) {
        for (const { base, hash, tokens: offered } of [...offers].reverse()) {
          const since = tokens.slice(base);
          if (base > tokens.length || since.length >= offered.length) continue;
          if (this.hash(tokens.slice(0, base)) !== hash) continue;
          if (since.every((token, i) => token === offered[i])) {
            return offered.slice(since.length, since.length + this.stepDrafts);
          }
        }
      }
    }
    return [];
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
    const sessions = new Map<number, Offer[]>();
    this.sockets.set(socket, sessions);
    socket.on("error", () => {});
    socket.on("close", () => this.sockets.delete(socket));
    if (this.options.isMute) return;
    const nonce = randomBytes(16);
    socket.write(frame(0x81, Buffer.concat([Buffer.from("PSMB"), u16(1), nonce])));
    let held = Buffer.alloc(0);
    let isIn = false;
    socket.on("data", (bytes: Buffer) => {
      held = Buffer.concat([held, bytes]);
      while (held.length >= 4 && held.length >= 4 + held.readUInt32LE(0)) {
        const end = 4 + held.readUInt32LE(0);
        const [type, body] = [held[4]!, held.subarray(5, end)];
        held = held.subarray(end);
        if (isIn) this.take(sessions, type, body);
        else if (
          type === 0x01 &&
          body.equals(createHmac("sha256", this.options.secret).update(nonce).digest())
        ) {
          isIn = true;
          socket.write(frame(0x82, this.ready()));
        } else {
          this.refused++;
          socket.end(frame(0x84, Buffer.from("the secret is another one")));
          return;
        }
      }
    });
  }

  private ready(): Buffer {
    const { vocabularySize, offerTokens = 64, rank = 0, ranks = 1 } = this.options;
    const key = Buffer.alloc(8);
    key.writeBigUInt64LE(this.key);
    const counts = [u16(this.stepDrafts), u16(rank), u16(ranks)];
    return Buffer.concat([u32(vocabularySize), ...counts, key, u16(offerTokens), u32(100)]);
  }

  private take(sessions: Map<number, Offer[]>, type: number, body: Buffer): void {
    const session = body.readUInt32LE(0);
    if (type === 0x02) {
      this.begun.push(body.toString("utf8", 6, 6 + body.readUInt16LE(4)));
      sessions.set(session, []);
    } else if (type === 0x04) {
      if (sessions.delete(session)) this.ended++;
    } else if (type === 0x03) {
      this.offers++;
      if (this.options.loses?.()) return;
      const tokens = Array.from({ length: body.readUInt16LE(16) }, (_, i) => body.readUInt32LE(18 + 4 * i));
      const offer = { base: body.readUInt32LE(4), hash: body.readBigUInt64LE(8), tokens };
      const others = sessions.get(session)?.filter(({ base }) => base !== offer.base);
      if (others) sessions.set(session, [...others.slice(-7), offer]);
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
