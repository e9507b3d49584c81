import { quantile } from "../../../lab/models/fit.ts";
import { bytesText } from "./bytes.ts";
import { type Check, ok, problem, warning } from "./check.ts";

/** Checks of the machine itself, on facts that come from elsewhere. */

/** What package.json names in `engines`. */
export const LEAST_NODE = 20;

/** @param version as `process.versions.node` */
export function nodeCheck(version: string): Check {
  if (Number(version.split(".")[0]) >= LEAST_NODE) return ok("node", version);
  return problem("node", `${version} is too old`, `install Node ${LEAST_NODE} or later: https://nodejs.org`);
}

export interface CpuFacts {
  readonly platform: string;
  readonly arch: string;
  readonly model: string;
  readonly cores: number;
  /** what it can compute with, see `cpuFeatures`; null: unknown */
  readonly features: readonly string[] | null;
  /** there is a build of llama.cpp for it */
  readonly supported: boolean;
}

export function cpuCheck({ platform, arch, model, cores, features, supported }: CpuFacts): Check {
  const known = features === null ? "features unknown" : features.join(", ") || "no vector features";
  const detail = `${platform}-${arch}, ${model.trim() || "unknown model"}, ${cores} ${cores === 1 ? "core" : "cores"}, ${known}`;
  if (!supported) {
    return problem("cpu", detail, "there is no build of llama.cpp for this platform: use another machine");
  }
  if (arch === "x64" && features !== null && !features.includes("AVX2")) {
    return warning(
      "cpu",
      `${detail}: models are slow without AVX2`,
      "use a newer CPU, or one that a virtual machine does not hide",
    );
  }
  if (cores === 1) {
    return warning(
      "cpu",
      detail,
      "run edge and cloud on different machines: on one core they hold each other up",
    );
  }
  return ok("cpu", detail);
}

/** Names of features in /proc/cpuinfo and of sysctl, in the order in which they are shown. */
const FEATURES: readonly (readonly [name: string, pattern: RegExp])[] = [
  ["AVX", /\b(avx|avx1\.0)\b/i],
  ["AVX2", /\bavx2\b|hw\.optional\.avx2_0: 1/i],
  ["FMA", /\bfma\b/i],
  ["F16C", /\bf16c\b/i],
  ["AVX-512", /\bavx512f\b/i],
  ["AVX-512 VNNI", /\bavx512_?vnni\b/i],
  ["AVX-VNNI", /\bavx_vnni\b/i],
  ["AMX", /\bamx_int8\b/i],
  ["NEON", /\b(neon|asimd)\b|AdvSIMD: 1/i],
  ["dot product", /\basimddp\b|FEAT_DotProd: 1/i],
  ["I8MM", /\bi8mm\b|FEAT_I8MM: 1/i],
  ["SVE", /\bsve\b/i],
];

/**
 * What a CPU can compute with.
 * @param text /proc/cpuinfo, or lines of sysctl
 * @returns null where the text does not say
 */
export function cpuFeatures(text: string): string[] | null {
  const lines = text
    .split("\n")
    .filter((line) => /^(flags|Features)\s*:|^(hw\.optional|machdep\.cpu)\./.test(line));
  if (lines.length === 0) return null;
  // Cores are alike, as far as this goes: the first says it all. Of sysctl each line says one thing.
  const relevant = /^(flags|Features)/.test(lines[0]!)
    ? lines[0]!
    : lines.filter((line) => !line.endsWith(": 0")).join("\n");
  return FEATURES.filter(([, pattern]) => pattern.test(relevant)).map(([name]) => name);
}

export interface MemoryFacts {
  readonly totalBytes: number;
  /** that a program can have without others giving way */
  readonly availableBytes: number;
}

/** Below the first nothing of use fits beside Node; below the second only small models do. */
const LEAST_BYTES = 256 * 2 ** 20;
const FEW_BYTES = 1024 * 2 ** 20;

export function memoryCheck({ totalBytes, availableBytes }: MemoryFacts): Check {
  const detail = `${bytesText(availableBytes)} of ${bytesText(totalBytes)} free`;
  const advice = "close what you do not need, or take a machine with more memory";
  if (availableBytes < LEAST_BYTES) return problem("memory", detail, advice);
  if (availableBytes < FEW_BYTES) return warning("memory", `${detail}: only small models fit`, advice);
  return ok("memory", detail);
}

export interface TimerFacts {
  /** smallest step of the monotonic clock that was seen, ms */
  readonly resolutionMs: number;
  /** the monotonic clock went back */
  readonly backwards: boolean;
  /** how much later than asked for timers fired, ms; one or more */
  readonly lateMs: readonly number[];
}

const COARSE_MS = 0.1;
const LATE_MS = 5;
const VERY_LATE_MS = 100;

/** Statistics, emulated hardware and the adaptive window are only as good as the clock. */
export function clockCheck({ resolutionMs, backwards, lateMs }: TimerFacts): Check {
  const sorted = lateMs.toSorted((a, b) => a - b);
  const [median, most] = [quantile(sorted, 0.5), sorted.at(-1)!];
  const lateness = `timers ${median.toFixed(1)} ms late, ${most.toFixed(1)} ms at most`;
  const detail = `steps of ${(1000 * resolutionMs).toFixed(1)} µs, ${lateness}`;
  if (backwards) {
    return problem(
      "clock",
      "the monotonic clock goes back",
      "restart the machine, or take another: times mean nothing here",
    );
  }
  if (resolutionMs > COARSE_MS) {
    return warning("clock", detail, "do not trust small times on this machine: its clock is coarse");
  }
  if (median > LATE_MS || most > VERY_LATE_MS) {
    return warning("clock", detail, "end what keeps the CPU busy, or give models fewer --threads");
  }
  return ok("clock", detail);
}
