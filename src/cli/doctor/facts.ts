import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { availableParallelism, cpus, freemem, totalmem } from "node:os";
import { promisify } from "node:util";
import { inspected, inspectedLibrary } from "../../device/isolation/check.ts";
import type { Outcome } from "../../device/isolation/outcome.ts";
import type { ModelReport } from "../../device/isolation/requests.ts";
import { platformBuilds } from "../../engine/llama/library.ts";
import { systemClock } from "../../transport/node/clock.ts";
import type { LibraryFacts } from "./library.ts";
import { type CpuFacts, cpuFeatures, type MemoryFacts, type TimerFacts } from "./machine.ts";

/** What this machine says of itself: the facts that the checks judge. */

export async function cpuFacts(signal: AbortSignal): Promise<CpuFacts> {
  const text = await featureText(signal).catch(() => null);
  return {
    platform: process.platform,
    arch: process.arch,
    model: cpus()[0]?.model ?? "",
    cores: availableParallelism(),
    features: text === null ? null : cpuFeatures(text),
    supported: platformBuilds() !== null,
  };
}

async function featureText(signal: AbortSignal): Promise<string | null> {
  if (process.platform === "linux") return readFile("/proc/cpuinfo", "utf8");
  if (process.platform !== "darwin") return null;
  return (await promisify(execFile)("sysctl", ["hw.optional", "machdep.cpu"], { signal })).stdout;
}

/** A container may have less than its machine. */
export function memoryFacts(): MemoryFacts {
  // Both are younger than Node 20.0. The first says 0, or more than there is, where there is no limit.
  const limit = process.constrainedMemory?.() ?? 0;
  const available = process.availableMemory?.() ?? freemem();
  const totalBytes = limit > 0 ? Math.min(limit, totalmem()) : totalmem();
  return { totalBytes, availableBytes: Math.min(available, totalBytes) };
}

const CLOCK_STEPS = 1000;
/** A coarse clock takes no step for so many readings, and the loop must end. */
const MOST_READINGS = 5_000_000;
const TIMERS = 25;
const TIMER_MS = 4;

export async function timerFacts(): Promise<TimerFacts> {
  const steps = clockSteps();
  const lateMs: number[] = [];
  for (let i = 0; i < TIMERS; i++) lateMs.push(await lateness());
  return {
    resolutionMs: steps.reduce((least, step) => (step > 0 && step < least ? step : least), 1000),
    backwards: steps.some((step) => step < 0),
    lateMs,
  };
}

/** Differences of readings that are not the same, ms. */
function clockSteps(): number[] {
  const steps: number[] = [];
  let before = systemClock.nowMs();
  for (let i = 0; i < MOST_READINGS && steps.length < CLOCK_STEPS; i++) {
    const now = systemClock.nowMs();
    if (now !== before) steps.push(now - before);
    before = now;
  }
  return steps;
}

/** By the clock that edge and cloud live by. */
function lateness(): Promise<number> {
  const atMs = systemClock.nowMs() + TIMER_MS;
  return new Promise((resolve) => {
    systemClock.schedule(atMs, () => resolve(systemClock.nowMs() - atMs));
  });
}

export async function libraryFacts(signal: AbortSignal): Promise<LibraryFacts> {
  const auto = await inspectedLibrary("auto", signal);
  return {
    builds: platformBuilds(),
    auto,
    off: auto.ok ? auto : await inspectedLibrary("off", signal),
    nvidia: existsSync("/proc/driver/nvidia/version"),
  };
}

/** What the check of `cloud`, `edge` and `run` says of a file; it is looked at anew, also where it is known. */
export function modelFacts(path: string, signal: AbortSignal): Promise<Outcome<ModelReport>> {
  return inspected(path, "whole", signal);
}
