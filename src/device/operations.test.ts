import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { readExposition } from "../../test/support/exposition.ts";
import { serveCloud } from "../cloud/server.ts";
import { ToyPassEngine } from "../engine/toy/pass-engine.ts";
import { toSeed } from "../sampling/random.ts";
import { systemClock } from "../transport/node/clock.ts";
import { CloudOperations } from "./operations.ts";

const folder = mkdtempSync(join(tmpdir(), "picospec-device-operations-"));
afterAll(() => rmSync(folder, { recursive: true }));

const language = {
  seed: toSeed(1),
  vocabularySize: 64,
  order: 3,
  spread: 6,
  divergence: 2,
  contextTokens: 500,
};

it("a cloud's operations are there before it, follow it, and are closed after it", async () => {
  const trace = join(folder, "trace.json");
  const operations = await CloudOperations.open({ metricsPort: 0, trace });
  const ask = async (path: string) => {
    const response = await fetch(`${operations.url}${path}`);
    return [response.status, await response.text()] as const;
  };
  expect(await ask("/readyz")).toEqual([503, "the model is being loaded\n"]);
  const server = await serveCloud({
    model: new ToyPassEngine(language, systemClock, { kvSlots: 3 }),
    description: { name: "toy", fingerprint: "toy", endTokens: [], chatTemplate: null },
    ...{ port: 0, server: "test", observer: operations.observer },
  });
  operations.serving(server.cloud, 3);
  expect(await ask("/readyz")).toEqual([200, "ok\n"]);
  const { samples } = readExposition((await ask("/metrics"))[1]);
  expect(samples.get("picospec_cloud_kv_slots")).toBe(3);
  operations.draining();
  expect(await ask("/readyz")).toEqual([503, "draining\n"]);
  await server.close();
  expect((await ask("/healthz"))[0]).toBe(200);
  const { url } = operations;
  await operations.close();
  await expect(fetch(`${url}/healthz`)).rejects.toThrow();
  expect(JSON.parse(readFileSync(trace, "utf8"))).toHaveLength(2);
});

it("there is no port, no log and no file unless they are asked for", async () => {
  const operations = await CloudOperations.open();
  expect(operations.url).toBe(null);
  await operations.close();
});

it("options that cannot be are refused, and leave no file open", async () => {
  await expect(CloudOperations.open({ metricsPort: 70_000 })).rejects.toMatchObject({ code: "bad_setting" });
  await expect(CloudOperations.open({ trace: join(folder, "no/such") })).rejects.toMatchObject({
    code: "cannot_write",
  });
  const taken = await CloudOperations.open({ metricsPort: 0 });
  const metricsPort = Number(new URL(taken.url!).port);
  await expect(CloudOperations.open({ metricsPort })).rejects.toMatchObject({ code: "cannot_listen" });
  await taken.close();
});
