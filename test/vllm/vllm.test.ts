import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect, createServer, type Server, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { chiSquare } from "../../lab/models/statistics.ts";
import type { VllmEngine } from "../../src/engine/vllm/engine.ts";
import { createCloud, createEdge, type DeviceCloud, type DeviceEdge } from "../../src/node.ts";
import { keepDrafting } from "../support/drafting.ts";
import {
  complete,
  post,
  prompts,
  type RealVllm,
  SECRET,
  startTogether,
  startVllm,
  vllmEnvironment,
} from "../support/real-vllm.ts";
import { ask, type Drafts, engineBefore, following, together, VOCABULARY } from "../support/vllm-runs.ts";
import { draws } from "../support/world.ts";

/** The adapter before a real, unmodified vLLM with the plugin, compared with a vLLM that has no part of PicoSpec. */

keepDrafting();

const PROMPTS = process.env.PICOSPEC_TEST_FULL ? 40 : 8;
const TOKENS = 40;

let plain: RealVllm;
let served: RealVllm;
let engine: VllmEngine;
let asked: number[][];
/** what vLLM alone says */
let alone: number[][];

beforeAll(async () => {
  [plain, served] = (await startTogether([startVllm(false), startVllm(true, ["--enable-scale-out"])])) as [
    RealVllm,
    RealVllm,
  ];
  engine = await engineBefore(served);
  asked = await prompts(plain.url, PROMPTS);
  alone = await together(asked, (prompt) =>
    complete(plain.url, { prompt, max_tokens: TOKENS, temperature: 0 }),
  );
});
afterAll(async () => {
  engine?.close();
  await Promise.all([plain?.stop(), served?.stop()]);
});

const random = draws(17);
const anyToken = () => 3 + Math.floor(random() * (VOCABULARY - 3));

/** Drafts of each kind, given what the target will say. */
const KINDS: Record<string, (truth: readonly number[], done: readonly number[]) => ReturnType<Drafts>> = {
  right: (truth, done) => following(truth)(done),
  wrong: (truth, done) => ({
    at: done.length,
    tokens: truth.slice(done.length, done.length + 12).map((token) => (token + 7) % 40_000),
  }),
  "now and then wrong": (truth, done) => ({
    at: done.length,
    tokens: truth.slice(done.length, done.length + 12).map((token) => (random() < 0.3 ? anyToken() : token)),
  }),
  random: (_, done) => ({ at: done.length, tokens: Array.from({ length: 8 }, anyToken) }),
  // For what is committed already, and a few more.
  late: (truth, done) => {
    const at = Math.max(0, done.length - 5);
    return { at, tokens: truth.slice(at, done.length + 3) };
  },
};

describe("greedy text is vLLM's own", () => {
  it("without drafts", async () => {
    const runs = await together(asked, (prompt) => ask(engine, { prompt, maxTokens: TOKENS }));
    expect(runs.map(({ tokens }) => tokens)).toEqual(alone);
  });

  it.each(Object.keys(KINDS))("with drafts that are %s", async (kind) => {
    const runs = await together(asked, (prompt, i) =>
      ask(engine, { prompt, maxTokens: TOKENS, drafts: (done) => KINDS[kind]!(alone[i]!, done) }),
    );
    expect(runs.map(({ tokens }) => tokens)).toEqual(alone);
    const [tokens, steps] = [
      runs.flatMap((one) => one.tokens).length,
      runs.reduce((n, one) => n + one.steps, 0),
    ];
    // It did take them.
    if (kind === "right") expect(steps).toBeLessThan(tokens / 2);
  });
});

describe("sampled text has vLLM's own distribution", () => {
  const SAMPLES = process.env.PICOSPEC_TEST_FULL ? 3000 : 400;
  /** False alarms: one in so many runs. */
  const ALPHA = 1e-4;

  /** The likeliest tokens after a prompt, with their probabilities among themselves. */
  async function top(prompt: readonly number[], count: number): Promise<[number, number][]> {
    const wanted = { max_tokens: 1, logprobs: count, temperature: 0, return_tokens_as_token_ids: true };
    const { json } = await post(plain.url, "/v1/completions", { model: "smollm2", prompt, ...wanted });
    const [choice] = json.choices as { logprobs: { top_logprobs: Record<string, number>[] } }[];
    const list = Object.entries(choice!.logprobs.top_logprobs[0]!)
      .map(
        ([name, logprob]) => [Number(name.slice("token_id:".length)), Math.exp(logprob)] as [number, number],
      )
      .sort((a, b) => b[1] - a[1])
      .slice(0, count);
    const total = list.reduce((sum, [, p]) => sum + p, 0);
    return list.map(([token, p]) => [token, p / total]);
  }

  it("of the first two tokens, with drafts that are right as often as they are likely", async () => {
    const prompt = asked[0]!;
    const K = 4;
    const expected = new Map<string, number>();
    const next = new Map<number, [number, number][]>();
    for (const [first, p] of await top(prompt, K)) {
      const after = await top([...prompt, first], K);
      next.set(first, after);
      for (const [second, q] of after) expected.set(`${first} ${second}`, p * q);
    }
    const counts = new Map<string, number>();
    const seeds = Array.from({ length: SAMPLES }, (_, seed) => seed);
    await together(seeds, async (i) => {
      // Now the likeliest, now the least likely of those that are possible.
      const drafts: Drafts = (done) => {
        const after = done.length === 1 ? next.get(done[0]!) : null;
        return after ? { at: 1, tokens: [after[i % K]![0]] } : null;
      };
      const sampler = { temperature: 1, topK: K };
      const { tokens } = await ask(engine, { prompt, maxTokens: 2, sampler, drafts });
      const seen = tokens.join(" ");
      counts.set(seen, (counts.get(seen) ?? 0) + 1);
    });
    expect(chiSquare(counts, expected).pValue).toBeGreaterThan(ALPHA);
    const flat = new Map([...expected].map(([text, p]) => [text, Math.sqrt(p)] as const));
    const total = [...flat.values()].reduce((a, b) => a + b, 0);
    const flatter = new Map([...flat].map(([text, p]) => [text, p / total] as const));
    expect(chiSquare(counts, flatter).pValue).toBeLessThan(ALPHA);
  });
});

