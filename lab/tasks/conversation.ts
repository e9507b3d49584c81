import { Dice } from "./dice.ts";
import { drawTask, type Split } from "./draw.ts";
import { drill, sum } from "./math.ts";
import { smallTalk } from "./talk.ts";
import type { TaskFamily, Tool } from "./task.ts";

/** What models are trained on: conversations of tasks, small talk, and sums. */

export interface Turn {
  /** `tool`: what a tool that was called returned */
  readonly role: "user" | "assistant" | "tool";
  readonly content: string;
}

export interface Conversation {
  /** of each answer to a user */
  readonly families: readonly (TaskFamily | "talk" | "drill")[];
  readonly system: string | null;
  readonly tools: readonly Tool[];
  readonly turns: readonly Turn[];
}

/** Shares of tasks in conversations. */
const SHARES: readonly (readonly [TaskFamily, number])[] = [
  ["math", 0.42],
  ["code", 0.26],
  ["story", 0.18],
  ["data", 0.14],
];
/** Probability that a conversation goes on after a task, in most and in long ones. */
const GOES_ON = 0.25;
const GOES_ON_LONG = 0.95;
const LONG = 0.05;
/** More do not fit into the context that models are trained on. */
const MOST_TASKS = 12;
const STARTS_WITH_TALK = 0.06;
/** Of what a conversation starts with: sums, not small talk. */
const SUMS = 0.5;
const HAS_SYSTEM = 0.15;
/** Seeds of what chooses tasks and of the tasks themselves are not the same. */
const TASK_SEED = 0x5eed;

const SYSTEMS = [
  "You are a helpful assistant.",
  "You are a helpful, honest assistant. Answer briefly.",
  "You are PicoSpec's small model. You solve word problems, write TypeScript and tell stories.",
  "Answer the user's questions as well as you can.",
  "Be brief and correct.",
  "You are a friendly teacher.",
  "You are an assistant that runs on two machines at once.",
] as const;

/**
 * A conversation out of tasks of one split.
 * @param seed from 0 to 2^32 - 1
 * @param number of it, from 0 to 2^28 - 1
 */
export function conversation(seed: number, number: number, split: Split = "training"): Conversation {
  const dice = new Dice(seed, number);
  const system = dice.chance(HAS_SYSTEM) ? dice.pick(SYSTEMS) : null;
  const goesOn = dice.chance(LONG) ? GOES_ON_LONG : GOES_ON;
  const families: Conversation["families"][number][] = [];
  const turns: Turn[] = [];
  let tools: readonly Tool[] = [];
  if (dice.chance(STARTS_WITH_TALK)) {
    const { prompt, answer } = dice.chance(SUMS) ? sum(dice) : smallTalk(dice);
    families.push("talk");
    turns.push({ role: "user", content: prompt }, { role: "assistant", content: answer });
  }
  for (let i = 0; i === 0 || (i < MOST_TASKS && dice.chance(goesOn)); i++) {
    const family = pickFamily(dice);
    const task = drawTask(family, split, (seed ^ TASK_SEED) >>> 0, MOST_TASKS * number + i);
    // Tools are those of the whole conversation: a task that brings its own starts one, and others may follow.
    if (task.tools && i > 0) break;
    tools = task.tools ?? tools;
    families.push(family);
    turns.push({ role: "user", content: task.prompt }, { role: "assistant", content: task.answer });
    if (task.afterCall) {
      turns.push({ role: "tool", content: task.afterCall.result });
      turns.push({ role: "assistant", content: task.afterCall.answer });
    }
  }
  return { families, system, tools, turns };
}

/** Sums, for a model that is to calculate: without them digits stay wrong. */
export function drillConversation(seed: number, number: number): Conversation {
  const { prompt, answer } = drill(new Dice(seed, number));
  const turns: Turn[] = [
    { role: "user", content: prompt },
    { role: "assistant", content: answer },
  ];
  return { families: ["drill"], system: null, tools: [], turns };
}

function pickFamily(dice: Dice): TaskFamily {
  let left = dice.below(1_000_000) / 1_000_000;
  for (const [family, share] of SHARES) {
    if (left < share) return family;
    left -= share;
  }
  return SHARES[0]![0];
}
