import type { Server, Socket } from "node:net";
import { Duplex } from "node:stream";
import { assert } from "../../util/assert.ts";

/**
 * A connection whose bytes reach their parser, of HTTP or WebSocket, in slices, with a turn of the event loop between two of
 * them. Node hands over up to 64 KB at a time, which is parsed to its end whatever is said meanwhile: as chunks or frames of
 * one byte that is 11,000 calls, and as pipelined requests over a thousand, also for a connection that was refused at the
 * first. What is destroyed drops its rest.
 */

const SLICE_BYTES = 4096;

/**
 * Has a server of HTTP serve its connections in slices.
 * @param event "connection", or "secureConnection" over TLS
 * @param opened is told of each
 */
export function serveInSlices(
  server: Server,
  event: "connection" | "secureConnection",
  opened: (socket: SlicedSocket) => void,
): void {
  const [serve, ...others] = server.listeners(event);
  assert(serve && others.length === 0, "a server of HTTP has one listener of its own for connections");
  server.removeAllListeners(event).on(event, (raw: Socket) => {
    const socket = new SlicedSocket(raw);
    opened(socket);
    serve.call(server, socket);
  });
}

export class SlicedSocket extends Duplex {
  private readonly raw: Socket;
  /** what came and is not handed over */
  private rest: Buffer | null = null;
  private wanted = false;
  private ended = false;
  private held = false;

  constructor(raw: Socket) {
    super();
    this.raw = raw;
    raw.on("data", (bytes) => {
      raw.pause();
      this.rest = bytes;
      this.handOver();
    });
    raw.once("end", () => {
      this.ended = true;
      this.handOver();
    });
    raw.once("error", (error) => this.destroy(error));
    raw.once("close", () => this.destroy());
    raw.on("timeout", () => this.emit("timeout"));
  }

  /** As of a socket: the server's keep-alive asks for it. */
  setTimeout(ms: number): this {
    this.raw.setTimeout(ms);
    return this;
  }

  /** As of a socket. */
  setNoDelay(noDelay: boolean): this {
    this.raw.setNoDelay(noDelay);
    return this;
  }

  /** No further slice is handed over, however much is wanted, until `release`. */
  hold(): void {
    this.held = true;
  }

  release(): void {
    this.held = false;
    setImmediate(() => this.handOver());
  }

  /** As of a socket: the server is done with it after its last answer, and waits for no end of the other side. */
  destroySoon(): void {
    this.end(() => this.destroy());
  }

  override _read(): void {
    if (this.wanted) return;
    this.wanted = true;
    if (this.rest === null && !this.ended) this.raw.resume();
    else setImmediate(() => this.handOver());
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.raw.write(bytes, done);
  }

  override _writev(
    pieces: { chunk: Buffer; encoding: BufferEncoding }[],
    done: (error?: Error | null) => void,
  ): void {
    this.raw.cork();
    for (const [i, { chunk }] of pieces.entries()) {
      if (i === pieces.length - 1) this.raw.write(chunk, done);
      else this.raw.write(chunk);
    }
    this.raw.uncork();
  }

  override _final(done: (error?: Error | null) => void): void {
    this.raw.end(() => done());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.rest = null;
    this.raw.destroy();
    done(error);
  }

  private handOver(): void {
    if (this.destroyed || this.held) return;
    if (this.rest === null) {
      if (this.ended) this.push(null);
      return;
    }
    if (!this.wanted) return;
    const slice = this.rest.subarray(0, SLICE_BYTES);
    this.rest = this.rest.length > SLICE_BYTES ? this.rest.subarray(SLICE_BYTES) : null;
    this.wanted = false;
    this.push(slice);
  }
}
