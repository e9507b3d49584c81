import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { bytesText } from "./bytes.ts";
import {
  type CpuFacts,
  clockCheck,
  cpuCheck,
  cpuFeatures,
  LEAST_NODE,
  memoryCheck,
  nodeCheck,
  type TimerFacts,
} from "./machine.ts";

describe("node", () => {
  it("is a problem where it is older than package.json wants", () => {
    expect(nodeCheck("18.20.4")).toMatchObject({
      status: "problem",
      advice: expect.stringContaining("Node 20"),
    });
    expect(nodeCheck("20.0.0").status).toBe("ok");
    expect(nodeCheck("100.0.0").status).toBe("ok");
    const { engines } = JSON.parse(readFileSync("package.json", "utf8"));
    expect(engines.node).toBe(`>=${LEAST_NODE}`);
  });
});

describe("cpu", () => {
  const facts: CpuFacts = {
    ...{ platform: "linux", arch: "x64", model: "Some CPU ", cores: 8 },
    ...{ features: ["AVX", "AVX2"], supported: true },
  };

  it("names platform, model, cores and features", () => {
    expect(cpuCheck(facts)).toMatchObject({
      status: "ok",
      detail: "linux-x64, Some CPU, 8 cores, AVX, AVX2",
      advice: null,
    });
    expect(cpuCheck({ ...facts, features: null }).detail).toMatch(/features unknown$/);
  });

  it("is a problem where there is no build for it", () => {
    expect(cpuCheck({ ...facts, arch: "riscv64", supported: false }).status).toBe("problem");
  });

  it("has a warning without AVX2 on x64, and for a single core", () => {
    expect(cpuCheck({ ...facts, features: ["AVX"] })).toMatchObject({
      status: "warning",
      detail: expect.stringContaining("AVX2"),
    });
    expect(cpuCheck({ ...facts, arch: "arm64", features: ["NEON"] }).status).toBe("ok");
    expect(cpuCheck({ ...facts, cores: 1 })).toMatchObject({
      status: "warning",
      detail: expect.stringContaining("1 core,"),
    });
  });

  it("has its features in /proc/cpuinfo", () => {
    const x86 = "processor\t: 0\nflags\t\t: fpu sse2 avx fma f16c avx2 avx512f avx512_vnni\n";
    expect(cpuFeatures(x86)).toEqual(["AVX", "AVX2", "FMA", "F16C", "AVX-512", "AVX-512 VNNI"]);
    expect(cpuFeatures("Features\t: fp asimd asimddp i8mm sve\n")).toEqual([
      "NEON",
      "dot product",
      "I8MM",
      "SVE",
    ]);
    expect(cpuFeatures("flags\t: fpu sse2\n")).toEqual([]);
    expect(cpuFeatures("model name: x\n")).toBeNull();
  });

  it("has its features in sysctl, where 0 means none", () => {
    const arm = "hw.optional.neon: 1\nhw.optional.arm.FEAT_DotProd: 1\nhw.optional.arm.FEAT_I8MM: 0\n";
    expect(cpuFeatures(arm)).toEqual(["NEON", "dot product"]);
    const intel =
      "machdep.cpu.features: FPU SSE2 AVX1.0 FMA F16C\nmachdep.cpu.leaf7_features: AVX2\nhw.optional.avx512f: 0\n";
    expect(cpuFeatures(intel)).toEqual(["AVX", "AVX2", "FMA", "F16C"]);
  });
});

describe("memory", () => {
  it("is a problem where next to nothing is free, and a warning where little is", () => {
    const free = (mib: number) => memoryCheck({ totalBytes: 16 * 2 ** 30, availableBytes: mib * 2 ** 20 });
    expect(free(100).status).toBe("problem");
    expect(free(800).status).toBe("warning");
    expect(free(8192)).toMatchObject({ status: "ok", detail: "8.00 GiB of 16.0 GiB free" });
  });

  it("is written with three digits", () => {
    expect([0, 1023, 1536, 20 * 2 ** 20, 123.4 * 2 ** 30].map(bytesText)).toEqual([
      "0 B",
      "1023 B",
      "1.50 KiB",
      "20.0 MiB",
      "123 GiB",
    ]);
  });
});

describe("clock", () => {
  const facts: TimerFacts = { resolutionMs: 0.0001, backwards: false, lateMs: [0.5, 0.2, 1] };

  it("says its step and how late timers are", () => {
    expect(clockCheck(facts)).toMatchObject({
      status: "ok",
      detail: "steps of 0.1 µs, timers 0.5 ms late, 1.0 ms at most",
    });
  });

  it("is a problem where it goes back", () => {
    expect(clockCheck({ ...facts, backwards: true }).status).toBe("problem");
  });

  it("has a warning where it is coarse, and where timers are late", () => {
    expect(clockCheck({ ...facts, resolutionMs: 1 }).status).toBe("warning");
    expect(clockCheck({ ...facts, lateMs: [7, 8, 9] }).status).toBe("warning");
    expect(clockCheck({ ...facts, lateMs: [0, 0, 0, 200] }).status).toBe("warning");
  });
});
