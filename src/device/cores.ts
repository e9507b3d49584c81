import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";

/**
 * How many threads a model computes with where nobody says. More than the machine has cores make a model slower: two threads of
 * one core share its arithmetic, and those of ggml wait for one another in a loop.
 */

/** What there is to know, for tests. */
export interface CoreFacts {
  /** processors that this process may use */
  readonly processors: number;
  /** lists of those that share a core, such as "0,4" or "2-3"; none: not known */
  readonly siblings: readonly string[];
  /** `process.arch` */
  readonly arch: string;
}

/** Cores, of which one may have several processors; at least 1. */
function physicalCores({ processors, siblings, arch }: CoreFacts): number {
  const cores = new Set(siblings).size;
  if (cores > 0) return Math.min(cores, processors);
  // Without a word of it: processors of x86 mostly come in twos, others do not.
  return arch === "x64" ? Math.max(1, processors >> 1) : processors;
}

/**
 * For a target or a drafter.
 * @param sharesMachine the other side computes on this machine too
 * @returns all cores but one, which is for the rest of the process; half of them where they are shared
 */
export function defaultThreads(sharesMachine: boolean, facts: CoreFacts = coreFacts()): number {
  const cores = physicalCores(facts);
  return Math.max(1, sharesMachine ? cores >> 1 : cores - 1);
}

/** Whether an address leads to this machine. */
export function isLoopback(address: string): boolean {
  return /^wss?:\/\/(?:localhost|127(?:\.\d+){3}|\[::1\])(?=[:/]|$)/i.test(address);
}

function coreFacts(): CoreFacts {
  const processors = availableParallelism();
  const { arch } = process;
  const siblings: string[] = [];
  for (let id = 0; id < processors; id++) {
    try {
      const path = `/sys/devices/system/cpu/cpu${id}/topology/thread_siblings_list`;
      siblings.push(readFileSync(path, "utf8").trim());
    } catch {
      return { processors, siblings: [], arch };
    }
  }
  return { processors, siblings, arch };
}
