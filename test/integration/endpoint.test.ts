import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DRAFTER, type RunningCloud, startCloud, startEdge } from "../support/processes.ts";

/** The endpoint as plain HTTP: what README shows, who may ask, and many at a time. */

let cloud: RunningCloud;
let edge: RunningCloud;
beforeAll(async () => {
  cloud = await startCloud();
  edge = await startEdge([
    "--cloud",
    cloud.url,
    "--model",
    DRAFTER,
    ...["--concurrent", "16", "--waiting", "64", "--reconnect", "1"],
  ]);
});
afterAll(async () => {
  await edge?.stop();
  await cloud?.stop();
});

const STORY = { messages: [{ role: "user", content: "Tell me a story about a frog and a lantern." }] };
interface Chat {
  readonly choices: readonly { readonly message: { readonly content: string } }[];
  readonly usage: { readonly prompt_tokens_details: { readonly cached_tokens: number } };
}

async function ask(more: object, signal?: AbortSignal): Promise<Response> {
  return fetch(`${edge.url}/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...STORY, ...more }),
    ...(signal ? { signal } : {}),
  });
}
const said = async (more: object) => ((await (await ask(more)).json()) as Chat).choices[0]!.message.content;
const root = () => edge.url.replace("/v1", "");

describe("README's curl examples", () => {
  const README = readFileSync("README.md", "utf8");
  const examples = [...README.matchAll(/```bash\n(curl [\s\S]*?)```/g)].map(([, command]) => command!);

  it.each(examples.map((command) => [command.trim()]))("works: %s", async (command) => {
    const here = command.replace("http://127.0.0.1:8080/v1", edge.url);
    expect(here).toContain(edge.url);
    const { stdout } = await promisify(execFile)("bash", ["-c", here.replace(/^curl/, "curl -sS")]);
    if (command.includes('"stream": true')) {
      expect(stdout).toMatch(/^data: \{/);
      expect(stdout.trimEnd()).toMatch(/data: \[DONE\]$/);
    } else {
      const { choices } = JSON.parse(stdout) as Chat;
      expect(Object.keys(JSON.parse(choices[0]!.message.content))).toEqual(["name", "age"]);
    }
  });

  it("are there", () => {
    expect(examples.length).toBeGreaterThanOrEqual(2);
  });
});

describe("the endpoint", () => {
  it("says how it is, in JSON and for Prometheus", async () => {
    await said({ max_tokens: 4 });
    expect(await (await fetch(`${root()}/health`)).json()).toMatchObject({
      status: "ok",
      active: 0,
      waiting: 0,
    });
    const metrics = await (await fetch(`${root()}/metrics`)).text();
    expect(metrics).toMatch(/^picospec_requests_total\{path="\/v1\/chat\/completions",status="200"\} \d+$/m);
    expect(metrics).toMatch(/^picospec_completion_tokens_total \d+$/m);
    expect(metrics).toMatch(/^picospec_time_to_first_token_seconds_count \d+$/m);
  });

  it("refuses what is no request, and goes on", async () => {
    const status = async (path: string, init: RequestInit) => (await fetch(`${root()}${path}`, init)).status;
    expect(await status("/v1/chat/completions", { method: "POST", body: "{" })).toBe(400);
    expect(await status("/v1/chat/completions", {})).toBe(405);
    expect(await status("/v1/models", { method: "POST", body: "{}" })).toBe(405);
    expect(await status("/v1/nothing", {})).toBe(404);
    expect(await status("/v1/models", { headers: { origin: "https://evil.example" } })).toBe(403);
    expect(await status("/v1/chat/completions", { method: "POST", body: "x".repeat(9 * 1024 * 1024) })).toBe(
      413,
    );
    expect(await status("/v1/models", {})).toBe(200);
  });

  it("takes a client that goes in the middle of its request for no fault of its own, however many do", async () => {
    const { hostname, port } = new URL(root());
    const leave = () =>
      new Promise<void>((resolve) => {
        const socket = connect({ host: hostname, port: Number(port) });
        const head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{";
        socket.on("error", () => {}).on("close", () => resolve());
        socket.write(head, () => setImmediate(() => socket.resetAndDestroy()));
      });
    // More than the faults after which a process gives up.
    for (let i = 0; i < 80; i++) await leave();
    const status = await (await fetch(`${root()}/metrics`)).text();
    expect(status).not.toMatch(/code="internal_error"/);
    expect(await said({ max_tokens: 4 })).not.toBe("");
  });

  it("answers 48 requests at a time, each with its own text, and loses none", async () => {
    const alone = await Promise.all(
      [0, 1, 2, 3].map((seed) => said({ seed, temperature: 1, max_tokens: 24 })),
    );
    expect(new Set(alone).size).toBe(4);
    const together = await Promise.all(
      Array.from({ length: 48 }, (_, i) => said({ seed: i % 4, temperature: 1, max_tokens: 24 })),
    );
    expect(together).toEqual(together.map((_, i) => alone[i % 4]));
  });

  it("turns away who comes when too many wait, in one line, and lets them in later", async () => {
    const abort = new AbortController();
    const many = Array.from({ length: 100 }, () => ask({ max_tokens: 300, temperature: 1 }, abort.signal));
    const settled = Promise.allSettled(many);
    const full = await Promise.any(
      many.map(async (asked) => {
        const response = await asked;
        if (response.status !== 429) throw new Error("let in");
        return response;
      }),
    );
    expect(full.headers.get("retry-after")).toBe("1");
    expect(await full.json()).toMatchObject({
      error: { type: "rate_limit_error", code: "rate_limit_exceeded" },
    });
    abort.abort();
    await settled;
    const health = async () =>
      (await (await fetch(`${root()}/health`)).json()) as { active: number; waiting: number };
    await expect.poll(health).toMatchObject({ active: 0, waiting: 0 });
    expect(await said({ max_tokens: 4 })).not.toBe("");
  });

  it("says that the cloud is away, and goes on when it is there again", async () => {
    const greedy = { temperature: 0, max_tokens: 12 };
    const before = await said(greedy);
    await cloud.stop();
    const away = await ask(greedy);
    expect(away.status).toBe(503);
    expect(await away.json()).toMatchObject({ error: { type: "server_error" } });
    cloud = await startCloud(["--port", String(cloud.port)]);
    expect(await said(greedy)).toBe(before);
  });
});
