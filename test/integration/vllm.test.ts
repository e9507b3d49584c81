import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { Cloud } from "../../src/cloud/driver.ts";
import type { Grammar } from "../../src/decoding/grammar.ts";
import { type DecodingPolicy, POLICIES } from "../../src/decoding/policy.ts";
import type { SessionSettings } from "../../src/decoding/session.ts";
import { connectEdge } from "../../src/edge/connect.ts";
import { ParallelDrafter } from "../../src/edge/drafters/parallel-drafter.ts";
import type { RemoteOpener } from "../../src/edge/opener.ts";
import { ToyDraftModel } from "../../src/engine/toy/draft-model.ts";
import { type ToyLanguage, toyLogits } from "../../src/engine/toy/language.ts";
import type { VllmEngine } from "../../src/engine/vllm/engine.ts";
import { HttpServer } from "../../src/engine/vllm/http.ts";
import type { DoneFrame, ErrorFrame, OpenFrame } from "../../src/protocol/frame.ts";
import { wireLink } from "../../src/protocol/link.ts";
import { toSeed } from "../../src/sampling/random.ts";
import { type SamplerSettings, samplerSettings } from "../../src/sampling/sampler.ts";
import { argmax } from "../../src/sampling/select.ts";
import { memoryPair } from "../../src/transport/memory.ts";
import { systemClock } from "../../src/transport/node/clock.ts";
import type { Clock } from "../../src/util/clock.ts";
import type { FakeRequest } from "../support/fake-vllm.ts";
import { fakePair, SECRET, vllmEngine } from "../support/vllm.ts";

/** The adapter for vLLM, behind a whole cloud, before fake servers on real sockets. */

const language: ToyLanguage = {
  seed: toSeed(21),
  vocabularySize: 24,
  order: 3,
  spread: 8,
  divergence: 2,
  contextTokens: 900,
};

const opened: { close(): unknown }[] = [];

afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

function kept<T extends { close(): unknown }>(one: T): T {
  opened.push(one);
  return one;
}

const pair = async (...given: Parameters<typeof fakePair> extends [unknown, ...infer Rest] ? Rest : never) =>
  kept(await fakePair(language, ...given));
const engineFor = async (given: Parameters<typeof vllmEngine>[1]) => kept(await vllmEngine(language, given));

/** A cloud over the adapter. */
function cloudOf(engine: VllmEngine, endTokens: readonly number[] = [0]): Cloud {
  const description = { name: "toy", fingerprint: "toy", endTokens: [...endTokens], chatTemplate: null };
  return kept(new Cloud({ model: engine, description, clock: systemClock, server: "test" }));
}

const tenantOf = (name: string) => {
  const most = Number.POSITIVE_INFINITY;
  const limits = { sessions: most, tokensPerMinute: most, promptTokens: most, contextTokens: most };
  return { name, keyId: name, weight: 1, limits };
};

async function edgeOf(cloud: Cloud, tenant: string | null = null): Promise<RemoteOpener> {
  const [near, far] = memoryPair(systemClock);
  cloud.accept(far, tenant === null ? null : tenantOf(tenant));
  const drafter = new ParallelDrafter(new ToyDraftModel(language, systemClock));
  return kept(
    await connectEdge({
      ...{ transport: near, tokenizer: { fingerprint: "toy" }, drafter, clock: systemClock, client: "test" },
    }),
  );
}

interface Asked {
  readonly policy?: DecodingPolicy;
  readonly sampler?: Partial<SamplerSettings>;
  readonly maxTokens?: number;
  readonly grammar?: Grammar;
  readonly logprobs?: number;
}

function answer(opener: RemoteOpener, prompt: readonly number[], asked: Asked = {}) {
  const { policy = POLICIES.race, sampler = { temperature: 0 }, maxTokens = 40, grammar, logprobs } = asked;
  return new Promise<{ tokens: number[]; code: string | null; message: string }>((resolve) => {
    const tokens: number[] = [];
    const base = { policy, sampler: samplerSettings(sampler), seed: toSeed(1), maxTokens };
    const settings: SessionSettings = {
      ...base,
      ...(grammar ? { grammar } : {}),
      ...(logprobs === undefined ? {} : { logprobs }),
    };
    opener.open(settings, Int32Array.from(prompt), {
      token: (token) => tokens.push(token),
      finished: (outcome) => {
        const failed = outcome.kind === "failed";
        resolve({ tokens, code: failed ? outcome.code : null, message: failed ? outcome.message : "" });
      },
    });
  });
}

