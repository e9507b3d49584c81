import { EventEmitter } from "node:events";
import { expect, it } from "vitest";
import { VirtualClock } from "../util/virtual-clock.ts";
import { discardRest } from "./discard.ts";

class Request extends EventEmitter {
  complete = false;
  flowing = false;
  resume(): void {
    this.flowing = true;
  }
  pause(): void {
    this.flowing = false;
  }
}

async function ended(promise: Promise<void>): Promise<boolean> {
  let over = false;
  void promise.then(() => (over = true));
  for (let i = 0; i < 5; i++) await Promise.resolve();
  return over;
}

it("the rest of a refused request is read until it ends, and not for long", async () => {
  const clock = new VirtualClock();
  const [whole, slow] = [new Request(), new Request()];
  const discarded = discardRest(whole, clock);
  whole.emit("data", new Uint8Array(1000));
  expect([whole.flowing, await ended(discarded)]).toEqual([true, false]);
  whole.emit("end");
  expect([whole.flowing, await ended(discarded)]).toEqual([false, true]);
  const waited = discardRest(slow, clock);
  clock.run(1999);
  expect(await ended(waited)).toBe(false);
  clock.run(2000);
  expect(await ended(waited)).toBe(true);
});

it.each([
  ["bytes", 1024 * 1024, 32],
  ["pieces", 1, 4096],
])("the rest of a refused request is read up to a bound of %s", async (_, pieceBytes, pieces) => {
  const request = new Request();
  const discarded = discardRest(request, new VirtualClock());
  const piece = new Uint8Array(pieceBytes);
  for (let i = 0; i < pieces; i++) request.emit("data", piece);
  expect(await ended(discarded)).toBe(false);
  request.emit("data", piece);
  expect(await ended(discarded)).toBe(true);
  expect(request.listenerCount("data")).toBe(0);
});
