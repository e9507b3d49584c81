import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type DecodingPolicy, POLICIES } from "../../src/decoding/policy.ts";
import { LlamaModel } from "../../src/engine/llama/model.ts";
import { llamaDraftModel } from "../../src/engine/llama/models.ts";
import type { SamplerSettings } from "../../src/sampling/sampler.ts";
import { ARCHITECTURES } from "../support/gguf/architectures.ts";
import { HYBRID, PairsOfAll } from "../support/gguf/pairs-of-all.ts";
import { writeRandomModel } from "../support/gguf/random.ts";
import { PROMPTS } from "../support/prompts.ts";
import { RealPair } from "../support/real-pair.ts";
import { distance, randomTexts, rowsOf, sameRow, walk } from "../support/row-walk.ts";
import { draws } from "../support/world.ts";

/**
 * Every architecture that people run, with random weights: a row of a target is the same bits whatever else there is, and
 * the text is the cloud's own under every policy, with four sessions at a time. The drafter is the target with noise in
 * its weights, so that it is wrong often. PICOSPEC_ARCHITECTURE_PROMPTS=20 asks all prompts.
 */

const ASKED = Number(process.env.PICOSPEC_ARCHITECTURE_PROMPTS ?? 5);
const AT_A_TIME = 4;
const TOKENS = 72;

let files: PairsOfAll;
const target = (name: string) => files.target(name);
const drafter = (name: string) => files.drafter(name);

beforeAll(() => {
  files = new PairsOfAll();
});
afterAll(() => files.remove());

describe.each(ARCHITECTURES.map(({ name }) => [name]))("%s", (name) => {
  it("has the same rows whatever else is in the pass and in the cache", async () => {
    const model = await LlamaModel.load(target(name), { gpu: "off" });
    const { rows, off } = await walk(model, 300);
    model.close();
    expect(rows).toBeGreaterThan(2000);
    expect(off).toBe(0);
  });

  it("says what the cloud alone says, four sessions at a time", async () => {
    // As many slots as sessions, and a prompt in chunks.
    const pair = await RealPair.open(target(name), drafter(name), { prefillTokens: 16 }, AT_A_TIME);
    const prompts = PROMPTS.slice(0, ASKED).map((question) => pair.prompt(question));
    const tally = { accepted: 0, rejected: 0, tokens: 0 };
    const ask = async (policy: DecodingPolicy, sampler: Partial<SamplerSettings>) => {
      const texts: number[][] = [];
      for (let at = 0; at < prompts.length; at += AT_A_TIME) {
        const some = prompts.slice(at, at + AT_A_TIME);
        const answers = await Promise.all(
          some.map((prompt, i) => pair.answer(policy, prompt, TOKENS, sampler, at + i)),
        );
        for (const { tokens, statistics } of answers) {
          texts.push(tokens);
          tally.accepted += statistics.accepted;
          tally.rejected += statistics.rejected;
          tally.tokens += tokens.length;
        }
      }
      return texts;
    };
    try {
      for (const [sampler, policies] of [
        [{ temperature: 0 }, ["race", "picospec"]],
        [{ temperature: 0.8 }, ["race"]],
      ] as const) {
        const alone = await ask(POLICIES.cloud, sampler);
        for (const policy of policies) {
          expect(await ask(POLICIES[policy], sampler), policy).toEqual(alone);
        }
      }
    } finally {
      pair.close();
    }
    // Nothing was proved if no draft was ever taken, or none was ever rejected.
    expect(tally.tokens).toBeGreaterThan(ASKED * TOKENS);
    expect(tally.accepted).toBeGreaterThan(ASKED * 10);
    expect(tally.rejected).toBeGreaterThan(ASKED * 5);
  });
});

describe.each(
  HYBRID.flatMap((name) => [[name, "Q8_0"] as const, [name, "Q4_0"] as const]),
)("%s in %s", (name, format) => {
  it("has the same rows whatever else is in the pass and in the cache", async () => {
    const path = join(files.folder, `${name}-${format}.gguf`);
    writeRandomModel(path, { architecture: name, format });
    const model = await LlamaModel.load(path, { gpu: "off" });
    const { rows, off } = await walk(model, 150);
    model.close();
    expect(rows).toBeGreaterThan(1000);
    expect(off).toBe(0);
  });
});

describe.each([...HYBRID, "gemma3"].map((name) => [name]))("%s on two threads", (name) => {
  it("has the same rows in passes of any size", async () => {
    const model = await LlamaModel.load(target(name), { gpu: "off" });
    const [text] = randomTexts(model, 1, 20, draws(5));
    const one = await rowsOf(model, text!, 1, { threads: 2 });
    for (const size of [7, 20]) {
      const rows = await rowsOf(model, text!, size, { threads: 2 });
      expect(rows.filter((row, i) => !sameRow(row, one[i]!))).toHaveLength(0);
    }
    model.close();
  });
});

describe.each([["cohere2"], ["gpt-oss"], ["lfm2"], ["qwen35"]])("%s without that care", (name) => {
  it("has other rows in other company: the control", async () => {
    const model = await LlamaModel.load(target(name), { gpu: "off" });
    const { rows, off } = await walk(model, 60, { batchInvariant: false });
    model.close();
    expect(off / rows).toBeGreaterThan(0.2);
  });
});

describe.each([...HYBRID, "gemma3", "gemma4", "cohere2"].map((name) => [name]))("%s as on a GPU", (name) => {
  it("has rows of the same text, but for roundings", async () => {
    const model = await LlamaModel.load(target(name), { gpu: "off" });
    const { rows, off, worst } = await walk(model, 300, { batchInvariant: false });
    model.close();
    expect(off / rows).toBeGreaterThan(0.2);
    // A state, or a window, that is not the sequence's own is off by 3 and more.
    expect(worst).toBeLessThan(0.5);
  });
});

describe.each([...HYBRID, "gemma3"].map((name) => [name]))("%s as a drafter", (name) => {
  it("is where it was after it went back, from anywhere to anywhere", async () => {
    const model = await LlamaModel.load(target(name), { gpu: "off" });
    const drafts = await llamaDraftModel(model, { threads: 1, contextTokens: 320 });
    const random = draws(11);
    const [text, other] = randomTexts(model, 2, 200, random);
    const right = await rowsOf(model, text!, 1, { batchInvariant: false });
    const feed = (from: number, tokens: Int32Array) =>
      new Promise<Float32Array>((resolve, reject) => {
        let row: Float32Array;
        drafts.feed(
          from,
          tokens,
          (logits) => {
            row = logits.slice();
          },
          (error) => (error ? reject(error) : resolve(row)),
        );
      });
    let [length, worst, wrong] = [0, 0, 0];
    for (let round = 0; round < 120; round++) {
      // Some right tokens, some drafts that are taken back, now and then far back.
      const end = Math.min(text!.length, length + 1 + Math.floor(random() * 4));
      worst = Math.max(worst, distance(await feed(length, text!.slice(length, end)), right[end - 1]!));
      const astray = Math.floor(random() * 9);
      for (let i = 0; i < astray && end + i < 200; i++) {
        const row = await feed(end + i, other!.slice(end + i, end + i + 1));
        wrong = Math.max(wrong, end + i < text!.length ? distance(row, right[end + i]!) : 0);
      }
      length = round % 25 === 24 ? Math.floor(random() * end) : end;
      if (length === text!.length) length = 0;
    }
    drafts.close();
    model.close();
    // Batches of other sizes round differently; a wrong state is another text.
    expect(worst).toBeLessThan(0.2);
    expect(wrong).toBeGreaterThan(2);
  });
});
