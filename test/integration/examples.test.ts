import { type ChildProcess, spawn } from "node:child_process";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DRAFTER, finished, type RunningCloud, startCloud, startEdge } from "../support/processes.ts";

/** What is in examples/, as a user would run it. */

let cloud: RunningCloud;
beforeAll(async () => {
  cloud = await startCloud();
});
afterAll(async () => {
  await cloud?.stop();
});

const example = (path: string, args: readonly string[]): ChildProcess =>
  spawn(process.execPath, [`examples/${path}`, ...args], { timeout: 120_000 });

describe("examples", () => {
  it("library: an answer, one that is ended early, one under a schema", async () => {
    const { status, stdout, stderr } = await finished(example("library/story.mjs", [cloud.url, DRAFTER]));
    expect(stderr).toBe("");
    expect(status).toBe(0);
    expect(stdout).toMatch(/^\w.{40,}/);
    expect(stdout).toMatch(/^(?:end|length): \d+ tokens, [1-9]\d* of them drafted on this device$/m);
    expect(stdout).toMatch(/^ended early: cancelled$/m);
    expect(stdout).toMatch(/^\[ 'name', 'age' \]$/m);
  });

  it("openai-client: the client as it is, and another base URL", async () => {
    const edge = await startEdge(["--cloud", cloud.url, "--model", DRAFTER]);
    try {
      const { status, stdout, stderr } = await finished(example("openai-client/client.mjs", [edge.url]));
      expect(stderr).toBe("");
      expect(status).toBe(0);
      expect(stdout).toMatch(/^Answer: 13$/m);
      expect(stdout).toMatch(/^\d+ tokens, [1-9]\d* of them drafted on this device$/m);
    } finally {
      await edge.stop();
    }
  });

  it("web-app: its page may ask the endpoint, pages of others may not", async () => {
    const app = example("web-app/server.mjs", [cloud.url, DRAFTER, "0"]);
    const ended = finished(app);
    try {
      const [, origin, endpoint] = await new Promise<RegExpExecArray>((ready, fail) => {
        let said = "";
        app.stdout!.on("data", (chunk) => {
          said += chunk;
          const match = /open (\S+), answered by (\S+)\n/.exec(said);
          if (match) ready(match);
        });
        void ended.then(({ stderr }) => fail(new Error(stderr)));
      });
      const page = await (await fetch(origin!)).text();
      expect(page).toContain(`fetch("${endpoint}/v1/chat/completions"`);
      const ask = (from: string) =>
        fetch(`${endpoint}/v1/chat/completions`, {
          method: "POST",
          headers: { "content-type": "application/json", origin: from },
          body: JSON.stringify({
            messages: [{ role: "user", content: "Hello!" }],
            stream: true,
            max_tokens: 8,
          }),
        });
      const own = await ask(origin!);
      expect(own.headers.get("access-control-allow-origin")).toBe(origin);
      expect(await own.text()).toMatch(/^data: \{[\s\S]*data: \[DONE\]\n\n$/);
      expect((await ask("http://127.0.0.1:1")).status).toBe(403);
    } finally {
      app.kill("SIGTERM");
      expect((await ended).status).toBe(0);
    }
  });
});
