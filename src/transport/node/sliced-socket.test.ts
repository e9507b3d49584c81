import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { expect, test } from "vitest";
import { SlicedSocket } from "./sliced-socket.ts";

/** A connection over loopback, whose server's side is sliced. */
async function pair(): Promise<{ client: Socket; sliced: SlicedSocket }> {
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const [raw] = (await once(server, "connection")) as [Socket];
  server.close();
  return { client, sliced: new SlicedSocket(raw) };
}

test("bytes come in their order, in slices with a turn of the event loop between two", async () => {
  const { client, sliced } = await pair();
  const bytes = Buffer.from(Array.from({ length: 200_000 }, (_, i) => i % 251));
  const slices: Buffer[] = [];
  let [turn, perTurn, most] = [0, 0, 0];
  const count = () => {
    turn++;
    perTurn = 0;
    if (!sliced.destroyed) setImmediate(count);
  };
  setImmediate(count);
  sliced.on("data", (slice: Buffer) => {
    slices.push(slice);
    most = Math.max(most, ++perTurn);
  });
  client.end(bytes);
  await once(sliced, "end");
  expect(Buffer.concat(slices).equals(bytes)).toBe(true);
  expect(Math.max(...slices.map((slice) => slice.length))).toBe(4096);
  // One from the socket and one from what was left of the piece before.
  expect(most).toBeLessThanOrEqual(2);
  expect(turn).toBeGreaterThan(20);
  sliced.destroy();
});

test("a slice that is not read keeps the rest waiting", async () => {
  const { client, sliced } = await pair();
  client.end(Buffer.alloc(64_000));
  await once(sliced, "readable");
  for (let i = 0; i < 50; i++) await new Promise(setImmediate);
  // Node's default for what a stream holds unread, and one slice over it.
  expect(sliced.readableLength).toBeLessThanOrEqual(64 * 1024);
  let bytes = 0;
  for await (const slice of sliced) bytes += (slice as Buffer).length;
  expect(bytes).toBe(64_000);
});

test("what is destroyed drops its rest, and ends the connection", async () => {
  const { client, sliced } = await pair();
  let bytes = 0;
  sliced.on("data", (slice: Buffer) => {
    bytes += slice.length;
    sliced.destroy();
  });
  client.on("error", () => {});
  client.write(Buffer.alloc(60_000));
  await once(client, "close");
  expect(bytes).toBe(4096);
});

test("what is written before the last answer's end arrives", async () => {
  const { client, sliced } = await pair();
  const got: Buffer[] = [];
  client.on("data", (bytes) => got.push(bytes));
  sliced.write("the answer");
  sliced.destroySoon();
  await once(client, "close");
  expect(Buffer.concat(got).toString()).toBe("the answer");
});
