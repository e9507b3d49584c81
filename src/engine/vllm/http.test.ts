import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it, onTestFinished } from "vitest";
import { VirtualClock } from "../../util/virtual-clock.ts";
import { HttpServer } from "./http.ts";

/** A stream that is open, with a deadline of 1 s between events. @param event what is said of one */
async function stream(event: () => boolean) {
  const server = createServer((_, answer) => {
    answer.writeHead(200, { "content-type": "text/event-stream" });
    answer.flushHeaders();
    server.emit("answer", answer);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const clock = new VirtualClock();
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const http = new HttpServer({ url, apiKey: null, clock, limits: { eventMs: 1000 } });
  onTestFinished(() => {
    http.close();
    server.close();
  });
  const told: string[] = [];
  const opened = once(server, "answer") as Promise<[ServerResponse]>;
  http.stream(
    "/",
    {},
    {},
    {
      event() {
        told.push("event");
        return event();
      },
      ended: () => told.push("ended"),
      failed: ({ message }) => told.push(message.replace(url, "it")),
    },
  );
  const [answer] = await opened;
  return { answer, clock, told };
}

it.each([
  [false, "does not renew", ["event", "it has said nothing for 1 s"]],
  [true, "renews", ["event"]],
])("an event that is of use: %s, %s a request's time", async (isOfUse, _, after) => {
  const { answer, clock, told } = await stream(() => isOfUse);
  clock.schedule(900, () => {});
  clock.step();
  answer.write("data: {}\n\n");
  await expect.poll(() => told).toEqual(["event"]);
  clock.run(1000);
  expect(told).toEqual(after);
});

it("an error of who listens fails the stream, and no process", async () => {
  const { answer, told } = await stream(() => {
    throw new TypeError("oops");
  });
  answer.write("data: {}\n\n");
  await expect.poll(() => told).toEqual(["event", "an answer of it cannot be read: oops"]);
});
