import { rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { checkFile } from "../../src/device/isolation/check.ts";
import { loadLibrary } from "../../src/engine/llama/library.ts";
import { LlamaModel } from "../../src/engine/llama/model.ts";
import { LlamaTokenizer } from "../../src/engine/llama/tokenizer.ts";
import { StreamingText } from "../../src/text/tokenizer.ts";
import { keepDrafting } from "../support/drafting.ts";
import { ownCache } from "../support/own-cache.ts";
import { realVocabularies } from "../support/vocabularies.ts";
import { wearVocabulary } from "../support/wear-vocabulary.ts";
import { WornWorld } from "../support/worn-world.ts";

/** The vocabularies of seventeen models, each worn by random models: loading, samples, streaming, texts. */

keepDrafting();

const vocabularies = await realVocabularies();
const { folder } = ownCache();

async function withTokenizer<T>(path: string, use: (tokenizer: LlamaTokenizer) => T): Promise<T> {
  const model = await LlamaModel.load(path, { gpu: "off", vocabularyOnly: true });
  try {
    return use(new LlamaTokenizer(model));
  } finally {
    model.close();
  }
}

describe("real vocabularies", () => {
  it("are seventeen", () => {
    expect(vocabularies).toHaveLength(17);
  });
});

describe.each(vocabularies)("$name", ({ name, path, samples }) => {
  it("makes of each sample what llama.cpp says", async () => {
    await withTokenizer(path, (tokenizer) => {
      const begin = tokenizer.addsBegin ? [tokenizer.encode("", false)[0]!] : [];
      for (const { text, tokens } of samples) {
        expect([text, ...tokenizer.encode(text, false)]).toEqual([text, ...begin, ...tokens]);
      }
    });
  });

  it("streams what the whole is, which is the text", async () => {
    await withTokenizer(path, (tokenizer) => {
      const texts = samples.length > 0 ? samples.map(({ text }) => text) : ["Größe 你好 🦙 123", "  a\n\n b"];
      for (const text of texts) {
        const tokens = [...tokenizer.encode(text, false)];
        const streaming = new StreamingText(tokenizer);
        const streamed = tokens.map((token) => streaming.push(token)).join("") + streaming.end();
        const whole = Buffer.concat(tokens.map((token) => tokenizer.piece(token)));
        expect(streamed).toBe(whole.toString("utf8"));
        // SPM puts a blank before a text.
        expect([text, ` ${text}`]).toContain(streamed);
      }
    });
  });

  it("gives one greedy text over cloud, race and picospec, by a model and by prompt lookup", async () => {
    const [target, drafter] = [join(folder, `${name}.gguf`), join(folder, `${name}-small.gguf`)];
    wearVocabulary(path, target, { layers: 2 });
    wearVocabulary(path, drafter, { layers: 1 });
    const world = await WornWorld.open(target);
    const edge = await world.edge(drafter);
    const lookup = await world.edge(drafter, "lookup");
    try {
      const cloud = await edge.texts("cloud");
      expect(new Set(cloud).size).toBe(3);
      expect(await edge.texts("race")).toEqual(cloud);
      expect(await edge.texts("picospec")).toEqual(cloud);
      expect(edge.accepted).toBeGreaterThan(10);
      expect(await lookup.texts("race")).toEqual(cloud);
    } finally {
      await edge.close();
      await lookup.close();
      world.close();
      for (const file of [target, drafter]) rmSync(file);
    }
  });
});

describe("load time", () => {
  /** How much longer than llama.cpp alone a file may take that was checked before. */
  const MOST_TIMES = 1.5;
  /** Loads of each kind, in turns: the fastest counts, since other work only ever adds. */
  const LEAST_LOADS = 3;
  const MOST_LOADS = 8;
  /** of one file: small ones are loaded more often, since their few milliseconds are the noisiest */
  const ENOUGH_MS = 1500;
  const { api } = loadLibrary("off");
  /** By the clock, and of the CPU: work of others slows the clock by more than the bar, and the CPU time by little. */
  const timed = async (act: () => Promise<void>) => {
    const [startedMs, before] = [performance.now(), process.cpuUsage()];
    await act();
    const { user, system } = process.cpuUsage(before);
    return { ms: performance.now() - startedMs, cpuMs: (user + system) / 1000 };
  };
  const least = (all: readonly { readonly ms: number; readonly cpuMs: number }[]) => ({
    ms: Math.min(...all.map(({ ms }) => ms)),
    cpuMs: Math.min(...all.map(({ cpuMs }) => cpuMs)),
  });

  /** The library's own load of a vocabulary. */
  const plain = (path: string) =>
    new Promise<void>((resolve, reject) => {
      const params = { ...api.modelDefaultParams(), vocab_only: true, n_gpu_layers: 0 };
      api.modelLoad.async(path, params, (error, model) => {
        if (error || model === null) {
          reject(error ?? new Error(path));
          return;
        }
        api.modelFree(model);
        resolve();
      });
    });

  /** Ours: checked, its header read, loaded, with what ends a text. */
  const ours = async (path: string) => {
    await checkFile(path, "vocabulary");
    const model = await LlamaModel.load(path, { gpu: "off", vocabularyOnly: true });
    new LlamaTokenizer(model).endTokens();
    model.close();
  };

  it("is told beside llama.cpp's own, for files that were checked before, and no multiple of it", async () => {
    const rows: string[] = [];
    let [theirCpuMs, ourCpuMs] = [0, 0];
    for (const { name, path } of vocabularies) {
      const first = await timed(() => ours(path));
      const [theirs, mine] = [[], []] as { ms: number; cpuMs: number }[][];
      const untilMs = performance.now() + ENOUGH_MS;
      for (let i = 0; i < LEAST_LOADS || (i < MOST_LOADS && performance.now() < untilMs); i++) {
        theirs!.push(await timed(() => plain(path)));
        mine!.push(await timed(() => ours(path)));
      }
      const [a, b] = [least(theirs!), least(mine!)];
      theirCpuMs += a.cpuMs;
      ourCpuMs += b.cpuMs;
      const clock = `llama.cpp ${a.ms.toFixed(0)} ms, ours ${b.ms.toFixed(0)} (${(b.ms / a.ms).toFixed(2)}x)`;
      const cpu = `CPU ${a.cpuMs.toFixed(0)} and ${b.cpuMs.toFixed(0)} ms (${(b.cpuMs / a.cpuMs).toFixed(2)}x)`;
      rows.push(`${name}: ${clock}; ${cpu}; first check ${(first.ms / 1000).toFixed(1)} s`);
    }
    console.log(rows.join("\n"));
    // Single files vary with what else the machine does. A string for each token made it ten times as long for the largest.
    expect(ourCpuMs / theirCpuMs).toBeLessThan(MOST_TIMES);
  });
});
