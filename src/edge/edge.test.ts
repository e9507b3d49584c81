import { describe, expect, it, vi } from "vitest";
import { Cloud } from "../cloud/driver.ts";
import { POLICIES } from "../decoding/policy.ts";
import { ToyDraftModel } from "../engine/toy/draft-model.ts";
import type { ToyLanguage } from "../engine/toy/language.ts";
import { ToyPassEngine } from "../engine/toy/pass-engine.ts";
import { toSeed } from "../sampling/random.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { memoryPair } from "../transport/memory.ts";
import { systemClock } from "../transport/node/clock.ts";
import { connectEdge } from "./connect.ts";
import { ParallelDrafter } from "./drafters/parallel-drafter.ts";
import { type AnswerEvent, type AnswerRequest, Edge } from "./edge.ts";
import { Keeper } from "./keeper.ts";
import { LocalOpener, type LocalOpenerOptions } from "./local-opener.ts";
import type { RemoteOpener } from "./opener.ts";

const language: ToyLanguage = {
  seed: toSeed(4),
  vocabularySize: 26,
  order: 3,
  spread: 5,
  divergence: 3,
  contextTokens: 120,
};
/** Token t is the letter t; there is no end token, so that answers are as long as they are asked to be. */
const tokenizer: Tokenizer = {
  fingerprint: "letters",
  vocabularySize: 26,
  beginText: "",
  endText: "",
  addsBegin: false,
  longestTokenBytes: 1,
  encode: (text) => Int32Array.from(text, (letter) => letter.charCodeAt(0) - 97),
  piece: (token) => Uint8Array.of(97 + token),
};

const edge = async () => (await edgeAndClients()).here;

/** @returns the clients that it made so far as well: one, and another each time that it had to connect anew */
async function edgeAndClients(
  own: Partial<Pick<LocalOpenerOptions, "chatTemplate" | "endTokens">> & { contextTokens?: number } = {},
): Promise<{ here: Edge; clients: RemoteOpener[] }> {
  const cloud = new Cloud({
    model: new ToyPassEngine(language, systemClock, { kvSlots: 4 }),
    description: { name: "toy", fingerprint: "letters", endTokens: [], chatTemplate: null },
    clock: systemClock,
    server: "test",
  });
  const { contextTokens = language.contextTokens, ...model } = own;
  const drafter = new ParallelDrafter(new ToyDraftModel({ ...language, contextTokens }, systemClock));
  const clients: RemoteOpener[] = [];
  const open = async (changed: () => void) => {
    const [transport, far] = memoryPair(systemClock);
    cloud.accept(far);
    const options = { transport, tokenizer, drafter, clock: systemClock, client: "test", changed };
    clients.push(await connectEdge(options));
    return clients.at(-1)!;
  };
  const keeper = new Keeper({ open, clock: systemClock, random: null });
  await keeper.wait(0);
  const here = new Edge({
    ...{ remote: null, keeper, tokenizer, chatTemplate: null },
    local: new LocalOpener({
      ...{ drafter, name: "small", endTokens: [], chatTemplate: null, grammars: null, clock: systemClock },
      ...model,
    }),
    freshSeed: () => toSeed(1),
    policy: POLICIES.picospec,
  });
  return { here, clients };
}

async function all(events: AsyncIterable<AnswerEvent>): Promise<AnswerEvent[]> {
  const heard: AnswerEvent[] = [];
  for await (const event of events) heard.push(event);
  return heard;
}
const textOf = (events: readonly AnswerEvent[]) =>
  events.map((event) => (event.type === "text" ? event.text : "")).join("");
const endOf = (events: readonly AnswerEvent[]) => {
  const last = events.at(-1)!;
  if (last.type !== "end") throw new Error("an answer ends");
  return last.end;
};
const ask: AnswerRequest = { prompt: "hello", maxTokens: 40, seed: toSeed(7) };

