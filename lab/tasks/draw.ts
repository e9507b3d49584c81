import { assert } from "../../src/util/assert.ts";
import { SettingError } from "../../src/util/errors.ts";
import { codeTask } from "./code.ts";
import { dataTask } from "./data.ts";
import { Dice } from "./dice.ts";
import { mathTask } from "./math.ts";
import { storyTask } from "./story.ts";
import type { Task, TaskFamily } from "./task.ts";

/** Prompts that a model may be trained on, and those that it is asked afterwards: no prompt is both. */
export type Split = "training" | "held-out";

const HELD_OUT_ONE_IN = 16;
/** Draws until one of the wanted split comes: that none does is less likely than 1e-27. */
const MOST_DRAWS = 1000;
/** Draws for each task that is wanted; the commonest prompts come often. */
const MOST_REPEATS = 20;

const FAMILIES: Record<TaskFamily, (dice: Dice) => Task> = {
  math: mathTask,
  code: codeTask,
  story: storyTask,
  data: dataTask,
};
export const TASK_FAMILIES = Object.keys(FAMILIES) as readonly TaskFamily[];

/** A task of a family: a function of its arguments, the same on every platform. @param number of the task, from 0 */
export function drawTask(family: TaskFamily, split: Split, seed: number, number: number): Task {
  const dice = new Dice(seed, number);
  for (let draw = 0; draw < MOST_DRAWS; draw++) {
    const task = FAMILIES[family](dice);
    if (splitOf(task.prompt) === split) return task;
  }
  assert(false, `no ${split} task came in ${MOST_DRAWS} draws`);
}

/**
 * Held-out tasks of a family, none asked twice.
 * @throws SettingError when there are not so many
 */
export function heldOutTasks(family: TaskFamily, seed: number, count: number): Task[] {
  const tasks = new Map<string, Task>();
  for (let number = 0; tasks.size < count; number++) {
    if (number > MOST_REPEATS * count) {
      throw new SettingError(
        "n",
        `there are no ${count} tasks of ${family}, only ${tasks.size}; ask for fewer`,
      );
    }
    const task = drawTask(family, "held-out", seed, number);
    if (!tasks.has(task.prompt)) tasks.set(task.prompt, task);
  }
  return [...tasks.values()];
}

/** Which split a prompt belongs to: a matter of its text alone (FNV-1a, 32 bits). */
export function splitOf(prompt: string): Split {
  let hash = 0x811c9dc5;
  for (let i = 0; i < prompt.length; i++) hash = Math.imul(hash ^ prompt.charCodeAt(i), 0x01000193) >>> 0;
  // The low bits of FNV are weak.
  return (hash ^ (hash >>> 15)) % HELD_OUT_ONE_IN === 0 ? "held-out" : "training";
}
