import type { Duplex } from "node:stream";
import type { WebSocket } from "ws";

/**
 * What all connections of a server hold of memory in sockets: messages that have not come to their end, and output that
 * was not read. Where a sum is exceeded the connection that holds most goes: no other has to pay for it.
 */
export const TRAFFIC_LIMITS = {
  /** of a message, before its sender has said hello */
  helloBytes: 64 * 1024,
  /** as they came, with what small pieces cost besides: more than the largest message */
  unfinishedBytes: 24 * 1024 * 1024,
  allUnfinishedBytes: 64 * 1024 * 1024,
  /** of memory that a piece takes besides its bytes */
  pieceBytes: 256,
  /** with more unread output no more is read of a peer: who does not listen is not answered */
  unreadBytes: 1024 * 1024,
  allUnreadBytes: 64 * 1024 * 1024,
  /** so little of one connection is not summed up */
  unsummedBytes: 64 * 1024,
  /** sockets, those before their handshake included; when there are more, the oldest of these goes */
  sockets: 2048,
} as const;

/** One connection after its handshake. */
export class Flow {
  private readonly traffic: Traffic;
  private readonly raw: Duplex;
  private readonly socket: WebSocket;
  private greeted = false;
  private paused = false;
  /** unread output when it was last asked */
  private unreadBefore = 0;
  unfinishedBytes = 0;

  constructor(traffic: Traffic, raw: Duplex, socket: WebSocket) {
    this.traffic = traffic;
    this.raw = raw;
    this.socket = socket;
  }

  get unreadBytes(): number {
    return this.socket.bufferedAmount;
  }

  /** The peer has said hello: its messages may be large. */
  greet(): void {
    this.greeted = true;
  }

  /** A piece has come, of whatever message. */
  piece(bytes: number): void {
    this.unfinishedBytes += bytes + TRAFFIC_LIMITS.pieceBytes;
    const most = this.greeted ? TRAFFIC_LIMITS.unfinishedBytes : TRAFFIC_LIMITS.helloBytes;
    if (this.unfinishedBytes > most) this.drop(1009, "a message is too large");
    else this.traffic.grown(bytes + TRAFFIC_LIMITS.pieceBytes);
  }

  /** A message is whole. */
  whole(): void {
    this.traffic.grown(-this.unfinishedBytes);
    this.unfinishedBytes = 0;
  }

  /** Something was sent. */
  sent(): void {
    if (this.unreadBytes <= TRAFFIC_LIMITS.unsummedBytes) return;
    this.traffic.sent();
    if (this.paused || this.unreadBytes <= TRAFFIC_LIMITS.unreadBytes) return;
    this.paused = true;
    this.socket.pause();
    this.raw.once("drain", () => {
      this.paused = false;
      this.socket.resume();
    });
  }

  /** It is not read from, and has read nothing itself since this was last asked. */
  get stuck(): boolean {
    const before = this.unreadBefore;
    this.unreadBefore = this.unreadBytes;
    return this.paused && this.unreadBytes >= before && before > 0;
  }

  /** It is not read from: it cannot be heard. */
  get deaf(): boolean {
    return this.paused;
  }

  /** What is queued for it is of no use. */
  drop(code: number, reason: string): void {
    this.traffic.forget(this);
    this.socket.close(code, reason);
    this.socket.terminate();
  }
}

/** All connections of a server. */
export class Traffic {
  private readonly flows = new Set<Flow>();
  /** sockets that have not finished their handshake, the oldest first */
  private readonly early = new Set<Duplex>();
  private unfinishedBytes = 0;

  get sockets(): number {
    return this.flows.size + this.early.size;
  }

  /** A socket was opened. */
  opened(socket: Duplex): void {
    this.early.add(socket);
    socket.once("close", () => this.early.delete(socket));
    if (this.sockets <= TRAFFIC_LIMITS.sockets) return;
    const [oldest] = this.early;
    oldest?.destroy();
  }

  /** Its handshake is over. @param raw whose pieces are counted from here on */
  upgraded(raw: Duplex, socket: WebSocket): Flow {
    this.early.delete(raw);
    const flow = new Flow(this, raw, socket);
    this.flows.add(flow);
    socket.once("close", () => this.forget(flow));
    return flow;
  }

  forget(flow: Flow): void {
    if (!this.flows.delete(flow)) return;
    flow.whole();
  }

  grown(bytes: number): void {
    this.unfinishedBytes += bytes;
    if (this.unfinishedBytes <= TRAFFIC_LIMITS.allUnfinishedBytes) return;
    this.largest((flow) => flow.unfinishedBytes)?.drop(1013, "too much is under way; try again later");
  }

  /** Sums are taken when there is reason to: what is unread shrinks without a word. */
  sent(): void {
    let bytes = 0;
    for (const flow of this.flows) bytes += flow.unreadBytes;
    if (bytes <= TRAFFIC_LIMITS.allUnreadBytes) return;
    this.largest((flow) => flow.unreadBytes)?.drop(1008, "reads too slowly");
  }

  private largest(bytes: (flow: Flow) => number): Flow | null {
    let most: Flow | null = null;
    for (const flow of this.flows) if (most === null || bytes(flow) > bytes(most)) most = flow;
    return most;
  }
}
