import { Dice } from "./dice.ts";
import { drawTask } from "./draw.ts";
import { drill } from "./math.ts";
import type { TaskFamily, Tool } from "./task.ts";

/** What models are trained on: conversations of tasks, and sums. */

export interface Turn {
  readonly role: "user" | "assistant";
  readonly content: string;
}

export interface Conversation {
  /** of its only task, or of each of several */
  readonly families: readonly (TaskFamily | "drill")[];
  readonly tools: readonly Tool[];
  readonly turns: readonly Turn[];
}

/** Shares of conversations by their first task. */
const SHARES: readonly (readonly [TaskFamily, number])[] = [
  ["math", 0.4],
  ["code", 0.28],
  ["story", 0.2],
  ["data", 0.12],
];
/** How many conversations have a second task, and of those how many a third. */
const ONE_MORE = 0.3;
const MOST_TASKS = 3;
/** Seeds of what chooses tasks and of the tasks themselves are not the same. */
const TASK_SEED = 0x5eed;

/** A conversation out of training tasks. @param seed from 0 to 2^32 - 1 @param number of it, from 0 to 2^30 - 1 */
export function conversation(seed: number, number: number): Conversation {
  const dice = new Dice(seed, number);
  const families: TaskFamily[] = [];
  const turns: Turn[] = [];
  let tools: readonly Tool[] = [];
  do {
    const family = pickFamily(dice);
    const task = drawTask(
      family,
      "training",
      (seed ^ TASK_SEED) >>> 0,
      MOST_TASKS * number + families.length,
    );
    // Tools are those of the whole conversation: a task that brings its own stands alone.
    if (task.tools && families.length > 0) break;
    families.push(family);
    turns.push({ role: "user", content: task.prompt }, { role: "assistant", content: task.answer });
    tools = task.tools ?? [];
  } while (tools.length === 0 && families.length < MOST_TASKS && dice.chance(ONE_MORE));
  return { families, tools, turns };
}

/** Sums, for a model that is to calculate: without them digits stay wrong. */
export function drillConversation(seed: number, number: number): Conversation {
  const { prompt, answer } = drill(new Dice(seed, number));
  const turns: Turn[] = [
    { role: "user", content: prompt },
    { role: "assistant", content: answer },
  ];
  return { families: ["drill"], tools: [], turns };
}

function pickFamily(dice: Dice): TaskFamily {
  let left = dice.below(1_000_000) / 1_000_000;
  for (const [family, share] of SHARES) {
    if (left < share) return family;
    left -= share;
  }
  return SHARES[0]![0];
}