/** The likeliest text. @param never a token that does not come */
function likeliest(prompt: readonly number[], maxTokens = 40, never = -1): number[] {
  const tokens = [...prompt];
  while (tokens.length < prompt.length + maxTokens) {
    const row = toyLogits(language, tokens, "target");
    if (never >= 0) row[never] = -100;
    const token = argmax(row);
    tokens.push(token);
    if (token === 0) break;
  }
  return tokens.slice(prompt.length);
}

/** A prompt whose likeliest text is long. */
const LONG = Array.from({ length: 500 }, (_, i) => [
  1 + (i % 23),
  1 + ((i * 7) % 23),
  1 + ((i * 5) % 23),
]).find((prompt) => likeliest(prompt).length === 40)!;

describe("a gateway says what is wrong, and what to do, where", () => {
  it("no server is there", async () => {
    const { server } = await pair();
    const { url } = server;
    await opened.pop()!.close();
    await expect(vllmEngine(language, { urls: [url] })).rejects.toThrow(
      /ECONNREFUSED.*Start it, or correct --url/,
    );
  });

  it("the key is another one", async () => {
    const { server } = await pair({ apiKey: "right" });
    const urls = [server.url];
    await expect(vllmEngine(language, { urls, apiKey: "wrong" })).rejects.toThrow(/--engine-api-key/);
    await engineFor({ urls, apiKey: "right" });
  });

  it("the server has another model", async () => {
    const { server } = await pair({ model: "large" });
    const asked = vllmEngine(language, { urls: [server.url], model: "small" });
    await expect(asked).rejects.toThrow(/serves large, and not small/);
  });

  it("the server is no vLLM, or gives no token ids", async () => {
    const other: Server = createServer((_, response) => response.end("<html>"));
    other.listen(0, "127.0.0.1");
    await once(other, "listening");
    kept({ close: () => other.close() });
    const url = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
    await expect(vllmEngine(language, { urls: [url] })).rejects.toThrow(/is no vLLM/);
    const { server } = await pair({ scaleOut: "missing", tellsIds: false });
    await expect(vllmEngine(language, { urls: [server.url] })).rejects.toThrow(/gives no token ids/);
  });

  it("the server fails, or does not answer", async () => {
    const { server } = await pair();
    server.faults.status = 503;
    await expect(vllmEngine(language, { urls: [server.url] })).rejects.toThrow(/cannot serve now/);
    delete server.faults.status;
    server.faults.isMute = true;
    const http = kept(
      new HttpServer({ url: server.url, apiKey: null, clock: systemClock, limits: { answerMs: 50 } }),
    );
    await expect(http.ask("/v1/models", null)).rejects.toThrow(/said nothing for 0.05 s/);
  });

  it("a URL or a mailbox is none, or has no secret", async () => {
    const { server, mailbox } = await pair();
    const urls = [server.url];
    await expect(vllmEngine(language, { urls: ["localhost:8000"] })).rejects.toThrow(
      /--url is that of a server/,
    );
    await expect(vllmEngine(language, { urls, mailboxes: ["nowhere"] })).rejects.toThrow(
      /unix:\/PATH or HOST:PORT/,
    );
    const asked = { urls, mailboxes: [mailbox.address], mailboxSecret: null };
    await expect(vllmEngine(language, asked)).rejects.toThrow(/--mailbox-secret-file/);
    const more = { urls, mailboxes: [mailbox.address, mailbox.address] };
    await expect(vllmEngine(language, more)).rejects.toThrow(/2 --mailbox for 1 --url/);
  });

  it("the mailbox's secret is another one, and then answers come without drafts", async () => {
    const { server, mailbox } = await pair();
    const lines: string[] = [];
    const given = { urls: [server.url], mailboxes: [mailbox.address], mailboxSecret: "another secret" };
    const opener = await edgeOf(cloudOf(await engineFor({ ...given, told: (line) => lines.push(line) })));
    expect(lines).toEqual([
      expect.stringMatching(/drafts are not used: the mailbox .* the plugin was started with/),
    ]);
    expect((await answer(opener, LONG)).tokens).toEqual(likeliest(LONG));
    expect(mailbox.offers).toBe(0);
  });
});

