import { randomBytes } from "node:crypto";
import { connect, type Socket } from "node:net";

/** Sockets that say what they like, as attackers do. */

/** An open TCP connection; what comes is dropped, unless it is not read at all. Its errors are no one's. */
export function tcp(port: number, reads = true): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => {});
    socket.once("close", () => resolve(socket));
    if (reads) socket.resume();
    else socket.pause();
    setTimeout(() => resolve(socket), 2000).unref();
    socket.once("connect", () => resolve(socket));
  });
}

/** Something comes, or nothing will. */
function heard(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, 2000);
    const done = () => {
      clearTimeout(timer);
      resolve();
    };
    socket.once("data", done);
    socket.once("close", done);
    if (socket.destroyed) done();
  });
}

/** A WebSocket after its handshake, without the library that would keep to the rules. */
export async function webSocket(port: number, reads = true, headers = ""): Promise<Socket> {
  const socket = await tcp(port, true);
  const answered = heard(socket);
  const key = randomBytes(16).toString("base64");
  socket.write(
    `GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n${headers}\r\n`,
  );
  await answered;
  if (!reads) socket.pause();
  return socket;
}

export const OPCODE = { more: 0, text: 1, binary: 2, ping: 9, pong: 10 } as const;

/** A WebSocket frame from a client, masked with zeros. @param length that it says, where it is another */
export function wsFrame(opcode: number, payload: Uint8Array, final = true, length = payload.length): Buffer {
  const head =
    length < 126
      ? Buffer.from([0, 0x80 | length])
      : length < 65_536
        ? Buffer.from([0, 0x80 | 126, length >> 8, length & 255])
        : Buffer.alloc(10);
  if (length >= 65_536) {
    head[1] = 0x80 | 127;
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  head[0] = (final ? 0x80 : 0) | opcode;
  return Buffer.concat([head, Buffer.alloc(4), payload]);
}

/** A frame of the protocol: header and body. */
export function frame(type: number, session: number, body: Uint8Array | string, count = 0): Buffer {
  const head = Buffer.alloc(8);
  head[0] = type;
  head.writeUInt16LE(count, 2);
  head.writeUInt32LE(session, 4);
  return Buffer.concat([head, Buffer.from(body)]);
}

export const HELLO = frame(
  1,
  0,
  JSON.stringify({ protocol: 1, client: "attacker", fingerprint: "", features: ["vocabulary"] }),
);

/** Says hello, and waits until the cloud has answered. */
export async function greeted(port: number, reads = true): Promise<Socket> {
  const socket = await webSocket(port);
  const answered = heard(socket);
  socket.write(wsFrame(OPCODE.binary, HELLO));
  await answered;
  if (!reads) socket.pause();
  return socket;
}

/** All attackers of a process together: the machine that is attacked has other work to do as well. */
const BYTES_A_MS = 64 * 1024;
let allowance = { bytes: 0, atMs: 0 };

async function allowed(bytes: number): Promise<void> {
  const nowMs = performance.now();
  allowance = {
    bytes: Math.min(BYTES_A_MS * 50, allowance.bytes + (nowMs - allowance.atMs) * BYTES_A_MS) - bytes,
    atMs: nowMs,
  };
  const waitMs = Math.max(0, -allowance.bytes / BYTES_A_MS);
  await new Promise((resolve) => (waitMs > 1 ? setTimeout(resolve, waitMs) : setImmediate(resolve)));
}

/** Writes again and again as fast as the other side takes it, and as it is allowed, until it is over or the socket is gone. */
export async function flood(
  socket: Socket,
  next: (i: number) => Uint8Array,
  over: () => boolean,
): Promise<number> {
  let sent = 0;
  while (!over() && !socket.destroyed && socket.writable) {
    const bytes = next(sent++);
    await allowed(bytes.length);
    if (!socket.write(bytes)) await drained(socket, over);
  }
  return sent;
}

async function drained(socket: Socket, over: () => boolean): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      if (over()) done();
    }, 20);
    const done = () => {
      clearInterval(timer);
      socket.off("drain", done);
      socket.off("close", done);
      resolve();
    };
    socket.once("drain", done);
    socket.once("close", done);
    if (socket.destroyed) done();
  });
}

/** As many as wanted, at a time. */
export function many<T>(count: number, make: (i: number) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, i) => make(i)));
}
