import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { PINNED_LLAMA_VERSIONS } from "../../src/engine/llama/abi.ts";
import { LlamaContext } from "../../src/engine/llama/context.ts";
import { readModelDetails } from "../../src/engine/llama/details.ts";
import { readModelFile } from "../../src/engine/llama/gguf.ts";
import { loadLibrary } from "../../src/engine/llama/library.ts";
import { LlamaModel } from "../../src/engine/llama/model.ts";
import { llamaDraftModel, llamaTargetModel } from "../../src/engine/llama/models.ts";
import { LlamaTokenizer } from "../../src/engine/llama/tokenizer.ts";
import { toSeed } from "../../src/sampling/random.ts";
import { samplerSettings } from "../../src/sampling/sampler.ts";
import { argmax } from "../../src/sampling/select.ts";
import { chatPrompt } from "../../src/text/chat-template.ts";
import { StreamingText } from "../../src/text/tokenizer.ts";
import { readGguf, Type, writeGguf } from "../files/gguf.ts";
import { writeRandomGguf } from "../support/random-gguf.ts";

const TARGET = "models/pico-target-q8_0.gguf";
const SHAPE = {
  sequences: 3,
  contextTokens: 256,
  batchTokens: 32,
  rows: 8,
  threads: 1,
  batchInvariant: true,
};

const decode = (context: LlamaContext) =>
  new Promise<void>((resolve, reject) => context.decode((error) => (error ? reject(error) : resolve())));
const rowAfter = async (context: LlamaContext, sequence: number, tokens: readonly number[]) => {
  const index = context.add(sequence, Int32Array.from(tokens), 1);
  await decode(context);
  return context.row(index).slice();
};

let model: LlamaModel;
let tokenizer: LlamaTokenizer;
const progress: number[] = [];
const folder = mkdtempSync(join(tmpdir(), "picospec-"));

beforeAll(async () => {
  model = await LlamaModel.load(TARGET, { gpu: "off", progress: (fraction) => progress.push(fraction) });
  tokenizer = new LlamaTokenizer(model);
});
afterAll(() => {
  model.close();
  rmSync(folder, { recursive: true });
});