describe("a request", () => {
  it("has a salt that is a principal's own, the same in every gateway with its secret, and not its name", async () => {
    const { server } = await pair();
    const salts: string[] = [];
    for (const tenant of ["alice", "bob", "alice"]) {
      const opener = await edgeOf(cloudOf(await engineFor({ urls: [server.url] })), tenant);
      await answer(opener, LONG, { maxTokens: 3 });
      const { body } = server.asked.at(-1)!;
      salts.push(body.cache_salt as string);
      expect(JSON.stringify(body)).not.toContain(tenant);
    }
    expect(salts[0]).toBe(salts[2]);
    expect(new Set(salts).size).toBe(2);
    expect(salts[0]!.length).toBe(43);
  });

  it("without a key has a salt that no other gateway has, and none after a restart", async () => {
    const { server } = await pair();
    const salts: unknown[] = [];
    for (let gateway = 0; gateway < 2; gateway++) {
      const cloud = cloudOf(await engineFor({ urls: [server.url] }));
      // Its first connection has the same number in each.
      const opener = await edgeOf(cloud);
      for (let i = 0; i < 2; i++) {
        await answer(opener, LONG, { maxTokens: 3 });
        salts.push(server.asked.at(-1)!.body.cache_salt);
      }
    }
    expect([salts[0] === salts[1], salts[2] === salts[3], salts[0] === salts[2]]).toEqual([
      true,
      true,
      false,
    ]);
  });

  it("has its id in the header too, which vLLM takes before the body's", async () => {
    const { server } = await pair();
    await answer(await edgeOf(cloudOf(await engineFor({ urls: [server.url] }))), LONG);
    const [{ headers, body }] = server.asked as [FakeRequest];
    expect(headers["x-request-id"]).toBe(body.request_id);
  });

  it.each([
    ["on", "/inference/v1/generate"],
    ["off", "/v1/completions"],
    ["missing", "/v1/completions"],
  ] as const)("goes the way that the server serves (scale-out %s)", async (scaleOut, path) => {
    const { server, mailbox } = await pair({ scaleOut });
    const engine = await engineFor({ urls: [server.url], mailboxes: [mailbox.address] });
    const opener = await edgeOf(cloudOf(engine));
    expect((await answer(opener, LONG)).tokens).toEqual(likeliest(LONG));
    const [asked] = server.asked;
    expect(asked!.path).toBe(path);
    expect(asked!.sampling).toMatchObject({ ignore_eos: true, stop_token_ids: [0], max_tokens: 40 });
    if (scaleOut === "on") expect(asked!.sampling.detokenize).toBe(false);
    else expect(asked!.body.return_token_ids).toBe(true);
    // The plugin is told what the engine calls the request.
    const id = asked!.body.request_id as string;
    expect(mailbox.begun).toEqual([scaleOut === "on" ? `generate-tokens-${id}` : `cmpl-${id}-0`]);
    expect(mailbox.offers).toBeGreaterThan(0);
  });

  it("has a seed where no drafts are offered, another for each position that a run begins at", async () => {
    const { server, mailbox } = await pair();
    const engine = await engineFor({ urls: [server.url], mailboxes: [mailbox.address] });
    const opener = await edgeOf(cloudOf(engine));
    const sampler = { temperature: 1 };
    for (const prompt of [LONG, LONG, [...LONG, 1]]) {
      await answer(opener, prompt, { policy: POLICIES.cloud, sampler, maxTokens: 2 });
    }
    await answer(opener, LONG, { sampler, maxTokens: 2 });
    const [a, b, c, d] = server.asked.map(({ sampling }) => sampling.seed);
    expect([a === b, a === c, typeof a, d]).toEqual([true, false, "number", undefined]);
  });

  it("takes a grammar along as the server reads it", async () => {
    const { server } = await pair();
    const opener = await edgeOf(cloudOf(await engineFor({ urls: [server.url] })));
    const ask = async (grammar: Grammar) => {
      const { code } = await answer(opener, LONG, { grammar, maxTokens: 2 });
      return code ?? server.asked.at(-1)!.sampling.structured_outputs;
    };
    expect(await ask({ kind: "ebnf", source: 'root ::= "a"' })).toEqual({ grammar: 'root ::= "a"' });
    expect(await ask({ kind: "json_schema", source: "{}" })).toEqual({ json: "{}" });
    expect(await ask({ kind: "regex", source: "a+" })).toEqual({ regex: "a+" });
    // What the server cannot read is the client's mistake, and what it has no word for is lacking.
    expect(await ask({ kind: "regex", source: "bad" })).toBe("bad_setting");
    expect(await ask({ kind: "lark", source: 'start: "a"' })).toBe("unsupported");
  });

  it("is refused with the reason where vLLM would give another distribution", async () => {
    const { server, mailbox } = await pair();
    const engine = await engineFor({ urls: [server.url], mailboxes: [mailbox.address] });
    const opener = await edgeOf(cloudOf(engine));
    const refusal = async (asked: Asked) => (await answer(opener, LONG, asked)).message;
    expect(await refusal({ policy: POLICIES.picospec })).toMatch(
      /no rejection coupling; take a policy such as race/,
    );
    expect(await refusal({ sampler: { minP: 0.1 } })).toMatch(/min-p while its server speculates/);
    expect(await refusal({ sampler: { logitBias: [[1, 2]] } })).toMatch(
      /logitBias while its server speculates/,
    );
    expect(await refusal({ sampler: { topNSigma: 1 } })).toMatch(/does not apply topNSigma/);
    expect(await refusal({ sampler: { repetitionPenalty: 2, penaltyLastN: 42 } })).toMatch(
      /of up to 43 tokens/,
    );
    expect(await refusal({ sampler: { repetitionPenalty: 2, penaltyLastN: 43 } })).toBe("");
    expect(server.asked).toHaveLength(1);
  });
});

