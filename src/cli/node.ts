import { packagePath } from "../device/node.ts";
import { Exit, INTERRUPTED } from "./exit.ts";

/** What commands need of the process and of the package that they are in. */

export const BUNDLED_TARGET = packagePath("models/pico-target-q8_0.gguf");
export const BUNDLED_DRAFTER = packagePath("models/pico-drafter-q8_0.gguf");

/**
 * Serves until this process is to stop: by a signal, or because the parent that started it has gone. Then drains, unless
 * another signal comes or the parent is gone, and closes.
 * @param drain resolves when what is under way has ended, within a bound of its own; default: nothing is waited for
 * @throws Exit 130 after SIGINT: SIGTERM is how a service is stopped, and SIGINT how a person interrupts
 */
export async function serveUntilStopped(
  announce: () => void,
  close: () => Promise<void>,
  drain: () => Promise<void> = async () => {},
): Promise<void> {
  const stopped = new Promise<boolean>((resolve) => {
    process.once("SIGINT", () => resolve(true));
    process.once("SIGTERM", () => resolve(false));
    if (process.send) process.once("disconnect", () => resolve(false));
  });
  // A parent may signal as soon as it reads this: the handlers are there by now.
  announce();
  const interrupted = await stopped;
  const again = new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
    if (process.send) {
      if (process.connected) process.once("disconnect", () => resolve());
      else resolve();
    }
  });
  await Promise.race([again, drain()]);
  await close();
  if (interrupted) throw new Exit(INTERRUPTED);
}
