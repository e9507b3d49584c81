import { once } from "node:events";
import { connect } from "node:net";
import { expect, it } from "vitest";
import { serveHttp } from "../../src/api/server.ts";
import { POLICIES } from "../../src/decoding/policy.ts";
import { Edge } from "../../src/edge/edge.ts";
import { toSeed } from "../../src/sampling/random.ts";
import type { Tokenizer } from "../../src/text/tokenizer.ts";
import { systemClock } from "../../src/transport/node/clock.ts";

/** Clients that go before they are answered. */

it("keeps no timer for an answer that nobody waits for", async () => {
  const edge = new Edge({
    ...{ remote: null, local: null, tokenizer: {} as Tokenizer, chatTemplate: null },
    ...{ freshSeed: () => toSeed(1), policy: POLICIES.cloud },
  });
  const server = await serveHttp({
    ...{ edge, freshSeed: () => toSeed(1), concurrent: 1, waiting: 1, clock: systemClock },
    ...{ host: "127.0.0.1", port: 0, guard: { hosts: [], origins: [], apiKey: null } },
    ...{ software: "test", notReady: () => null },
  });
  const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;
  const before = timers();
  for (let i = 0; i < 20; i++) {
    const socket = connect(server.port, "127.0.0.1");
    socket.on("error", () => {});
    // The second request ends the connection, and so the first one's answer is for nobody.
    socket.write("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(2));
    await once(socket, "close");
  }
  // What a socket's end leaves to do is done in a few turns.
  for (let i = 0; i < 100; i++) await new Promise(setImmediate);
  // The server's own, and what the runner of this test may have begun meanwhile.
  expect(timers() - before).toBeLessThanOrEqual(3);
  await server.close();
  await edge.close();
});