/** An edge by hand, which reads nothing unless it says so. */
function slowPeer(cloud: Cloud) {
  const [near, far] = memoryPair(systemClock);
  cloud.accept(far);
  const link = kept(wireLink(near));
  const peer = { link, tokens: [] as number[], ended: null as DoneFrame | ErrorFrame | null };
  link.start({
    frame(frame) {
      if (frame.type === "verdict") peer.tokens.push(...frame.tokens);
      if (frame.type === "done" || frame.type === "error") peer.ended = frame;
    },
    garbage: () => {},
    closed: () => {},
  });
  link.send({ type: "hello", protocol: 1, client: "slow", fingerprint: "toy", features: ["grammar-kinds"] });
  return peer;
}

const OPEN: OpenFrame = {
  ...{ type: "open", session: 1, secret: null, resume: null, tokens: Int32Array.of(1) },
  settings: {
    ...{ policy: POLICIES.cloud, seed: toSeed(1), maxTokens: 600 },
    sampler: samplerSettings({ temperature: 0, logitBias: [[0, -100]] }),
  },
};

const GRAMMAR: Grammar = { kind: "ebnf", source: 'root ::= "a"+' };

describe("an answer with a grammar, which every request begins anew,", () => {
  it("has one request, however little its edge has read", async () => {
    const { server } = await pair({ stepMs: 0, speculates: false });
    const cloud = cloudOf(await engineFor({ urls: [server.url] }));
    const peer = slowPeer(cloud);
    peer.link.send({ ...OPEN, settings: { ...OPEN.settings, grammar: GRAMMAR } });
    await expect.poll(() => peer.ended?.type, { timeout: 5000 }).toBe("done");
    expect(peer.tokens).toEqual(likeliest([1], 600, 0));
    expect(server.asked).toHaveLength(1);
    cloud.checkIntegrity();
  });

  it("is not resumed once it has begun", async () => {
    const { server } = await pair({ speculates: false });
    const peer = slowPeer(cloudOf(await engineFor({ urls: [server.url] })));
    const settings = { ...OPEN.settings, grammar: GRAMMAR };
    const resume = { promptTokens: 1, lineage: 0, epoch: 1 };
    const secret = "0123456789abcdef0123456789abcdef";
    peer.link.send({ ...OPEN, settings, secret, resume, tokens: Int32Array.of(1, 2) });
    await expect.poll(() => peer.ended).toMatchObject({ code: "grammar_lost" });
    expect(server.asked).toEqual([]);
  });

  it.each([
    ["cutAfter", 3],
    ["abortAfter", 3],
    ["mostTokens", 3],
  ] as const)("fails, and says to ask again, where its request is lost (%s)", async (fault, after) => {
    const { server } = await pair();
    const opener = await edgeOf(cloudOf(await engineFor({ urls: [server.url] })));
    server.faults[fault] = after;
    const failed = await answer(opener, LONG, { grammar: GRAMMAR });
    expect(failed).toMatchObject({ code: "grammar_lost", message: expect.stringMatching(/ask again/) });
    expect(failed.tokens.length).toBeGreaterThan(0);
    expect(server.asked).toHaveLength(1);
  });

  it("is asked again where its request is lost before its first token", async () => {
    const [first, second] = [await pair(), await pair()];
    const opener = await edgeOf(cloudOf(await engineFor({ urls: [first.server.url, second.server.url] })));
    first.server.faults.cutAfter = 0;
    expect(await answer(opener, LONG, { grammar: GRAMMAR })).toMatchObject({ tokens: likeliest(LONG) });
    expect([first.server.asked.length, second.server.asked.length]).toEqual([1, 1]);
  });
});

