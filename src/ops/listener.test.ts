import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { listenForOps, type OpsListener } from "./listener.ts";

let problem: string | null = "the model is being loaded";
let listener: OpsListener;
beforeAll(async () => {
  listener = await listenForOps({
    ...{ host: "127.0.0.1", port: 0 },
    notReady: () => problem,
    metrics: async () => "# TYPE x counter\nx 1\n",
  });
});
afterAll(() => listener.close());

/** @returns status and body */
function ask(path: string, headers: Record<string, string> = {}, method = "GET"): Promise<[number, string]> {
  return new Promise((done, fail) => {
    const asked = request({ host: "127.0.0.1", port: listener.port, path, headers, method }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => done([response.statusCode!, text]));
    });
    asked.on("error", fail);
    asked.end();
  });
}

describe("the port of probes and metrics", () => {
  it("lives before it is ready, and says why it is not", async () => {
    expect(await ask("/healthz")).toEqual([200, "ok\n"]);
    expect(await ask("/readyz")).toEqual([503, "the model is being loaded\n"]);
    problem = null;
    expect(await ask("/readyz")).toEqual([200, "ok\n"]);
    problem = "draining";
    expect(await ask("/readyz")).toEqual([503, "draining\n"]);
    expect(await ask("/healthz")).toEqual([200, "ok\n"]);
  });

  it("has the metrics, and nothing else", async () => {
    expect(await ask("/metrics")).toEqual([200, "# TYPE x counter\nx 1\n"]);
    expect((await ask("/metrics?x=1"))[0]).toBe(200);
    for (const path of ["/", "/v1/models", "/health", "//", "/../metrics/x"])
      expect((await ask(path))[0]).toBe(404);
    expect((await ask("/metrics", {}, "POST"))[0]).toBe(405);
  });

  it("is out of reach of web pages: by their origin, and by a name of theirs that leads here", async () => {
    expect((await ask("/metrics", { origin: "https://evil.example" }))[0]).toBe(403);
    expect((await ask("/metrics", { host: "evil.example:9000" }))[0]).toBe(403);
    expect((await ask("/metrics", { host: "localhost:9000" }))[0]).toBe(200);
    expect((await ask("/metrics", { host: "10.0.0.7:9000" }))[0]).toBe(200);
  });

  it("refuses a port that is taken, with a word on what to do", async () => {
    const { port } = listener;
    const again = listenForOps({ host: "127.0.0.1", port, notReady: () => null, metrics: async () => "" });
    await expect(again).rejects.toMatchObject({
      code: "cannot_listen",
      message: expect.stringContaining("choose another --metrics-port"),
    });
  });
});
