import { spawn } from "node:child_process";
import { once } from "node:events";
import { packagePath } from "../device/node.ts";
import { PicoSpecError } from "../util/errors.ts";

const START_TIMEOUT_MS = 60_000;

/**
 * Measures while another process decodes with a model.
 * @param cpus that it keeps to; null: any
 * @throws PicoSpecError `busy_failed`
 */
export async function besideBusy<T>(
  file: string,
  cpus: string | null,
  measure: () => Promise<T>,
): Promise<T> {
  const args = [packagePath("dist/src/cli/busy-model.js"), file, cpus ?? ""];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "ignore", "ipc"] });
  try {
    const ended = once(child, "exit").then(() => {
      throw new PicoSpecError("busy_failed", `a process that decodes with ${file} did not start`);
    });
    const signal = AbortSignal.timeout(START_TIMEOUT_MS);
    await Promise.race([once(child, "message", { signal }), ended]);
    ended.catch(() => {});
    return await measure();
  } finally {
    child.kill();
  }
}
