import { packagePath } from "../device/node.ts";
import { Exit, INTERRUPTED } from "./exit.ts";

/** What commands need of the process and of the package that they are in. */

export const BUNDLED_TARGET = packagePath("models/pico-target-q8_0.gguf");
export const BUNDLED_DRAFTER = packagePath("models/pico-drafter-q8_0.gguf");

/** What is served. */
export interface Serving {
  readonly announce: () => void;
  readonly close: () => Promise<void>;
  /** resolves when what is under way has ended, within a bound of its own; default: nothing is waited for */
  readonly drain?: () => Promise<void>;
  /** rejects when something has ended without which nothing can be served; default: there is no such thing */
  readonly broken?: Promise<never>;
}

/**
 * Serves until this process is to stop: by a signal, or because the parent that started it has gone. Then drains, unless
 * another signal comes or the parent is gone, and closes.
 * @throws Exit 130 after SIGINT: SIGTERM is how a service is stopped, and SIGINT how a person interrupts; what `broken` does
 */
export async function serveUntilStopped({ announce, close, drain, broken }: Serving): Promise<void> {
  const stopped = new Promise<boolean>((resolve) => {
    process.once("SIGINT", () => resolve(true));
    process.once("SIGTERM", () => resolve(false));
    if (process.send) process.once("disconnect", () => resolve(false));
  });
  // A parent may signal as soon as it reads this: the handlers are there by now.
  announce();
  let interrupted: boolean;
  try {
    interrupted = await Promise.race(broken ? [stopped, broken] : [stopped]);
  } catch (error) {
    await close();
    throw error;
  }
  const again = new Promise<void>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve());
    if (process.send) {
      if (process.connected) process.once("disconnect", () => resolve());
      else resolve();
    }
  });
  await Promise.race([again, drain?.()]);
  await close();
  if (interrupted) throw new Exit(INTERRUPTED);
}
