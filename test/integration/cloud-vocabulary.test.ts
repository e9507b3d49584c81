import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { deflateSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { GivenVocabulary } from "../../src/cloud/driver.ts";
import { type CloudServer, serveCloud } from "../../src/cloud/server.ts";
import { createEdge, type DeviceEdge } from "../../src/device/edge.ts";
import { closeEdges, createEdges } from "../../src/device/edges.ts";
import { TARGET_ENGINES } from "../../src/device/engines.ts";
import type { OpenedTarget } from "../../src/device/target.ts";
import type { AnswerRequest } from "../../src/edge/edge.ts";
import type { VocabularyPart } from "../../src/protocol/frame.ts";
import { keepDrafting } from "../support/drafting.ts";
import { ownCache } from "../support/own-cache.ts";
import { type WornVocabulary, wearVocabulary } from "../support/wear-vocabulary.ts";

/** What clouds give away of their vocabulary: clouds of release 0.1, and clouds that lie. */

keepDrafting();

const VOCABULARY = "models/pico-target-q8_0.gguf";
const QUESTION: AnswerRequest = {
  ...{ prompt: "Hello, I have 1234567 apples", seed: 1, maxTokens: 20, sampler: { temperature: 0 } },
};
const REQUEST = { kvSlots: 2, contextTokens: null, threads: 1, gpu: "off", progress: () => {} } as const;
const { folder, cache } = ownCache();
const [target, drafter, stranger] = ["target", "drafter", "stranger"].map((name) => join(folder, name));
const cached = join(cache, "vocabularies");
let opened: OpenedTarget;

beforeAll(async () => {
  wearVocabulary(VOCABULARY, target!, { layers: 2 });
  wearVocabulary(VOCABULARY, drafter!, { layers: 1, change: (one) => one.list("merges").reverse() });
  wearVocabulary(VOCABULARY, stranger!, { layers: 1, change: (one) => one.rename(1000, "zzzz") });
  opened = await TARGET_ENGINES.named("llama")({ ...REQUEST, file: async () => target! });
});
afterAll(() => opened?.close());

type Given = Pick<OpenedTarget, "tokenizer" | "vocabulary">;

async function withCloud<T>(
  given: Given,
  use: (server: CloudServer) => Promise<T>,
  { engine: model, description, grammars }: OpenedTarget = opened,
  port = 0,
): Promise<T> {
  const { tokenizer, vocabulary } = given;
  const from = { model, description, grammars, tokenizer, vocabulary };
  const server = await serveCloud({ ...from, port, server: "test" });
  try {
    return await use(server);
  } finally {
    await server.close();
  }
}

const edgeOf = ({ url }: CloudServer, model: string) =>
  createEdge({ cloud: url, model, drafter: "model", threads: 1, gpu: "off" });

const MOST_ASKED = 50;
/** An answer that has drafts in it: on a busy machine those of so short a one may all come too late. */
async function askDrafted(edge: DeviceEdge, more: Partial<AnswerRequest> = {}): Promise<string> {
  const texts = new Set<string>();
  for (let asked = 0; asked < MOST_ASKED; asked++) {
    const { text, statistics } = await edge.ask({ ...QUESTION, ...more });
    texts.add(text);
    if (statistics.sources.model.accepted > 0) break;
    if (asked === MOST_ASKED - 1) throw new Error("no draft was ever accepted");
  }
  expect(texts.size).toBe(1);
  return [...texts][0]!;
}

const alone = (given: Given, target = opened) =>
  withCloud(
    given,
    async ({ url }) => {
      await using edge = await createEdge({ cloud: url, drafter: "lookup", policy: "cloud" });
      return (await edge.ask(QUESTION)).text;
    },
    target,
  );

/** A cloud whose answers are changed. */
const lying = (
  change: (part: VocabularyPart, chunk: number, bytes: Uint8Array) => Uint8Array,
  about: Partial<GivenVocabulary["about"]> = {},
): Given => ({
  tokenizer: null,
  vocabulary: {
    about: { ...opened.vocabulary!.about, ...about },
    chunk: async (part, chunk) => change(part, chunk, await opened.vocabulary!.chunk(part, chunk)),
  },
});
const refused = (given: Given, model = drafter!) => {
  rmSync(cached, { recursive: true, force: true });
  return withCloud(given, async (server) => edgeOf(server, model)).then(
    () => null,
    (error: Error & { code: string }) => `${error.code}: ${error.message}`,
  );
};

describe("a cloud of release 0.1", () => {
  it("is judged by its whole tokenizer, and its text is its own", async () => {
    const given = { tokenizer: opened.tokenizer, vocabulary: null };
    const text = await alone(given);
    await withCloud(given, async (server) => {
      await using edge = await edgeOf(server, drafter!);
      expect(await askDrafted(edge)).toBe(text);
    });
    expect(await refused(given, stranger!)).toMatch(/^tokenizer_mismatch: .*token 1000/);
  });

  it("that gives nothing away takes the target's own tokenizer alone", async () => {
    const given = { tokenizer: null, vocabulary: null };
    expect(await refused(given)).toMatch(/^tokenizer_mismatch: .* is not the target's .*nothing away/);
    expect(await refused(given, target!)).toBe(null);
  });
});

describe("a device whose drafter has another tokenizer", () => {
  it("answers alone by its own, and for the target by the target's", async () => {
    const apart = { drafter: "model", threads: 1, gpu: "off" } as const;
    await using offline = await createEdge({ ...apart, model: drafter! });
    const own = await offline.ask(QUESTION);
    const text = await alone(opened);
    await withCloud(opened, async (server) => {
      await using edge = await edgeOf(server, drafter!);
      expect((await edge.ask({ ...QUESTION, policy: "edge" })).text).toBe(own.text);
      expect((await edge.ask(QUESTION)).text).toBe(text);
      expect(own.promptTokens).not.toBe((await edge.ask(QUESTION)).promptTokens);
    });
  });

  it("goes on by another tokenizer where the cloud comes back with another model", async () => {
    const file = join(folder, "other");
    wearVocabulary(VOCABULARY, file, { layers: 3, change: (one) => one.list("merges").reverse() });
    const other = await TARGET_ENGINES.named("llama")({ ...REQUEST, file: async () => file });
    try {
      const texts = [await alone(opened), await alone(other, other)];
      expect(texts[0]).not.toBe(texts[1]);
      const [edge, port] = await withCloud(opened, async (server) => {
        const edge = await edgeOf(server, drafter!);
        expect((await edge.ask(QUESTION)).text).toBe(texts[0]);
        return [edge, server.port] as const;
      });
      await using _ = edge;
      const again = async () => {
        edge.disconnect();
        return askDrafted(edge);
      };
      expect(await withCloud(other, again, other, port)).toBe(texts[1]);
      // And back: what was known of the first is known still.
      expect(await withCloud(opened, again, opened, port)).toBe(texts[0]);
    } finally {
      other.close();
    }
  });

  it("drafts for two targets of two more tokenizers at once, each in its own way", async () => {
    const file = join(folder, "renamed");
    const change = (one: WornVocabulary) => {
      for (const id of [2, 3, 4, 5]) one.rename(id, `<|other-${id}|>`);
      one.drop("pre");
    };
    wearVocabulary(VOCABULARY, file, { layers: 3, change });
    const other = await TARGET_ENGINES.named("llama")({ ...REQUEST, file: async () => file });
    try {
      const texts = [await alone(opened), await alone(other, other)];
      const both = (first: CloudServer) =>
        withCloud(
          other,
          async (second) => {
            const clouds = [first.url, second.url];
            const edges = await createEdges({ clouds, model: drafter!, threads: 1, gpu: "off" });
            try {
              return await Promise.all(edges.map((edge) => askDrafted(edge)));
            } finally {
              await closeEdges(edges);
            }
          },
          other,
        );
      expect(await withCloud(opened, both)).toEqual(texts);
    } finally {
      other.close();
    }
  });

  it("keeps to a grammar over the target's vocabulary, and drafts by it", async () => {
    await withCloud(opened, async (server) => {
      await using edge = await edgeOf(server, drafter!);
      const grammar = { kind: "regex", source: "(yes|no|maybe), [0-9]{4}" } as const;
      for (const policy of ["race", "picospec"] as const) {
        expect(await askDrafted(edge, { grammar, policy })).toMatch(/^(yes|no|maybe), \d{4}$/);
      }
    });
  });
});

describe("a cloud that lies about its vocabulary", () => {
  it("costs a clear error, and nothing is kept", async () => {
    const file = (act: (bytes: Uint8Array) => Uint8Array) =>
      lying((part, _, bytes) => (part === "file" ? act(bytes) : bytes));
    const said = [
      await refused(file((bytes) => bytes.subarray(0, bytes.length - 9))),
      await refused(file(() => deflateSync(Buffer.alloc(64 * 2 ** 20)))),
      await refused(file(() => deflateSync(Buffer.alloc(10)))),
      await refused(lying((_, __, bytes) => bytes, { fileHash: "0".repeat(64) })),
      await refused(lying((part, _, bytes) => (part === "blocks" ? bytes.subarray(8) : bytes))),
      await refused(lying((_, __, bytes) => bytes, { identity: "another" })),
    ];
    for (const one of said) expect(one).toMatch(/^bad_tokenizer: /);
    expect(said[1]).toMatch(/a chunk of it is damaged/);
    expect(said[2]).toMatch(/has 10 bytes, and not/);
    expect(said[3]).toMatch(/not the file that the cloud told of/);
    expect(readdirSync(folder).includes("cache") ? readdirSync(cached) : []).toHaveLength(1);
  });

  it("about its entries is refused, or drafted for by less", async () => {
    const all = lying((part, _, bytes) => (part === "file" ? bytes : bytes.map((byte) => byte ^ 0x11)));
    expect(await refused(all)).toMatch(/^tokenizer_mismatch: /);
  });

  it("control: the truth is taken, and what was kept is fetched again where it has changed", async () => {
    expect(await refused(opened)).toBe(null);
    const [name] = readdirSync(cached);
    writeFileSync(join(cached, name!), "something else");
    await withCloud(opened, async (server) => (await edgeOf(server, drafter!)).close());
    expect(readFileSync(join(cached, name!)).subarray(0, 4).toString()).toBe("GGUF");
  });
});