describe("an edge", () => {
  let cloud: DeviceCloud;
  let link: { server: Server; sockets: Set<Socket>; port: number };

  beforeAll(async () => {
    cloud = await createCloud({
      ...{ engine: "vllm", urls: [served.url], mailboxes: [served.mailbox!], mailboxSecret: SECRET, port: 0 },
      notice: () => {},
    });
    const sockets = new Set<Socket>();
    const server = createServer((near) => {
      const far = connect(cloud.port, "127.0.0.1");
      for (const socket of [near, far]) {
        sockets.add(socket);
        socket.on("error", () => {});
        socket.on("close", () => [near, far].map((one) => one.destroy()));
      }
      near.pipe(far);
      far.pipe(near);
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    link = { server, sockets, port: (server.address() as AddressInfo).port };
  });
  afterAll(async () => {
    link?.server.close();
    await cloud?.close();
  });

  async function edgeAt(port: number): Promise<DeviceEdge> {
    const { gguf } = vllmEnvironment();
    const made = { threads: 1, gpu: "off", model: gguf, cloud: `ws://127.0.0.1:${port}` } as const;
    return createEdge({ ...made, drafter: "model" });
  }

  /** As vLLM answers a chat by itself. */
  async function chat(content: string, maxTokens: number): Promise<string> {
    const messages = [{ role: "user", content }];
    const body = { model: "smollm2", messages, max_tokens: maxTokens, temperature: 0 };
    const { json } = await post(plain.url, "/v1/chat/completions", body);
    return (json.choices as { message: { content: string } }[])[0]!.message.content;
  }

  it("with a GGUF drafter of the family gets vLLM's own text", async () => {
    const edge = await edgeAt(cloud.port);
    try {
      for (const content of ["Explain why the sky is blue.", "Zähle fünf Früchte auf: 12, 345, 6789!"]) {
        const request = {
          prompt: [{ role: "user", content }],
          maxTokens: 60,
          sampler: { temperature: 0 },
        } as const;
        const race = await edge.ask({ ...request, policy: "race" });
        expect(race.text).toBe(await chat(content, 60));
        // A drafter as large as the target is in time now and then only; what comes in time is mostly right.
        const { accepted, rejected } = race.statistics;
        expect(accepted).toBeGreaterThanOrEqual(rejected);
        expect((await edge.ask({ ...request, policy: "cloud" })).text).toBe(race.text);
      }
    } finally {
      await edge.close();
    }
  });

  it("that loses its link in the middle goes on where it was, with the same text", async () => {
    const edge = await edgeAt(link.port);
    const content = "Write a long story about a lighthouse.";
    try {
      let tokens = 0;
      let text = "";
      const prompt = [{ role: "user", content }] as const;
      const request = { prompt, maxTokens: 120, sampler: { temperature: 0 }, policy: "race" } as const;
      for await (const event of edge.answer(request)) {
        if (event.type !== "text") continue;
        text += event.text;
        const before = tokens;
        tokens += event.tokens.length;
        if ([20, 60].some((at) => before < at && tokens >= at)) {
          for (const socket of link.sockets) socket.destroy();
        }
      }
      expect(text).toBe(await chat(content, 120));
      await expect.poll(() => cloud.openSessions).toBe(0);
    } finally {
      await edge.close();
    }
  });

  it("gets answers that keep to a grammar as vLLM keeps to it", async () => {
    const edge = await edgeAt(cloud.port);
    try {
      const prompt = [{ role: "user", content: "Is water wet? Answer yes or no." }] as const;
      const grammar = { kind: "regex", source: "(yes|no), because [a-z ]{5,30}\\." } as const;
      const { text } = await edge.ask({ prompt, grammar, maxTokens: 40, sampler: { temperature: 0 } });
      expect(text).toMatch(/^(?:yes|no), because [a-z ]{5,30}\.$/);
    } finally {
      await edge.close();
    }
  });
});