describe("a run", () => {
  it("that its edge cancels is over on the server and in the mailbox", async () => {
    const { server, mailbox } = await pair({ stepMs: 2 });
    const engine = await engineFor({ urls: [server.url], mailboxes: [mailbox.address] });
    const opener = await edgeOf(cloudOf(engine));
    const left = answer(opener, LONG, { sampler: {}, maxTokens: 800 });
    await expect.poll(() => server.running).toBe(1);
    opener.close();
    await left;
    await expect.poll(() => [server.running, mailbox.open, engine.openRuns]).toEqual([0, 0, 0]);
    // By a request of its own, which may come behind the end of the other.
    const name = `generate-tokens-${server.asked[0]!.body.request_id}`;
    await expect.poll(() => server.aborted).toEqual([name]);
  });

  it("is cancelled past the run-ahead bound, and opened again from what is committed", async () => {
    const { server } = await pair({ stepMs: 0, speculates: false });
    const cloud = cloudOf(await engineFor({ urls: [server.url] }));
    const peer = slowPeer(cloud);
    const { tokens, link } = peer;
    link.send(OPEN);
    await expect.poll(() => [tokens.length, server.running]).toEqual([256, 0]);
    for (let read = 200; peer.ended === null; read = 1 + tokens.length) {
      const q = { kind: "none" } as const;
      const nothing = { first: read, lineage: 1, final: false, tokens: new Int32Array(0), q };
      link.send({ type: "draft", session: 1, committedThrough: read, ...nothing });
      await expect.poll(() => peer.ended !== null || tokens.length >= read).toBe(true);
    }
    expect(peer.ended.type).toBe("done");
    expect(tokens).toEqual(likeliest([1], 600, 0));
    expect(server.asked.length).toBeGreaterThan(1);
    const again = server.asked[1]!.body.token_ids as number[];
    expect(again).toEqual([1, ...tokens.slice(0, 256)]);
  });

  it("that is lost goes on from what is committed, also on another server", async () => {
    const [first, second] = [await pair(), await pair()];
    const urls = [first.server.url, second.server.url];
    const mailboxes = [first.mailbox.address, second.mailbox.address];
    const opener = await edgeOf(cloudOf(await engineFor({ urls, mailboxes })));
    for (const fault of ["cutAfter", "abortAfter"] as const) {
      first.server.faults[fault] = 2;
      expect(await answer(opener, LONG)).toMatchObject({ tokens: likeliest(LONG), code: null });
      delete first.server.faults[fault];
    }
    expect(second.server.asked.length).toBeGreaterThan(0);
    await expect.poll(() => [first.mailbox.open, second.mailbox.open]).toEqual([0, 0]);
  });

  it("is tried again at the only server, and fails when that stays away", async () => {
    const { server } = await pair();
    const lines: string[] = [];
    const told = (line: string) => lines.push(line);
    const opener = await edgeOf(cloudOf(await engineFor({ urls: [server.url], told })));
    server.faults.cutAfter = 3;
    // Each try commits something, so that it goes on for as long as it takes.
    const policy = POLICIES.cloud;
    expect(await answer(opener, LONG, { maxTokens: 8, policy })).toMatchObject({
      tokens: likeliest(LONG, 8),
    });
    server.faults.status = 500;
    const failed = await answer(opener, LONG);
    // Its client learns nothing of the server; the operator does.
    const message = "the model failed: the engine does not answer as it should; try again later";
    expect(failed).toEqual({ tokens: [], code: "internal", message });
    expect(lines.at(-1)).toMatch(/a session has failed: http:.* cannot serve now \(on purpose\)/);
  });

  it("with log-probabilities that are none ends with an error", async () => {
    for (const scaleOut of ["on", "off"] as const) {
      const { server } = await pair({ scaleOut });
      const opener = await edgeOf(cloudOf(await engineFor({ urls: [server.url] })));
      const odd = scaleOut === "on" ? { content: [null] } : { token_logprobs: [-1], top_logprobs: [5] };
      const choice = { token_ids: [1], logprobs: odd };
      server.faults.firstEvent = `data: ${JSON.stringify({ choices: [choice] })}\n\n`;
      expect(await answer(opener, LONG, { logprobs: 2 })).toMatchObject({ tokens: [], code: "internal" });
    }
  });

  it.each([
    ["what is no JSON", "data: {oops\n\n", /no JSON/],
    ["an error", 'data: {"error": {"message": "out of memory"}}\n\n', /out of memory/],
    ["text in place of ids", 'data: {"choices": [{"text": "abc"}]}\n\n', /without token ids/],
    ["ids that are none", 'data: {"choices": [{"token_ids": [1.5]}]}\n\n', /without token ids/],
    ["a line that does not end", `data: ${"x".repeat(5 * 2 ** 20)}`, /a line of more than/],
    ["no object", "data: 5\n\n", /another shape/],
    ["choices that are none", 'data: {"choices": [null]}\n\n', /another shape/],
    ["an ending that is no word", 'data: {"choices": [{"finish_reason": {}}]}\n\n', /another shape/],
    ["an error in an error", `data: ${'{"error":'.repeat(9000)}1${"}".repeat(9000)}\n\n`, /server failed/],
    ["a deep detail", `data: {"error": 1, "detail": ${"[".repeat(9e4)}${"]".repeat(9e4)}}\n\n`, /failed/],
    ["a token that there is not", 'data: {"choices": [{"token_ids": [24]}]}\n\n', /token 24, and .* 24/],
  ])("ends with an error where the server sends %s", async (what, firstEvent, message) => {
    const { server } = await pair();
    const lines: string[] = [];
    const told = (line: string) => lines.push(line);
    const opener = await edgeOf(cloudOf(await engineFor({ urls: [server.url], told })));
    server.faults.firstEvent = firstEvent;
    const failed = await answer(opener, LONG);
    // The operator gets the whole story, the client a sentence of ours.
    expect(lines.at(-1)).toMatch(message);
    const isStrange = what === "a token that there is not";
    const sentence = isStrange ? "gave a token that the vocabulary has not" : "does not answer as it should";
    expect(failed).toMatchObject({ code: "internal", message: expect.stringContaining(sentence) });
    expect(server.asked).toHaveLength(isStrange ? 1 : 4);
    delete server.faults.firstEvent;
    expect((await answer(opener, LONG)).tokens).toEqual(likeliest(LONG));
  });

  it("goes on behind a bound of the server's own, at once and as often as it takes", async () => {
    const { server } = await pair();
    const opener = await edgeOf(cloudOf(await engineFor({ urls: [server.url] })));
    server.faults.mostTokens = 4;
    const policy = POLICIES.cloud;
    expect(await answer(opener, LONG, { policy })).toMatchObject({ tokens: likeliest(LONG), code: null });
    expect(server.asked.map(({ sampling }) => sampling.max_tokens)).toEqual(
      Array.from({ length: 10 }, (_, i) => 40 - 4 * i),
    );
  });

  it("that gets no token before such a bound fails after as many tries as any", async () => {
    const { server } = await pair();
    const opener = await edgeOf(cloudOf(await engineFor({ urls: [server.url] })));
    server.faults.firstEvent = 'data: {"choices": [{"token_ids": [], "finish_reason": "length"}]}\n\n';
    expect(await answer(opener, LONG)).toMatchObject({ tokens: [], code: "internal" });
    expect(server.asked).toHaveLength(4);
  });

  it("that is complete is not aborted, and aborts that a server does not answer are few", async () => {
    const { server } = await pair({ stepMs: 2 });
    const cloud = cloudOf(await engineFor({ urls: [server.url], runs: 9 }), []);
    const openers = await Promise.all(Array.from({ length: 9 }, () => edgeOf(cloud)));
    for (const maxTokens of [40, 3]) {
      await answer(openers[0]!, LONG, { policy: POLICIES.cloud, maxTokens });
    }
    await expect.poll(() => server.running).toBe(0);
    expect(server.aborts).toBe(0);
    server.faults.holdsAborts = true;
    const { cloud: policy } = POLICIES;
    const left = openers.map((opener) => answer(opener, LONG, { policy, maxTokens: 800 }));
    await expect.poll(() => server.running).toBe(9);
    for (const opener of openers) opener.close();
    await Promise.all(left);
    await expect.poll(() => server.running).toBe(0);
    expect(server.aborts).toBe(2);
  });

  it("takes chunks of any size", async () => {
    const { server, mailbox } = await pair({ stepMs: 0 }, { offerTokens: 4 });
    const engine = await engineFor({ urls: [server.url], mailboxes: [mailbox.address] });
    const cloud = cloudOf(engine);
    const opener = await edgeOf(cloud);
    server.faults.merged = 30;
    expect((await answer(opener, LONG)).tokens).toEqual(likeliest(LONG));
    cloud.checkIntegrity();
  });
});

