import { fork } from "node:child_process";
import { packagePath } from "../../device/node.ts";
import type { Outcome } from "./outcome.ts";

const PROGRAM = packagePath("dist/src/cli/doctor/native.js");
const MOST_KEPT_CHARACTERS = 2000;

/**
 * Has llama.cpp do something in a process of its own: a library that does not fit can take its process along, and
 * blocks it while it loads.
 * @param args see native.ts
 * @param signal ends the process
 */
export function inNativeProcess<T>(args: readonly string[], signal: AbortSignal): Promise<Outcome<T>> {
  const child = fork(PROGRAM, args, { stdio: ["ignore", "ignore", "pipe", "ipc"], signal });
  let said = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-MOST_KEPT_CHARACTERS);
  });
  return new Promise((resolve) => {
    const fail = (message: string) => resolve({ ok: false, failure: { code: "crashed", message } });
    child.once("message", (outcome) => resolve(outcome as Outcome<T>));
    child.once("error", (error) => fail(error.message));
    child.once("exit", (code, by) => {
      const last = said.trim().split("\n").at(-1);
      fail(`llama.cpp ended its process (${by ?? `status ${code}`})${last ? `: ${last}` : ""}`);
    });
  });
}
