import { afterAll, beforeAll, expect, it } from "vitest";
import { type CloudServer, serveCloud } from "../../src/cloud/server.ts";
import { createEdge } from "../../src/device/edge.ts";
import { readModelFile } from "../../src/engine/llama/gguf.ts";
import { ToyPassEngine } from "../../src/engine/toy/pass-engine.ts";
import { toSeed } from "../../src/sampling/random.ts";
import { systemClock } from "../../src/transport/node/clock.ts";
import { ownCache } from "../support/own-cache.ts";
import { DRAFTER } from "../support/processes.ts";

/** A cloud whose chat template never ends. */

const LOOPS = "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}";
const LANGUAGE = {
  ...{ seed: toSeed(1), vocabularySize: 2048, order: 3, spread: 6, divergence: 2, contextTokens: 4000 },
};
let server: CloudServer;

ownCache();

beforeAll(async () => {
  const { fingerprint } = await readModelFile(DRAFTER);
  server = await serveCloud({
    model: new ToyPassEngine(LANGUAGE, systemClock, { kvSlots: 2 }),
    description: { name: "toy", fingerprint, endTokens: [], chatTemplate: LOOPS },
    ...{ port: 0, server: "attacker" },
  });
});
afterAll(() => server.close());

it("costs its question; others are answered meanwhile, and afterwards", async () => {
  await using edge = await createEdge({ cloud: server.url, model: DRAFTER, threads: 1, gpu: "off" });
  const prompt = [{ role: "user", content: "Hello!" }] as const;
  const ended: string[] = [];
  const stuck = edge
    .ask({ prompt, maxTokens: 4 })
    .catch((error) => error)
    .finally(() => ended.push("stuck"));
  const raw = edge.ask({ prompt, raw: true, maxTokens: 4, seed: 1 }).finally(() => ended.push("raw"));
  expect((await raw).tokens).toHaveLength(4);
  expect(await stuck).toMatchObject({ name: "TemplateError", code: "template" });
  expect(ended).toEqual(["raw", "stuck"]);
  // Not through the cloud's template: the small model has its own.
  expect((await edge.ask({ prompt, policy: "edge", maxTokens: 4 })).tokens).toHaveLength(4);
});

it("does not keep an answer that was cancelled, or an edge that is closed", async () => {
  const edge = await createEdge({ cloud: server.url, model: DRAFTER, threads: 1, gpu: "off" });
  const prompt = [{ role: "user", content: "Hello!" }] as const;
  const enough = new AbortController();
  const first = edge.ask({ prompt, signal: enough.signal });
  enough.abort();
  expect((await first).reason).toBe("cancelled");
  const second = edge.ask({ prompt });
  await edge.close();
  expect((await second).reason).toBe("cancelled");
});