describe("the mailbox", () => {
  it("is connected again when it went away, and gets the drafts of the runs that go on", async () => {
    const { server, mailbox } = await pair({ stepMs: 3 });
    const engine = await engineFor({ urls: [server.url], mailboxes: [mailbox.address] });
    const opener = await edgeOf(cloudOf(engine, []));
    const sampler = { temperature: 1, topK: 4 };
    const running = answer(opener, LONG, { sampler, maxTokens: 700 });
    await expect.poll(() => mailbox.offers).toBeGreaterThan(3);
    mailbox.hangUp();
    await expect.poll(() => mailbox.begun.length, { timeout: 5000 }).toBe(2);
    const { offers } = mailbox;
    expect(server.running).toBe(1);
    await expect.poll(() => mailbox.offers).toBeGreaterThan(offers);
    expect(mailbox.begun[0]).toBe(mailbox.begun[1]);
    expect((await running).code).toBeNull();
  });

  it.each([
    ["does not greet", { isMute: true }],
    ["greets and reads nothing", { isDeaf: true }],
  ])(
    "that %s holds up no answer",
    async (_, mail) => {
      const { server, mailbox } = await pair({}, mail);
      const mailboxes = [mailbox.address];
      const engine = await engineFor({ urls: [server.url], mailboxes, mailboxSecret: SECRET });
      const opener = await edgeOf(cloudOf(engine));
      for (let run = 0; run < 3; run++) expect((await answer(opener, LONG)).tokens).toEqual(likeliest(LONG));
      expect(mailbox.heard).toBe(0);
    },
    30_000,
  );

  it("gives the drafts of one tenant to no row of another with an equal prompt", async () => {
    const { server, mailbox } = await pair({ stepMs: 2 });
    const engine = await engineFor({ urls: [server.url], mailboxes: [mailbox.address] });
    const cloud = cloudOf(engine);
    const [alice, bob] = [await edgeOf(cloud, "alice"), await edgeOf(cloud, "bob")];
    const answers = await Promise.all([answer(alice, LONG), answer(bob, LONG, { policy: POLICIES.cloud })]);
    for (const { tokens } of answers) expect(tokens).toEqual(likeliest(LONG));
    const drafting = server.asked.filter(({ sampling }) => sampling.seed === undefined);
    const [id] = drafting.map(({ body }) => `generate-tokens-${body.request_id}`);
    expect(drafting).toHaveLength(1);
    expect([...mailbox.given.keys()]).toEqual([id]);
    expect(mailbox.begun).toHaveLength(2);
  });

  it("of each engine process gets the runs that are bound to that process", async () => {
    const { server, mailbox } = await pair({ stepMs: 2 }, { rank: 0, ranks: 2 });
    const other = await pair({}, { rank: 1, ranks: 2 });
    const mailboxes = [`${mailbox.address},${other.mailbox.address}`];
    const opener = await edgeOf(cloudOf(await engineFor({ urls: [server.url], mailboxes })));
    await Promise.all([answer(opener, LONG), answer(opener, LONG)]);
    const ranks = server.asked.map(({ headers }) => headers["x-data-parallel-rank"]);
    expect(ranks.sort()).toEqual(["0", "1"]);
    expect([mailbox.begun.length, other.mailbox.begun.length]).toEqual([1, 1]);
  });

  it("of one engine process of several, or of another model, is told to the operator once", async () => {
    const { server, mailbox } = await pair({ stepMs: 2 }, { rank: 0, ranks: 2 });
    const lines: string[] = [];
    const given = { urls: [server.url], told: (line: string) => lines.push(line) };
    const connected = /takes drafts/;
    await engineFor({ ...given, mailboxes: [mailbox.address] });
    expect(lines).toEqual([
      expect.stringMatching(connected),
      expect.stringMatching(/has 2 engine processes and --mailbox the address of 1: most runs get no drafts/),
    ]);
    lines.length = 0;
    const twice = `${mailbox.address},${mailbox.address}`;
    const opener = await edgeOf(cloudOf(await engineFor({ ...given, mailboxes: [twice] })));
    const others = lines.filter((line) => !connected.test(line));
    expect(others).toEqual([expect.stringMatching(/are those of one engine process \(rank 0\)/)]);
    // Two addresses of one process are not two processes: no run is bound.
    await answer(opener, LONG);
    expect(server.asked.at(-1)!.headers["x-data-parallel-rank"]).toBeUndefined();
    mailbox.hangUp();
    await expect.poll(() => mailbox.connections, { timeout: 5000 }).toBe(6);
    expect(lines.filter((line) => /one engine process/.test(line))).toHaveLength(1);
  });
});

