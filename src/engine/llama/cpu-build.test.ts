import { describe, expect, it } from "vitest";
import { cpuBuildOf, cpuBuildOfFile, exactBuild } from "./cpu-build.ts";

const FOLDER = "/home/u/app/node_modules/@node-llama-cpp/linux-x64/bins/linux-x64";
const line = (path: string) => `7f00-7f10 r-xp 00000000 fe:01 1234                       ${path}`;
const X64 = "CPU : SSE3 = 1 | AVX2 = 1 | LLAMAFILE = 1 | ";

describe("cpuBuildOf", () => {
  it.each([
    [`${FOLDER}/libggml-cpu-haswell.so`, "haswell"],
    [`${FOLDER}/libggml-cpu-armv8.2_1.so`, "armv8.2_1"],
  ])("reads the name from the memory map: %s", (path, name) => {
    const maps = [`${FOLDER}/libggml-base.so`, path, path, `${FOLDER}/libllama.so`, "[heap]"].map(line);
    expect(cpuBuildOf({ maps: maps.join("\n"), systemInfo: X64, arch: "x64" })).toBe(name);
  });

  it.each([
    ["there is no map", "", X64, "x64: SSE3, AVX2, LLAMAFILE"],
    [
      "the file has no build in its name",
      line(`${FOLDER}/libggml-cpu.so`),
      X64,
      "x64: SSE3, AVX2, LLAMAFILE",
    ],
    [
      "several builds are mapped",
      [line("/a/libggml-cpu-zen4.so"), line("/a/libggml-cpu-x64.so")].join("\n"),
      X64,
      "x64: SSE3, AVX2, LLAMAFILE",
    ],
    [
      "a GPU backend comes first",
      "",
      "MTL : EMBED_LIBRARY = 1 | CPU : NEON = 1 | SVE_CNT = 16 | RPC : X = 1 | ",
      "x64: NEON, SVE_CNT = 16",
    ],
    ["nothing is said", "", "", "unknown"],
    ["only a GPU is described", "", "CUDA : ARCHS = 890 | ", "unknown"],
  ])("falls back on the instruction sets: %s", (_, maps, systemInfo, text) => {
    expect(cpuBuildOf({ maps, systemInfo, arch: "x64" })).toBe(text);
  });
});

it("takes nothing else for a CPU build", () => {
  expect(cpuBuildOfFile("ggml-cpu-zen4.dll")).toBe("zen4");
  expect(cpuBuildOfFile("C:\\x\\ggml-cpu-zen4.dll")).toBe("zen4");
  for (const name of [
    "libggml-cpu.so",
    "libggml-base.so",
    "/libggml-cpu-x64.so/other.so",
    "my-ggml-cpu-x64.so",
  ])
    expect(cpuBuildOfFile(name)).toBeNull();
});

it.each([
  ["avx2 avx512_bf16 amx_bf16 amx_tile amx_int8", ["haswell", "sapphirerapids", "zen4"], "zen4"],
  ["avx2 amx_int8", ["haswell", "sapphirerapids"], null],
  ["avx2 avx512_bf16 avx_vnni", ["sapphirerapids", "zen4"], null],
  ["", ["zen4"], null],
])("of a processor with %s and the builds %j another than ggml's own is taken: %s", (flags, builds, name) => {
  expect(exactBuild(flags, builds)).toBe(name);
});
