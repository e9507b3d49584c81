import type { GpuChoice } from "../engine/llama/library.ts";
import { SettingError } from "../util/errors.ts";

/** Checks of what a program says to `createEdge` and `createCloud`. */

/** @throws SettingError that names the setting, what it has to be, and what was given */
export function need(condition: boolean, setting: string, is: string, given: unknown): void {
  if (!condition) throw new SettingError(setting, `${setting} ${is}, not ${given}`);
}

/** @throws SettingError unless it is a whole number, low <= value <= high */
export function needWhole(setting: string, value: number, low: number, high: number): void {
  const within = Number.isInteger(value) && value >= low && value <= high;
  need(within, setting, `is from ${low} to ${high}`, value);
}

/** @throws SettingError */
export function needGpu(gpu: GpuChoice): void {
  need(["auto", "off"].includes(gpu), "gpu", "is auto or off", gpu);
}

/** The last resort where a program gives no other: a line on stderr. */
export function tellFault(error: unknown): void {
  console.error(
    `a fault of PicoSpec's own, please report it: ${error instanceof Error ? error.stack : error}`,
  );
}
