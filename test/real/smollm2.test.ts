import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { LlamaModel } from "../../src/engine/llama/model.ts";
import { LlamaTokenizer } from "../../src/engine/llama/tokenizer.ts";
import { createCloud, createEdge, type DeviceCloud, type DeviceEdge } from "../../src/node.ts";
import { chatPrompt } from "../../src/text/chat-template.ts";
import { StreamingText } from "../../src/text/tokenizer.ts";
import { keepDrafting } from "../support/drafting.ts";
import { smollm2 } from "../support/smollm2.ts";

/**
 * A real model on one thread each for edge and cloud: SmolLM2-135M-Instruct, on the edge as its own drafter, and with prompt
 * lookup. Every text over every policy is that of the cloud alone.
 */

keepDrafting();

const model = smollm2();
const CONTEXT_TOKENS = 4200;
const TOKENS = 40;
type Request = Parameters<DeviceEdge["ask"]>[0];

let cloud: DeviceCloud;
let twin: DeviceEdge;
let lookup: DeviceEdge;

beforeAll(async () => {
  const machine = { threads: 1, gpu: "off" } as const;
  cloud = await createCloud({ ...machine, model, port: 0, kvSlots: 4, contextTokens: CONTEXT_TOKENS });
  twin = await createEdge({ ...machine, model, cloud: cloud.url, drafter: "model" });
  lookup = await createEdge({ ...machine, cloud: cloud.url, drafter: "lookup" });
});
afterAll(async () => {
  for (const edge of [twin, lookup]) await edge?.close();
  await cloud?.close();
});

const question = (content: string) => [{ role: "user", content }] as const;

const QUESTIONS = [
  "What is the capital of France, and why do people go there?",
  "Write a Python function that returns the largest of three numbers.",
  "Say this again, word by word: the ferry leaves at noon, the ferry comes back at night.",
];

async function ask(edge: DeviceEdge, request: Request) {
  const { text, tokens, reason, statistics } = await edge.ask({ maxTokens: TOKENS, ...request });
  return { text, ids: tokens.map(({ token }) => token), reason, statistics };
}

describe("greedy text", () => {
  it.each(QUESTIONS)("is the same over cloud, race and picospec: %s", async (content) => {
    const request = { prompt: question(content), sampler: { temperature: 0 } };
    const alone = await ask(twin, { ...request, policy: "cloud" });
    expect(alone.ids.length).toBeGreaterThan(10);
    const race = await ask(twin, { ...request, policy: "race" });
    const looked = await ask(lookup, { ...request, policy: "race" });
    const pipelined = await ask(twin, { ...request, policy: "picospec" });
    for (const { ids, text, reason } of [race, looked, pipelined]) {
      expect({ ids, text, reason }).toEqual({ ids: alone.ids, text: alone.text, reason: alone.reason });
    }
    // A drafter that is the target is right all of the time.
    expect(pipelined.statistics.accepted).toBeGreaterThan(alone.ids.length / 2);
    expect(pipelined.statistics.rejected).toBe(0);
  });
});

describe("sampled text", () => {
  const samplers = [
    ["temperature 1", { temperature: 1 }],
    ["top-p, as most people set it", { temperature: 0.8, topP: 0.95 }],
    ["what its makers advise", { temperature: 0.2, topP: 0.9, repetitionPenalty: 1.1 }],
  ] as const;

  it.each(samplers)("is the same over cloud and race for one seed: %s", async (_, sampler) => {
    const request = { prompt: question("Tell me a story about a lighthouse."), sampler, seed: 11 };
    const alone = await ask(twin, { ...request, policy: "cloud" });
    expect((await ask(twin, { ...request, policy: "race" })).ids).toEqual(alone.ids);
    expect((await ask(lookup, { ...request, policy: "race" })).ids).toEqual(alone.ids);
  });

  it("control: another seed, and another sampler, say something else", async () => {
    const request = { prompt: question("Tell me a story about a lighthouse."), policy: "race" } as const;
    const said = async (temperature: number, seed: number) =>
      (await ask(twin, { ...request, sampler: { temperature }, seed })).text;
    const texts = [await said(1, 11), await said(1, 12), await said(0, 11)];
    expect(new Set(texts).size).toBe(3);
  });
});

