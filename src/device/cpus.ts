import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { PicoSpecError, SettingError } from "../util/errors.ts";

/**
 * The processors that this process may run on; Linux alone. Two processes that answer each other within a millisecond can
 * share one while another idles: the kernel wakes the one beside the other, and takes neither for worth moving. With a
 * processor each, `race` with the bundled pair is twice as fast on two cores (docs/performance.md, "Nothing emulated").
 */

const LIST = /^\d+(-\d+)?(,\d+(-\d+)?)*$/;

/**
 * @param list such as "0-3,6", as in taskset
 * @throws SettingError for a list that is none, or not of this machine's; PicoSpecError `no_taskset`
 */
export function keepToCpus(list: string): void {
  const wrong = (reason: string) => new SettingError("cpus", `--cpus ${list}: ${reason}`);
  if (!LIST.test(list)) throw wrong("give a list such as 0-3,6");
  const online = readList("/sys/devices/system/cpu/online", /^(\S+)$/m);
  if (online === null) throw wrong("only Linux lets a process choose its processors; leave it away");
  const wanted = cpusOf(list, online.at(-1)! + 1);
  if (wanted.length === 0) throw wrong("give a list such as 0-3,6");
  if (wanted.some((cpu) => !online.includes(cpu))) throw wrong(`this machine has ${online.join(",")}`);
  // All threads: those of V8 and of libuv are there by now.
  const { error, status } = spawnSync("taskset", ["-a", "-p", "-c", list, `${process.pid}`], {
    stdio: "ignore",
    timeout: 10_000,
  });
  if (error) {
    throw new PicoSpecError("no_taskset", "--cpus needs taskset; install util-linux, or leave it away");
  }
  if (status !== 0) throw wrong("this process may not run there; see its container or cpuset");
}

/**
 * Halves of the processors, for both sides on one machine, as lists for `keepToCpus`; null: there is only one, or it is not
 * known which there are.
 */
export function halvesOfCpus(allowed = allowedCpus()): readonly [string, string] | null {
  if (allowed === null || allowed.length < 2) return null;
  const half = allowed.length >> 1;
  return [allowed.slice(0, half).join(","), allowed.slice(half).join(",")];
}

/** Those that this process may run on now, ascending; null: not known. */
function allowedCpus(): number[] | null {
  return readList("/proc/self/status", /^Cpus_allowed_list:\s*(\S+)$/m);
}

function readList(path: string, pattern: RegExp): number[] | null {
  try {
    const list = pattern.exec(readFileSync(path, "utf8"))?.[1];
    return list ? cpusOf(list, Number.POSITIVE_INFINITY) : null;
  } catch {
    return null;
  }
}

/** @param most a list that goes on past this is cut there: what is wrong with it shows by then */
function cpusOf(list: string, most: number): number[] {
  const cpus = new Set<number>();
  for (const part of list.split(",")) {
    const [first = 0, last = first] = part.split("-").map(Number);
    for (let cpu = first; cpu <= Math.min(last, Math.max(first, most)); cpu++) cpus.add(cpu);
  }
  return [...cpus].sort((a, b) => a - b);
}
