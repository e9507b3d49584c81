import { afterEach, describe, expect, it } from "vitest";
import type { ComputeOptions } from "../../src/engine/llama/compute.ts";
import { loadLibrary } from "../../src/engine/llama/library.ts";
import { LlamaModel } from "../../src/engine/llama/model.ts";
import { llamaDraftModel, llamaTargetModel } from "../../src/engine/llama/models.ts";
import { randomTexts, rowsOf, sameRow, walk } from "../support/row-walk.ts";
import { draws } from "../support/world.ts";

/** How llama.cpp computes: what is asked is done, is told where it changes numbers, and is refused where it would harm. */

const TARGET = "models/pico-target-q8_0.gguf";
const SHAPE = { threads: 1, contextTokens: 64 };

let model: LlamaModel;
const load = async (options: ComputeOptions) => {
  model = await LlamaModel.load(TARGET, { gpu: "off", ...options });
  return model;
};
afterEach(() => model?.close());

async function rows(options: ComputeOptions): Promise<Float32Array[]> {
  const loaded = await load(options);
  const [text] = randomTexts(loaded, 1, 40, draws(3));
  const all = await rowsOf(loaded, text!, 8);
  loaded.close();
  return all;
}

const unlike = (a: readonly Float32Array[], b: readonly Float32Array[]) =>
  a.filter((row, i) => !sameRow(row, b[i]!)).length;

describe("keys and values in other types", () => {
  it.each(["q8_0", "q4_0"] as const)("%s: other numbers, another identity", async (kvType) => {
    const usual = await rows({});
    expect(unlike(await rows({ kvType }), usual)).toBeGreaterThan(30);
    const target = await llamaTargetModel(await load({ kvType }), { ...SHAPE, kvSlots: 1 });
    expect(target.info.identity).toMatchObject({ attention: `KV ${kvType}` });
    target.close();
  });

  it.each(["q8_0", "q4_0"] as const)("%s: rows are the same whatever else there is", async (kvType) => {
    const { rows: all, off } = await walk(await load({ kvType }), 200);
    expect(all).toBeGreaterThan(1500);
    expect(off).toBe(0);
  });
});

describe("options that change no number", () => {
  it("give the same rows and the same identity", async () => {
    const usual = await rows({});
    for (const options of [{ mlock: true }, { flashAttn: "on" }, { gpuLayers: 0 }] as const) {
      expect(unlike(await rows(options), usual)).toBe(0);
      const target = await llamaTargetModel(await load(options), { ...SHAPE, kvSlots: 1 });
      expect(target.info.identity).not.toHaveProperty("attention");
      target.close();
      model.close();
    }
  });
});

describe("what would harm", () => {
  it("no flash attention on a CPU: a row of the target would depend on other sessions", async () => {
    await load({ flashAttn: "off" });
    await expect(llamaTargetModel(model, { ...SHAPE, kvSlots: 2 })).rejects.toMatchObject({
      code: "unsupported_option",
      message: expect.stringContaining("leave flashAttn at auto"),
    });
    // A drafter only proposes.
    const drafter = await llamaDraftModel(model, SHAPE);
    drafter.close();
  });

  it("options for a GPU where there is none", async () => {
    const loading = LlamaModel.load(TARGET, { gpuLayers: 2 });
    if (loadLibrary("off").usesGpu) model = await loading;
    else await expect(loading).rejects.toMatchObject({ code: "no_gpu" });
  });
});