describe("a server that refuses what another one serves", () => {
  it.each([401, 403, 404, 302, 429, 503])("(%i) rests, and the operator is told", async (status) => {
    const [first, second] = [await pair(), await pair()];
    const lines: string[] = [];
    const told = (line: string) => lines.push(line);
    const opener = await edgeOf(
      cloudOf(await engineFor({ urls: [first.server.url, second.server.url], told })),
    );
    first.server.faults.status = status;
    const policy = POLICIES.cloud;
    for (let i = 0; i < 3; i++) {
      expect(await answer(opener, LONG, { policy, maxTokens: 4 })).toMatchObject({ code: null });
    }
    expect(second.server.asked).toHaveLength(3);
    expect(lines).toEqual([expect.stringMatching(/^no run begins there for 2 s: http:/)]);
  });

  it.each([
    400, 413, 422,
  ])("(%i) as the request's fault is asked once, and serves the others", async (status) => {
    const [first, second] = [await pair(), await pair()];
    const opener = await edgeOf(cloudOf(await engineFor({ urls: [first.server.url, second.server.url] })));
    first.server.faults.status = status;
    expect(await answer(opener, LONG)).toMatchObject({
      ...{ code: "bad_setting", message: "the engine refuses the request: on purpose" },
    });
    expect(second.server.asked).toEqual([]);
    delete first.server.faults.status;
    await answer(opener, LONG);
    expect(first.server.asked).toHaveLength(1);
  });

  it.each(["abortAfter", "status"] as const)("for one session's sake does not rest (%s)", async (fault) => {
    const [first, second] = [await pair(), await pair()];
    const opener = await edgeOf(cloudOf(await engineFor({ urls: [first.server.url, second.server.url] })));
    first.server.faults[fault] = fault === "status" ? 500 : 1;
    expect(await answer(opener, LONG)).toMatchObject({ tokens: likeliest(LONG) });
    expect(second.server.asked).toHaveLength(1);
    delete first.server.faults[fault];
    const before = first.server.asked.length;
    await answer(opener, LONG);
    expect(first.server.asked.length).toBe(before + 1);
  });
});