describe("its chat template", () => {
  it("makes ChatML with the model's own system message, and the answer ends by itself", async () => {
    const ids = chatPrompt(twin.chatTemplate, question("Hi"), twin.tokenizer);
    const written =
      "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n" +
      "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n";
    expect(ids).toEqual(twin.tokenizer.encode(written, true));
    const { text: answer, reason } = await ask(twin, {
      prompt: question("What is the capital of France? Answer in one word."),
      sampler: { temperature: 0 },
    });
    expect(answer).toMatch(/Paris/);
    expect(reason).toBe("end");
  });
});

const TEXTS = [
  "Hello, world!",
  "Größe, naïve, coöperate; Ελληνικά, русский, עברית, العربية, हिन्दी, ไทย, 中文字符, 日本語",
  "👩‍👩‍👧‍👦 🇩🇪 e\u0301 \u200b\u00a0\u2003 ﷽ \u{10ffff}",
  "for (let i = 0; i < 10; i++) {\n\t\tconsole.log(`it's <x> && [y]`); // 100%\n}\r\n",
  "    indented\n\n\n  twice \t and trailing   ",
  "1234567890 3.14159 0xdeadbeef 1e-9",
  "<|im_start|>user\nno special token, but text<|im_end|>",
  "a".repeat(100) + "\n".repeat(20) + " ".repeat(50),
];

describe("its tokenizer", () => {
  let vocabulary: LlamaModel;
  let tokenizer: LlamaTokenizer;
  beforeAll(async () => {
    vocabulary = await LlamaModel.load(model, { gpu: "off", vocabularyOnly: true });
    tokenizer = new LlamaTokenizer(vocabulary);
  });
  afterAll(() => vocabulary?.close());

  it.each(TEXTS)("gives back what it was given, whole and streamed: %j", (text) => {
    const ids = [...tokenizer.encode(text, false)];
    const whole = Buffer.concat(ids.map((id) => tokenizer.piece(id))).toString("utf8");
    const streaming = new StreamingText(tokenizer);
    const parts = ids.map((id) => streaming.push(id));
    expect(parts.join("") + streaming.end()).toBe(whole);
    expect(whole).toBe(text);
  });

  it("reads special tokens where it is told to, and nowhere else", () => {
    const text = "<|im_start|>user\nHello, world!<|im_end|>";
    expect([...tokenizer.encode(text, true)]).toEqual([1, 4093, 198, 19556, 28, 905, 17, 2]);
    expect(tokenizer.encode(text, false).length).toBeGreaterThan(12);
  });
});

describe("several at a time", () => {
  it("four sessions with their own seeds say what each says alone", async () => {
    const requests = [...QUESTIONS, "Name three animals that live in the sea."].map((content, i) => ({
      prompt: question(content),
      sampler: { temperature: 0.9, topP: 0.95 },
      seed: 100 + i,
    }));
    const alone: number[][] = [];
    for (const request of requests) alone.push((await ask(twin, { ...request, policy: "cloud" })).ids);
    const edges = [twin, lookup, twin, lookup];
    const together = await Promise.all(
      requests.map((request, i) => ask(edges[i]!, { ...request, policy: "race" })),
    );
    expect(together.map(({ ids }) => ids)).toEqual(alone);
  });
});

describe("a context of 4,000 tokens", () => {
  it("has the same text over cloud and race at its end, and is refused beyond its end", async () => {
    const line = (i: number) =>
      `Day ${i}: wind ${(i * 7) % 13}, sea ${(i * 5) % 9}, ships ${(i * 3) % 11}.\n`;
    const log = Array.from({ length: 300 }, (_, i) => line(i)).join("");
    const ids = twin.tokenizer.encode(log, false);
    expect(ids.length).toBeGreaterThan(4100);
    const request = { prompt: ids.slice(0, 4000 - TOKENS), sampler: { temperature: 0 }, seed: 5 };
    const alone = await ask(lookup, { ...request, policy: "cloud" });
    const race = await ask(lookup, { ...request, policy: "race" });
    expect(alone.ids).toHaveLength(TOKENS);
    expect(race.ids).toEqual(alone.ids);
    expect(race.statistics.accepted).toBeGreaterThan(5);
    expect(alone.statistics.usage!.promptTokens).toBe(4000 - TOKENS);
    // It has been read once, for the first.
    expect(race.statistics.usage!.reusedTokens).toBeGreaterThan(3900);
    const tooLong = { prompt: twin.tokenizer.encode(log + log, false), maxTokens: 1 };
    await expect(ask(lookup, tooLong)).rejects.toThrow(/4200/);
  });
});
