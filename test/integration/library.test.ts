import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createCloud } from "../../src/device/cloud.ts";
import { createEdge, type DeviceEdge } from "../../src/device/edge.ts";
import type { AnswerRequest } from "../../src/edge/edge.ts";
import { listen } from "../../src/transport/node/socket.ts";
import { DRAFTER, finished, type RunningCloud, startCloud, TARGET } from "../support/processes.ts";

/** `createEdge` against a real cloud: what a program that uses the library relies on. */

const STORY = [{ role: "user", content: "Tell me a story about a frog and a lantern." }] as const;

let cloud: RunningCloud;
beforeAll(async () => {
  cloud = await startCloud();
});
afterAll(async () => {
  await cloud?.stop();
});

const open = (more: object = {}) =>
  createEdge({ cloud: cloud.url, model: DRAFTER, threads: 1, gpu: "off", ...more });

async function withEdge(more: object, use: (edge: DeviceEdge) => Promise<void>): Promise<void> {
  const edge = await open(more);
  try {
    await use(edge);
  } finally {
    await edge.close();
  }
}

/** Why an answer ended, when `after` so many events something is done. */
async function endOf(edge: DeviceEdge, request: AnswerRequest, after: number, act: () => void) {
  let events = 0;
  for await (const event of edge.answer(request)) {
    if (++events === after) act();
    if (event.type === "end") return event.end.reason;
  }
  return null;
}

describe("createEdge", () => {
  it("answers the same for a seed, whatever it is written as, all at once and as events", async () => {
    await withEdge({}, async (edge) => {
      const ask = (seed: number | bigint) => edge.ask({ prompt: STORY, seed, maxTokens: 40 });
      const [one, other, third] = [await ask(7), await ask(7n), await ask(8)];
      expect(one.text).toBe(other.text);
      expect(one.text).not.toBe(third.text);
      expect(one.tokens.map(({ text }) => text).join("")).toBe(one.text);
      let streamed = "";
      for await (const event of edge.answer({ prompt: STORY, seed: 7, maxTokens: 40 })) {
        if (event.type === "text") streamed += event.text;
      }
      expect(streamed).toBe(one.text);
    });
  });

  it("takes a policy by name for each question, also where the small model answers the others", async () => {
    await withEdge({ policy: "edge" }, async (edge) => {
      const ask = (policy?: "race" | "cloud") =>
        edge.ask({ prompt: STORY, seed: 3, maxTokens: 40, ...(policy ? { policy } : {}) });
      const [own, race, alone] = [await ask(), await ask("race"), await ask("cloud")];
      expect(race.text).toBe(alone.text);
      expect(own.text).not.toBe(race.text);
      await expect(ask("fast" as "race")).rejects.toThrow(/unknown policy "fast"/);
    });
  });

  it("answers offline, and without a model of its own", async () => {
    const offline = await createEdge({ model: DRAFTER, threads: 1, gpu: "off" });
    expect((await offline.ask({ prompt: STORY, maxTokens: 8 })).tokens).toHaveLength(8);
    await expect(offline.ask({ prompt: STORY, policy: "race" })).rejects.toThrow(/needs a cloud/);
    await offline.close();
    const modelless = await createEdge({ cloud: cloud.url, drafter: "lookup" });
    expect((await modelless.ask({ prompt: STORY, maxTokens: 8 })).tokens).toHaveLength(8);
    await modelless.close();
  });

  it.each([
    "race",
    "edge",
  ] as const)("an AbortSignal ends an answer of %s, and the edge goes on", async (policy) => {
    await withEdge({ policy }, async (edge) => {
      const enough = new AbortController();
      const request = { prompt: STORY, sampler: { temperature: 2 }, signal: enough.signal };
      expect(await endOf(edge, request, 3, () => enough.abort())).toBe("cancelled");
      expect(await endOf(edge, { ...request, signal: AbortSignal.abort() }, 9, () => {})).toBe("cancelled");
      expect((await edge.ask({ prompt: STORY, maxTokens: 4 })).tokens).toHaveLength(4);
    });
  });

  it.each([
    "race",
    "edge",
  ] as const)("closing it ends what is under way (%s), and refuses what comes", async (policy) => {
    const edge = await open({ policy });
    let closing: Promise<void> | null = null;
    const request = { prompt: STORY, sampler: { temperature: 2 } };
    expect(await endOf(edge, request, 3, () => (closing = edge.close()))).toBe("cancelled");
    await closing;
    await edge.close();
    await expect(edge.ask({ prompt: "x" })).rejects.toThrow(/this edge was closed; make another/);
  });
});

describe("createCloud", () => {
  const openCloud = (more: object = {}) =>
    createCloud({ model: TARGET, port: 0, threads: 1, gpu: "off", kvSlots: 1, ...more });
  const GRAMMAR = 'root ::= "yes" | "no"';

  it("gives the texts of picospec cloud, its grammars and its tokenizer", async () => {
    await using own = await openCloud();
    const question = { prompt: STORY, seed: 7, maxTokens: 40 };
    const texts: string[] = [];
    for (const url of [own.url, cloud.url]) {
      await using edge = await createEdge({ cloud: url, drafter: "lookup" });
      texts.push((await edge.ask(question)).text);
      expect(["yes", "no"]).toContain((await edge.ask({ prompt: STORY, grammar: GRAMMAR })).text);
    }
    expect(texts[0]).toBe(texts[1]);
  });

  it("closes its server, which edges hear of, at the end of its block and only once", async () => {
    let port = 0;
    {
      await using own = await openCloud();
      port = own.port;
      await own.close();
    }
    const again = await listen({ host: "127.0.0.1", port, connected: () => {} });
    await expect(openCloud({ port })).rejects.toMatchObject({ code: "port_in_use" });
    await again.close();
  });
});

describe("README", () => {
  const [edgeExample, cloudExample] = [
    ...readFileSync("README.md", "utf8").matchAll(/^```js\n(.*?)^```$/gms),
  ].map((match) => match[1]!);
  const program = (text: string) => spawn(process.execPath, ["--input-type=module", "--eval", text]);

  it("has an edge and a cloud that work together", async () => {
    const server = program(cloudExample!.replace("large.gguf", TARGET).replace("4747", "0"));
    const ended = finished(server);
    const url = await new Promise<string>((said) => {
      server.stdout.on("data", (chunk) => said(/listening on (\S+)/.exec(String(chunk))![1]!));
    });
    try {
      const example = edgeExample!.replace("small.gguf", DRAFTER).replace("ws://127.0.0.1:4747", url);
      const { status, stdout } = await finished(program(example));
      expect(status).toBe(0);
      expect(stdout).toMatch(/\n(end|length): \d+ tokens, \d+ of them drafted here\n$/);
    } finally {
      server.kill("SIGTERM");
    }
    expect(await ended).toMatchObject({ status: 0, stderr: "" });
  });
});