describe("loading", () => {
  it("reports how far it is, up to the end", () => {
    expect(progress.length).toBeGreaterThan(3);
    expect(progress.at(-1)).toBe(1);
  });

  it("tells the identity of a target", async () => {
    const target = await llamaTargetModel(model, { kvSlots: 1, contextTokens: 64, threads: 1 });
    const { weights } = await readModelDetails([TARGET]);
    const { version, cpuBuild } = loadLibrary("off");
    expect(target.info.identity).toEqual({
      ...{ weights, quantisation: "Q8_0", library: `llama.cpp ${version}`, backend: "cpu" },
      cpuBuild,
    });
    target.close();
  });

  it("says which build and version it is", () => {
    expect(PINNED_LLAMA_VERSIONS).toContain(loadLibrary("off").version);
    expect(loadLibrary("off")).toMatchObject({
      build: expect.stringContaining("@node-llama-cpp/"),
      cpuBuild: expect.stringMatching(/^(?!unknown$)./),
    });
  });

  it.each([
    [
      "a file that is not there",
      "models/none.gguf",
      "no_model",
      /there is no model file at models\/none.gguf/,
    ],
    ["a folder", "models", "no_model", /is no file/],
    ["a file of another kind", "package.json", "not_gguf", /package.json is no GGUF file/],
  ])("refuses %s", async (_, path, code, message) => {
    await expect(LlamaModel.load(path)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
  });

  it("refuses a file that ends in the middle", async () => {
    const path = join(folder, "half.gguf");
    writeRandomGguf(path, { kind: "bpe", vocabularySize: 500, layers: 1, seed: 1 });
    writeFileSync(path, readFileSync(path).subarray(0, 60_000));
    await expect(LlamaModel.load(path)).rejects.toMatchObject({ code: "bad_model" });
    writeFileSync(path, readFileSync(path).subarray(0, 2000));
    await expect(LlamaModel.load(path)).rejects.toMatchObject({ code: "bad_model" });
  });

  it("refuses a context that the model was not trained for", async () => {
    const options = { threads: 1, contextTokens: 100_000 };
    await expect(llamaDraftModel(model, options)).rejects.toMatchObject({ code: "context_too_long" });
  });
});

describe("the tokenizer", () => {
  const texts = ["Hello, world!", "38 - 14 = 24", "  indented\n\tcode;", "naïve café — 東京 🙂🙃", ""];

  it.each(texts)("brings %j back whole", (text) => {
    const tokens = tokenizer.encode(text, false);
    const streaming = new StreamingText(tokenizer);
    expect([...tokens].map((token) => streaming.push(token)).join("") + streaming.end()).toBe(text);
  });

  it("brings a character that is spread over tokens out whole, when it is complete", () => {
    const tokens = [...tokenizer.encode("🙂", false)].slice(1); // without the begin token
    expect(tokens.length).toBeGreaterThan(1);
    const streaming = new StreamingText(tokenizer);
    const parts = tokens.map((token) => streaming.push(token));
    expect(parts).toEqual([...tokens.slice(1).map(() => ""), "🙂"]);
    const cut = new StreamingText(tokenizer);
    cut.push(tokens[0]!);
    expect(cut.end()).toBe("\ufffd");
  });

  it("takes special tokens from a template only, and gives them no text", () => {
    const template = tokenizer.encode("<|user|>", true);
    const typed = tokenizer.encode("<|user|>", false);
    expect([template.length, typed.length > 3]).toEqual([2, true]);
    expect(tokenizer.piece(template[1]!).length).toBe(0);
  });

  it("writes the chat prompt of the model card", () => {
    const prompt = chatPrompt(model.file.chatTemplate, [{ role: "user", content: "Hi" }], tokenizer);
    const [begin, user, ...rest] = prompt;
    expect([begin, user, rest.at(-2), rest.at(-1)]).toEqual([0, 2, 1, 3]);
  });

  it("knows the end token and tells pairs from strangers", async () => {
    expect(tokenizer.endTokens()).toEqual([1]);
    const drafter = await readModelFile("models/pico-drafter-q8_0.gguf");
    expect(drafter.fingerprint).toBe(tokenizer.fingerprint);
    const [a, b, padded] = ["a", "b", "padded"].map((name) => join(folder, `${name}.gguf`)) as [
      string,
      string,
      string,
    ];
    writeRandomGguf(a, { kind: "spm", vocabularySize: 500, layers: 1, seed: 1 });
    writeRandomGguf(b, { kind: "bpe", vocabularySize: 500, layers: 1, seed: 1 });
    writeRandomGguf(padded, { kind: "spm", vocabularySize: 500, layers: 1, seed: 2, padding: 12 });
    const [x, y, z] = await Promise.all([readModelFile(a), readModelFile(b), readModelFile(padded)]);
    expect(x.fingerprint).not.toBe(y.fingerprint);
    expect(x.fingerprint).toBe(z.fingerprint);
    expect(x.fingerprint).toMatch(/^llama-500-[0-9a-f]{16}$/);
  });
});

describe.each(["spm", "bpe"] as const)("a tokenizer that ends its texts (add_eos_token): %s", (kind) => {
  const texts = ["", "ab ba", "a\nb </s>", "naïve 🙂", "ab ".repeat(4000)];

  /** The same model with the flag and without. */
  async function pair(): Promise<{ plain: LlamaModel; ending: LlamaModel }> {
    const paths = ["plain", "ending"].map((name) => join(folder, `${kind}-${name}.gguf`));
    writeRandomGguf(paths[0]!, { kind, vocabularySize: 500, layers: 1, seed: 1 });
    const file = readGguf(new Uint8Array(readFileSync(paths[0]!)));
    const key = "tokenizer.ggml.add_eos_token";
    const flag = { key, type: Type.bool, elementType: 0, length: null, values: [Uint8Array.of(1)] };
    writeFileSync(paths[1]!, writeGguf({ ...file, entries: [...file.entries, flag] }));
    const [plain, ending] = await Promise.all(
      paths.map((path) => LlamaModel.load(path, { gpu: "off", vocabularyOnly: true })),
    );
    return { plain: plain!, ending: ending! };
  }

  it("does not end a prompt, read here or aside", async () => {
    const { plain, ending } = await pair();
    const [expected, found] = [new LlamaTokenizer(plain), new LlamaTokenizer(ending)];
    expect(found.addsBegin).toBe(expected.addsBegin);
    for (const text of texts) {
      for (const special of [true, false]) {
        const tokens = expected.encode(text, special);
        expect(found.encode(text, special)).toEqual(tokens);
        expect(await found.readUntrusted({ kind: "text", text, special })).toEqual(tokens);
      }
    }
    // Nor is an end that the text itself has taken away.
    const ends = expected.encode(expected.endText, true);
    expect(ends.at(-1)).toBe(2);
    expect(found.encode(found.endText, true)).toEqual(ends);
    // The control: llama.cpp does end them.
    const { api } = ending.library;
    const tokens = new Int32Array(8);
    const count = api.tokenize(ending.vocab, Buffer.from("ab"), 2, tokens, tokens.length, true, false);
    expect([...tokens.subarray(0, count)]).toEqual([...found.encode("ab", false), 2]);
    plain.close();
    ending.close();
  });
});

describe("a context", () => {
  let context: LlamaContext;
  beforeEach(async () => {
    context = await LlamaContext.create(model, SHAPE);
    return () => context.close();
  });

  it("decodes tokens of several sequences at once as it decodes them alone", async () => {
    const [a, b] = [
      [0, 2, 300, 301, 302],
      [0, 2, 40, 41],
    ];
    const alone = [await rowAfter(context, 0, a), await rowAfter(context, 1, b)];
    context.truncate(0, 0);
    context.truncate(1, 0);
    const first = context.add(0, Int32Array.from(a), 2);
    const second = context.add(1, Int32Array.from(b), 1);
    await decode(context);
    expect(context.row(first + 1)).toEqual(alone[0]);
    expect(context.row(second)).toEqual(alone[1]);
  });

  it("rolls back to any position by truncation", async () => {
    const prefix = [0, 2, 300, 301];
    const straight = await rowAfter(context, 0, [...prefix, 302]);
    await rowAfter(context, 1, [...prefix, 500, 501, 502]);
    context.truncate(1, prefix.length);
    expect(context.length(1)).toBe(prefix.length);
    expect(await rowAfter(context, 1, [302])).toEqual(straight);
  });

  it("copies a prefix to another sequence", async () => {
    const prefix = [0, 2, 300, 301];
    const straight = await rowAfter(context, 0, [...prefix, 302]);
    context.copy(0, 2, prefix.length);
    expect(context.length(2)).toBe(prefix.length);
    expect(await rowAfter(context, 2, [302])).toEqual(straight);
  });

  it("decodes off the event loop", async () => {
    let turns = 0;
    let running = true;
    const count = () => {
      turns++;
      if (running) setImmediate(count);
    };
    setImmediate(count);
    context.add(0, new Int32Array(32).fill(7), 1);
    await decode(context);
    running = false;
    expect(turns).toBeGreaterThan(10);
  });

  it("checks here whatever would abort the process there", async () => {
    const some = (count: number) => new Int32Array(count).fill(7);
    expect(() => context.add(0, some(33), 0)).toThrow(/at most 32 tokens/);
    expect(() => context.add(0, some(9), 9)).toThrow(/too many rows/);
    expect(() => context.add(3, some(1), 0)).toThrow(/no sequence 3/);
    expect(() => context.add(-1, some(1), 0)).toThrow(/no sequence -1/);
    expect(() => context.add(0, Int32Array.of(2048), 0)).toThrow(/no token 2048/);
    expect(() => context.add(0, Int32Array.of(-1), 0)).toThrow(/no token -1/);
    expect(() => context.truncate(9, 0)).toThrow(/no sequence 9/);
    expect(() => context.copy(0, 1, 5)).toThrow(/prefix/);
    expect(() => context.decode(() => {})).toThrow(/nothing to decode/);
    for (let i = 0; i < 8; i++) {
      context.add(0, some(32), 0);
      await decode(context);
    }
    expect(() => context.add(0, some(1), 0)).toThrow(/at most 256 tokens/);
    context.add(1, some(2), 1);
    await decode(context);
    expect(() => context.row(0)).toThrow(/has no row/);
    context.add(1, some(1), 1);
    const during = decode(context);
    expect(() => context.row(0)).toThrow(/between decodes/);
    expect(() => context.truncate(1, 0)).toThrow(/during a decode/);
    await during;
  });

  it("outlives a close during a decode", async () => {
    const other = await LlamaContext.create(model, SHAPE);
    other.add(0, new Int32Array(32).fill(7), 1);
    const running = decode(other);
    other.close();
    await expect(running).rejects.toMatchObject({ code: "closed" });
  });
});

describe("a model that is closed", () => {
  it("ends the decode that runs, and lets no caller start another on freed memory", async () => {
    const drafter = await llamaDraftModel(model, { threads: 1 });
    const outcomes: (string | undefined)[] = [];
    await new Promise<void>((resolve) => {
      drafter.feed(0, new Int32Array(64).fill(7), null, (first) => {
        outcomes.push(first?.code);
        drafter.feed(0, Int32Array.of(7), null, (second) => {
          outcomes.push(second?.code);
          resolve();
        });
      });
      drafter.close();
    });
    expect(outcomes).toEqual(["closed", "closed"]);
  });

  it("is not freed while a context of it is being made", async () => {
    const other = await LlamaModel.load(TARGET, { gpu: "off" });
    const making = LlamaContext.create(other, SHAPE);
    other.close();
    const context = await making;
    context.add(0, Int32Array.of(0, 2, 300), 1);
    await decode(context);
    expect(context.row(2).length).toBe(2048);
    context.close();
  });
});

describe("the models behind the engine's interface", () => {
  it("draft: the row after what was fed, and the KV rolled back to where the next feed starts", async () => {
    const drafter = await llamaDraftModel(model, { threads: 1 });
    const feed = (from: number, tokens: number[]) =>
      new Promise<number>((resolve, reject) => {
        let best = -1;
        drafter.feed(
          from,
          Int32Array.from(tokens),
          (row) => {
            best = argmax(row);
          },
          (error) => (error ? reject(error) : resolve(best)),
        );
      });
    const prompt = [
      ...chatPrompt(model.file.chatTemplate, [{ role: "user", content: "Tell me a story." }], tokenizer),
    ];
    const first = await feed(0, prompt);
    const second = await feed(prompt.length, [first]);
    await feed(prompt.length, [9, 9, 9]);
    expect(await feed(prompt.length, [first])).toBe(second);
    drafter.close();
  });

  it("target: answers questions about several sequences in one pass, and keeps a row when asked", async () => {
    const target = await llamaTargetModel(model, { threads: 1, kvSlots: 2 });
    const prompt = chatPrompt(
      model.file.chatTemplate,
      [{ role: "user", content: "Tell me a story." }],
      tokenizer,
    );
    const ask = {
      ask: "sample",
      sampler: samplerSettings({ temperature: 0 }),
      seed: toSeed(1),
      lineage: 0,
    } as const;
    const question = { ...ask, position: prompt.length, history: new Int32Array(0) };
    const item = { from: 0, tokens: prompt };
    const results = await new Promise<readonly { answers: readonly unknown[]; held: unknown }[]>(
      (resolve, reject) =>
        target.pass(
          [
            { ...item, slot: 0, questions: [question], hold: false },
            { ...item, slot: 1, questions: [], hold: true },
          ],
          (error, done) => (error ? reject(error) : resolve(done)),
        ),
    );
    const held = results[1]!.held as { answer(q: unknown): unknown; release(): void };
    expect(results[0]!.held).toBeNull();
    expect(held.answer(question)).toEqual(results[0]!.answers[0]);
    held.release();
    expect(() => held.answer(question)).toThrow(/released/);
    target.close();
  });
});