describe("an edge", () => {
  it("answers as events that end with what it took", async () => {
    const here = await edge();
    const events = await all(here.answer(ask));
    expect(textOf(events)).toMatch(/^[a-z]{40}$/);
    expect(endOf(events)).toMatchObject({ reason: "length", promptTokens: 5, statistics: { tokens: 40 } });
    const tokens = events.flatMap((event) => (event.type === "text" ? event.tokens : []));
    expect(tokens.map(({ text }) => text).join("")).toBe(textOf(events));
    expect(new Set(tokens.map(({ origin }) => origin)).size).toBeGreaterThan(1);
  });

  it("gives no token where none is wanted, and reads the prompt all the same", async () => {
    const events = await all((await edge()).answer({ ...ask, maxTokens: 0 }));
    expect(events).toHaveLength(1);
    expect(endOf(events)).toMatchObject({ reason: "length", promptTokens: 5, statistics: { tokens: 0 } });
    await expect(all((await edge()).answer({ ...ask, maxTokens: -1 }))).rejects.toThrow(/maxTokens must be/);
  });

  it("gives many answers at a time, each as it would be alone", async () => {
    const here = await edge();
    const requests = Array.from({ length: 12 }, (_, i) => ({
      ...ask,
      seed: toSeed(i),
      prompt: `q${"abcdefghijkl"[i]}`,
    }));
    const together = await Promise.all(requests.map((request) => all(here.answer(request)).then(textOf)));
    for (const [i, request] of requests.entries()) {
      expect(textOf(await all(here.answer(request)))).toBe(together[i]);
    }
    expect(new Set(together).size).toBe(12);
  });

  it("stops before a string that is spread over tokens, and the work ends", async () => {
    const here = await edge();
    const free = textOf(await all(here.answer(ask)));
    const stop = free.slice(10, 13);
    const events = await all(here.answer({ ...ask, stop: [stop] }));
    expect(textOf(events)).toBe(free.slice(0, free.indexOf(stop)));
    expect(endOf(events).reason).toBe("stop");
    expect(endOf(events).statistics.tokens).toBeLessThan(40);
  });

  it("brings logprobs with the tokens that they are of, and stops in time with them as well", async () => {
    const here = await edge();
    const free = textOf(await all(here.answer(ask)));
    const events = await all(here.answer({ ...ask, logprobs: 2, stop: [free.slice(20, 23)] }));
    const tokens = events.flatMap((event) => (event.type === "text" ? event.tokens : []));
    expect(textOf(events)).toBe(free.slice(0, free.indexOf(free.slice(20, 23))));
    expect(tokens.length).toBeGreaterThan(10);
    for (const { token, logprobs } of tokens) {
      expect(logprobs!.logprob).toBeLessThanOrEqual(0);
      const at = [...logprobs!.topIds].indexOf(token);
      if (at >= 0) expect(logprobs!.topLogprobs[at]).toBeCloseTo(logprobs!.logprob, 6);
    }
  });

  it("ends when it is told to, or when its listener has gone", async () => {
    const here = await edge();
    const abort = new AbortController();
    const events: AnswerEvent[] = [];
    for await (const event of here.answer({ ...ask, maxTokens: 100, signal: abort.signal })) {
      events.push(event);
      if (events.length === 3) abort.abort();
    }
    expect(endOf(events).reason).toBe("cancelled");
    for await (const _ of here.answer({ ...ask, maxTokens: 100 })) break;
    // The edge is as good as new.
    expect(textOf(await all(here.answer(ask)))).toHaveLength(40);
    const gone = AbortSignal.abort();
    expect(endOf(await all(here.answer({ ...ask, signal: gone }))).reason).toBe("cancelled");
  });

  it("connects anew, once for all who ask, when the cloud has been away", async () => {
    const { here, clients } = await edgeAndClients();
    const before = textOf(await all(here.answer(ask)));
    clients[0]!.close();
    const after = await Promise.all([here.answer(ask), here.answer(ask), here.answer(ask)].map(all));
    expect(after.map(textOf)).toEqual([before, before, before]);
    expect(clients).toHaveLength(2);
    expect(here.modelName).toBe("toy");
  });

  it("asks the small model alone with its own template, end tokens and context", async () => {
    const { here } = await edgeAndClients({
      chatTemplate: "small{{ messages[0].content }}",
      endTokens: Array.from({ length: 13 }, (_, i) => i),
      contextTokens: 60,
    });
    const request = { prompt: [{ role: "user", content: "abc" }], seed: toSeed(7) } as const;
    expect(await here.promptOf({ ...request, policy: "edge" })).toEqual(tokenizer.encode("smallabc", true));
    expect(await here.promptOf({ ...request, policy: "edge", raw: true })).toEqual(
      tokenizer.encode("abc", true),
    );
    expect(await here.promptOf({ ...request, policy: "race" })).toEqual(tokenizer.encode("abc", true));
    const alone = endOf(await all(here.answer({ ...request, policy: "edge" })));
    expect(alone).toMatchObject({ reason: "end", promptTokens: 8 });
    const target = endOf(await all(here.answer({ ...request, policy: "race" })));
    expect(target).toMatchObject({ reason: "length", promptTokens: 3, statistics: { tokens: 117 } });
    expect((await here.answerer("edge")).opener.model.contextTokens).toBe(60);
    expect((await here.answerer()).opener.model.contextTokens).toBe(120);
    here.checkIntegrity();
  });

  it("gives a conversation's variables to the template, and goes on with the assistant's message", async () => {
    const chatTemplate =
      "{{ mood }}{% for m in messages %}{{ m.content }}x{% endfor %}{% if add_generation_prompt %}y{% endif %}";
    const { here } = await edgeAndClients({ chatTemplate });
    const prompt = [
      { role: "user", content: "a" },
      { role: "assistant", content: "b" },
    ] as const;
    const request = { prompt, policy: "edge", templateVariables: { mood: "c" } } as const;
    expect(await here.promptOf(request)).toEqual(tokenizer.encode("caxbxy", true));
    expect(await here.promptOf({ ...request, continues: true })).toEqual(tokenizer.encode("caxb", true));
    here.checkIntegrity();
  });

  it("reads special tokens of a text where it is asked to, and refuses a suffix where the model has no tokens for it", async () => {
    const { here } = await edgeAndClients();
    const read = vi.spyOn(tokenizer, "encode");
    await here.promptOf({ prompt: "a", policy: "edge" });
    await here.promptOf({ prompt: "a", policy: "edge", special: true });
    expect(read.mock.calls.map(([, special]) => special)).toEqual([false, true]);
    read.mockRestore();
    await expect(here.promptOf({ prompt: "a", suffix: "b", policy: "edge" })).rejects.toMatchObject({
      setting: "suffix",
    });
    here.checkIntegrity();
  });

  it("says what is wrong before the first event", async () => {
    const here = await edge();
    const error = (request: Partial<AnswerRequest>) =>
      all(here.answer({ ...ask, ...request })).catch((failure) => failure);
    expect(await error({ sampler: { temperature: -1 } })).toMatchObject({ setting: "temperature" });
    expect(await error({ sampler: { temperature: 0, ...{ topk: 3 } } })).toMatchObject({
      setting: "topk",
      message: 'unknown sampler setting "topk"; did you mean topK?',
    });
    const tooLong = { setting: "prompt", message: expect.stringContaining("the context of 120 tokens") };
    expect(await error({ prompt: "a".repeat(200) })).toMatchObject(tooLong);
    const texts = ["a".repeat(80), "b".repeat(80)].map((content) => ({ role: "user", content }) as const);
    expect(await error({ prompt: texts })).toMatchObject(tooLong);
    for (const token of [1_048_576, 2 ** 31 - 1, -1]) {
      expect(await error({ prompt: Int32Array.of(token) })).toMatchObject({
        setting: "prompt",
        message: expect.stringContaining(`there is no token ${token}`),
      });
    }
    expect(await error({ grammar: 'root ::= "a"' })).toMatchObject({ code: "bad_setting" });
    expect(await error({ policy: POLICIES.edge, logprobs: 1 })).toMatchObject({ setting: "logprobs" });
    expect(textOf(await all(here.answer({ ...ask, policy: POLICIES.edge })))).toHaveLength(40);
  });
});
