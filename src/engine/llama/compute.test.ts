import { describe, expect, it } from "vitest";
import {
  attentionIdentity,
  type ComputeOptions,
  checkCompute,
  computeText,
  contextParamsOf,
  modelParamsOf,
  placementIdentity,
} from "./compute.ts";

describe("checkCompute", () => {
  it.each<[string, ComputeOptions, RegExp]>([
    ["half a layer", { gpuLayers: 0.5 }, /gpuLayers is a whole number from 0 to 10000, not 0.5/],
    ["a GPU below the first", { mainGpu: -1 }, /mainGpu is a whole number from 0/],
    ["no thread", { threadsBatch: 0 }, /threadsBatch is a whole number from 1 to 512, not 0/],
    ["another type", { kvType: "q5_1" as "q8_0" }, /kvType is f16, q8_0, q4_0, not q5_1/],
    ["another choice", { flashAttn: "yes" as "on" }, /flashAttn is auto, on, off, not yes/],
    ["an empty split", { tensorSplit: [] }, /tensorSplit is 1 to 16 numbers/],
    ["a split of nothing", { tensorSplit: [0, 0] }, /not all 0/],
    ["a split that is no number", { tensorSplit: [1, Number.NaN] }, /tensorSplit is/],
    ["one GPU and several", { mainGpu: 0, tensorSplit: [1, 1] }, /mainGpu for one GPU, or tensorSplit/],
    ["small values without flash attention", { kvType: "q8_0", flashAttn: "off" }, /needs flash attention/],
  ])("refuses %s", (_, options, message) => {
    expect(() => checkCompute(options, "auto")).toThrow(message);
  });

  it("refuses what is for a GPU where that is off, and nothing else", () => {
    expect(() => checkCompute({ gpuLayers: 3 }, "off")).toThrow("gpuLayers is for a GPU, and gpu is off");
    expect(() => checkCompute({ mainGpu: 0 }, "off")).toThrow("mainGpu is for a GPU");
    checkCompute({ gpuLayers: 0, kvType: "q4_0", mlock: true, threadsBatch: 2 }, "off");
    checkCompute({ gpuLayers: 3, tensorSplit: [3, 1] }, "auto");
  });
});

describe("what llama.cpp is given", () => {
  it("is its own default where nothing is asked", () => {
    expect(modelParamsOf({}, () => 0n)).toEqual({});
    expect(contextParamsOf({})).toEqual({ type_k: 1, type_v: 1, flash_attn_type: -1 });
  });

  it("is what was asked, in its numbers", () => {
    const asked = { gpuLayers: 7, tensorSplit: [3, 1], mlock: true } as const;
    const params = modelParamsOf(asked, (parts) => BigInt(parts.length));
    expect(params).toEqual({ n_gpu_layers: 7, tensor_split: 2n, load_mode: 3 });
    expect(modelParamsOf({ mainGpu: 1 }, () => 0n)).toEqual({ main_gpu: 1, split_mode: 0 });
    const small = contextParamsOf({ kvType: "q4_0", flashAttn: "on" });
    expect(small).toEqual({ type_k: 2, type_v: 2, flash_attn_type: 1 });
  });
});

describe("the identity", () => {
  it("has what changes numbers, and is as before where nothing does", () => {
    for (const options of [
      {},
      { mlock: true, threadsBatch: 3 },
      { kvType: "f16", flashAttn: "auto" },
    ] as const) {
      expect(attentionIdentity(options, true)).toBeUndefined();
      expect(placementIdentity(options)).toBe("");
    }
    expect(attentionIdentity({ flashAttn: "on" }, true)).toBeUndefined();
    expect(attentionIdentity({ flashAttn: "on" }, false)).toBe("flash attention on");
    expect(attentionIdentity({ kvType: "q8_0", flashAttn: "on" }, false)).toBe("KV q8_0, flash attention on");
    expect(placementIdentity({ gpuLayers: 20, tensorSplit: [3, 1] })).toBe(", 20 layers, split 3:1");
  });
});

describe("computeText", () => {
  it("says what is used", () => {
    const cpu = { build: "@node-llama-cpp/linux-x64", onCpu: true };
    expect(computeText({ threads: 4 }, cpu)).toBe(
      "@node-llama-cpp/linux-x64: CPU, 4 threads, KV f16, flash attention auto",
    );
    const gpu = { build: "cuda", onCpu: false };
    const options = { threads: 4, threadsBatch: 8, gpuLayers: 20, mainGpu: 1, kvType: "q8_0" } as const;
    expect(computeText(options, gpu)).toBe(
      "cuda: 20 layers on the GPU, GPU 1, KV q8_0, flash attention auto",
    );
  });
});