describe("a request that is lost everywhere", () => {
  it.each([
    ["where no server rests, waits once all were tried", 500, [0, 250, 500]],
    ["where the others rest, waits before each try", 503, [250, 250, 500]],
  ])("%s", async (_, status, waits) => {
    const [first, second] = [await pair(), await pair()];
    const delaysMs: number[] = [];
    const clock: Clock = {
      nowMs: () => systemClock.nowMs(),
      schedule(atMs, act) {
        delaysMs.push(Math.max(0, Math.round(atMs - systemClock.nowMs())));
        return systemClock.schedule(atMs, act);
      },
    };
    const urls = [first.server.url, second.server.url];
    const opener = await edgeOf(cloudOf(await engineFor({ urls, clock })));
    for (const { server } of [first, second]) server.faults.status = status;
    const policy = POLICIES.cloud;
    // Lost at both: those rest, if it is a status to rest for.
    expect((await answer(opener, LONG, { policy })).code).toBe("internal");
    delaysMs.length = 0;
    expect((await answer(opener, LONG, { policy })).code).toBe("internal");
    // The others are deadlines.
    expect(delaysMs.filter((ms) => ms < 5000)).toEqual(waits);
  });
});

describe("several", () => {
  it("servers share the work, and a prompt goes where its beginning is", async () => {
    const [first, second] = [await pair({ stepMs: 2 }), await pair({ stepMs: 2 })];
    const engine = await engineFor({ urls: [first.server.url, second.server.url], runs: 8 });
    const opener = await edgeOf(cloudOf(engine));
    const asked = () => [first.server.asked.length, second.server.asked.length];
    const random = (from: number) => Array.from({ length: 130 }, (_, i) => 1 + ((i * i + from * i) % 23));
    await Promise.all([1, 2, 3, 4].map((from) => answer(opener, random(from), { maxTokens: 6 })));
    expect(asked()).toEqual([2, 2]);
    // One after the other: each finds its beginning where it was.
    const before = new Map([first.server, second.server].map((one) => [one, one.asked.length]));
    for (const from of [1, 2, 3, 4]) await answer(opener, [...random(from), 5], { maxTokens: 3 });
    for (const [one, count] of before) {
      const heads = one.asked.map(({ body }) => (body.token_ids as number[]).slice(0, 130).join());
      expect(new Set(heads).size).toBe(count);
    }
  });

  it("gateways before one server give their edges the server's text", async () => {
    const { server, mailbox } = await pair();
    const given = { urls: [server.url], mailboxes: [mailbox.address] };
    const openers = [
      await edgeOf(cloudOf(await engineFor(given))),
      await edgeOf(cloudOf(await engineFor(given))),
    ];
    const answers = await Promise.all([...openers, ...openers].map((opener) => answer(opener, LONG)));
    for (const { tokens } of answers) expect(tokens).toEqual(likeliest(LONG));
    await expect.poll(() => mailbox.open).toBe(0);
  });
});
