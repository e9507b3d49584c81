import { EventEmitter } from "node:events";
import type { Duplex } from "node:stream";
import { describe, expect, it } from "vitest";
import type { WebSocket } from "ws";
import { TRAFFIC_LIMITS, Traffic } from "./traffic.ts";

const MB = 1024 * 1024;

/** What is used of a socket, and what was done to it. */
class FakeSocket extends EventEmitter {
  bufferedAmount = 0;
  readonly done: string[] = [];
  close = (code: number) => void this.done.push(`close ${code}`);
  terminate = () => void this.done.push("terminate");
  pause = () => void this.done.push("pause");
  resume = () => void this.done.push("resume");
  destroy = () => {
    this.done.push("destroy");
    this.emit("close");
  };
}

function connection(traffic: Traffic, isGreeted = true) {
  const [raw, socket] = [new FakeSocket(), new FakeSocket()];
  const flow = traffic.upgraded(raw as unknown as Duplex, socket as unknown as WebSocket);
  if (isGreeted) flow.greet();
  return { raw, socket, flow };
}

describe("a connection's unfinished message", () => {
  it("is small before hello, and may be large after it", () => {
    const traffic = new Traffic();
    const { flow, socket } = connection(traffic, false);
    flow.piece(60_000);
    expect(socket.done).toEqual([]);
    flow.piece(10_000);
    expect(socket.done).toEqual(["close 1009", "terminate"]);
    const greeted = connection(traffic);
    for (let i = 0; i < 256; i++) greeted.flow.piece(64 * 1024);
    greeted.flow.whole();
    for (let i = 0; i < 256; i++) greeted.flow.piece(64 * 1024);
    expect(greeted.socket.done).toEqual([]);
    for (let i = 0; i < 256; i++) greeted.flow.piece(64 * 1024);
    expect(greeted.socket.done).toContain("close 1009");
  });

  it("costs more in small pieces", () => {
    const { flow, socket } = connection(new Traffic(), false);
    for (let i = 0; i < 300; i++) flow.piece(1);
    expect(socket.done).toContain("terminate");
  });
});

describe("all unfinished messages", () => {
  it("are bounded in their sum: the largest goes, and no other", () => {
    const traffic = new Traffic();
    const small = connection(traffic);
    small.flow.piece(MB);
    const large = Array.from({ length: 12 }, () => connection(traffic));
    for (const { flow } of large) for (let i = 0; i < 10; i++) flow.piece(MB);
    const dropped = large.filter(({ socket }) => socket.done.length > 0);
    expect(dropped.length).toBe(6);
    expect(small.socket.done).toEqual([]);
    const held = [small, ...large].filter(({ socket }) => socket.done.length === 0);
    expect(held.reduce((sum, { flow }) => sum + flow.unfinishedBytes, 0)).toBeLessThanOrEqual(
      TRAFFIC_LIMITS.allUnfinishedBytes,
    );
  });

  it("are given back with their connections", () => {
    const traffic = new Traffic();
    for (let i = 0; i < 100; i++) {
      const { flow, socket } = connection(traffic);
      flow.piece(10 * MB);
      socket.emit("close");
      expect(socket.done).toEqual([]);
    }
  });
});

describe("output that is not read", () => {
  it("stops the reading of its peer until it is read", () => {
    const { flow, socket, raw } = connection(new Traffic());
    socket.bufferedAmount = 2 * MB;
    flow.sent();
    flow.sent();
    expect(socket.done).toEqual(["pause"]);
    expect(flow.deaf).toBe(true);
    socket.bufferedAmount = 0;
    raw.emit("drain");
    expect(socket.done).toEqual(["pause", "resume"]);
    expect(flow.deaf).toBe(false);
  });

  it("is stuck when less of it does not come", () => {
    const { flow, socket } = connection(new Traffic());
    socket.bufferedAmount = 4 * MB;
    flow.sent();
    expect(flow.stuck).toBe(false);
    socket.bufferedAmount = 3 * MB;
    expect(flow.stuck).toBe(false);
    expect(flow.stuck).toBe(true);
  });

  it("is bounded in its sum: who has most of it goes", () => {
    const traffic = new Traffic();
    const all = Array.from({ length: 30 }, () => connection(traffic));
    const most = all[7]!;
    for (const { socket } of all) socket.bufferedAmount = 2 * MB;
    most.socket.bufferedAmount = 8 * MB;
    all[3]!.flow.sent();
    expect(most.socket.done).toEqual(["close 1008", "terminate"]);
    expect(all.filter(({ socket }) => socket.done.includes("terminate"))).toEqual([most]);
  });
});

describe("sockets before their handshake", () => {
  it("are bounded: the oldest goes", () => {
    const traffic = new Traffic();
    const sockets = Array.from({ length: TRAFFIC_LIMITS.sockets + 2 }, () => new FakeSocket());
    for (const socket of sockets) traffic.opened(socket as unknown as Duplex);
    expect(sockets.filter(({ done }) => done.length > 0)).toEqual(sockets.slice(0, 2));
    expect(traffic.sockets).toBe(TRAFFIC_LIMITS.sockets);
  });
});
