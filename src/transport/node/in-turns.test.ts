import { expect, test } from "vitest";
import type { Transport, TransportHandlers } from "../transport.ts";
import { inTurns } from "./in-turns.ts";

/** A transport that says what it is told to, and a socket that knows whether it is held. */
function fake() {
  let handlers: TransportHandlers | null = null;
  const socket = {
    held: false,
    hold() {
      this.held = true;
    },
    release() {
      this.held = false;
    },
  };
  const transport: Transport = {
    queuedBytes: 0,
    start: (given) => {
      handlers = given;
    },
    send() {},
    close() {},
  };
  const says = (...all: number[]) => {
    for (const one of all) handlers!.message(Uint8Array.of(one));
  };
  return { transport: inTurns(transport, socket), socket, says, ends: () => handlers!.closed("gone") };
}

/** Takes so long. */
function work(ms: number): void {
  const untilMs = performance.now() + ms;
  while (performance.now() < untilMs);
}

const turn = () => new Promise(setImmediate);

test("messages that cost little are handled at once", () => {
  const { transport, socket, says } = fake();
  const heard: number[] = [];
  transport.start({ message: ([one]) => heard.push(one!), closed() {} });
  says(1, 2, 3);
  expect(heard).toEqual([1, 2, 3]);
  expect(socket.held).toBe(false);
});

test("what costs more waits for turns of its own, in its order, and nothing is read meanwhile; the end is told last", async () => {
  const { transport, socket, says, ends } = fake();
  const heard: (number | string)[] = [];
  transport.start({
    message: ([one]) => {
      work(6);
      heard.push(one!);
    },
    closed: (reason) => heard.push(reason),
  });
  says(1, 2, 3);
  ends();
  expect(heard).toEqual([1]);
  expect(socket.held).toBe(true);
  await turn();
  expect(heard).toEqual([1, 2]);
  await turn();
  await turn();
  expect(heard).toEqual([1, 2, 3, "gone"]);
  await turn();
  expect(socket.held).toBe(false);
});

test("after one's own close nothing is told", async () => {
  const { transport, says } = fake();
  const heard: number[] = [];
  transport.start({
    message: ([one]) => {
      work(6);
      heard.push(one!);
    },
    closed() {},
  });
  says(1, 2);
  transport.close();
  for (let i = 0; i < 5; i++) await turn();
  expect(heard).toEqual([1]);
});
