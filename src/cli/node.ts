import { packagePath } from "../device/node.ts";

/** What commands need of the process and of the package that they are in. */

export const BUNDLED_TARGET = packagePath("models/pico-target-q8_0.gguf");
export const BUNDLED_DRAFTER = packagePath("models/pico-drafter-q8_0.gguf");

/** Resolves when this process is to stop: by a signal, or because the parent that started it has gone. */
export function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
    if (process.send) process.once("disconnect", () => resolve());
  });
}
