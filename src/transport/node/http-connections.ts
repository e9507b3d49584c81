import type { ServerResponse } from "node:http";
import type { Duplex } from "node:stream";

/** Sockets, those that ask nothing in the order in which they came: a flood of them has no place for long. */
export class Connections {
  private readonly idle = new Set<Duplex>();
  private readonly answering = new WeakSet<Duplex>();
  private readonly most: number;
  private count = 0;

  /** @param most when there are more, the one that has asked nothing for the longest goes */
  constructor(most: number) {
    this.most = most;
  }

  add(socket: Duplex): void {
    this.count++;
    this.idle.add(socket);
    socket.once("close", () => {
      this.count--;
      this.idle.delete(socket);
    });
    if (this.count > this.most) this.oldest()?.destroy();
  }

  /**
   * A request came. Clients that send another before the answer are none of ours: a piece that is read may hold a thousand.
   * @returns whether it is answered
   */
  asks(socket: Duplex, response: ServerResponse): boolean {
    if (this.answering.has(socket)) {
      socket.destroy();
      return false;
    }
    this.answering.add(socket);
    response.once("finish", () => this.answering.delete(socket));
    return true;
  }

  /** It has asked something. */
  busy(socket: Duplex): void {
    this.idle.delete(socket);
  }

  /** It has its answer. */
  rest(socket: Duplex): void {
    if (!socket.destroyed) this.idle.add(socket);
  }

  private oldest(): Duplex | undefined {
    const [socket] = this.idle;
    if (socket) this.idle.delete(socket);
    return socket;
  }
}
