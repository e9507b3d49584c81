import type { PipelineStatistics } from "../../src/edge/core/statistics.ts";
import { unreachable } from "../../src/util/assert.ts";
import { type Estimate, fitProbability } from "../models/fit.ts";
import {
  checkJson,
  checkNumber,
  checkStory,
  checkToolCall,
  functionIn,
  type Verdict,
} from "../tasks/check.ts";
import { heldOutTasks } from "../tasks/draw.ts";
import type { Task, TaskFamily } from "../tasks/task.ts";
import type { Agreement } from "./agreement.ts";
import { runFunction } from "./sandbox.ts";

/**
 * Whether speculative decoding costs accuracy (the paper's third question): held-out tasks whose answers can be
 * checked, through any policy.
 */

export interface Answered {
  readonly text: string;
  /** ids of the text */
  readonly tokens: readonly number[];
  readonly statistics: PipelineStatistics;
}

export interface EvalOptions {
  readonly policies: readonly string[];
  readonly families: readonly TaskFamily[];
  /** tasks of each family */
  readonly tasks: number;
  readonly seed: number;
  /** @param number of the task: the same for all policies */
  readonly answer: (policy: string, task: Task, number: number) => Promise<Answered>;
  /** how far the drafter agrees with an answer of the first policy; null: not asked */
  readonly agreement: ((task: Task, tokens: readonly number[]) => Promise<Agreement>) | null;
  readonly progress: (done: number, of: number) => void;
}

/** A share of tasks, from 0 to 1, with its 95% interval (Wilson). */
export interface Accuracy extends Estimate {
  readonly tasks: number;
  readonly right: number;
}

export interface PolicyResult {
  readonly policy: string;
  readonly families: Readonly<Partial<Record<TaskFamily, Accuracy>>>;
  readonly all: Accuracy;
  /** accepted drafts, of those that were judged; null: none was */
  readonly acceptanceRate: number | null;
  readonly tokensPerSecond: number;
  /** answers that are those of the first policy, letter by letter */
  readonly sameText: number;
}

export interface EvalResult {
  readonly results: readonly PolicyResult[];
  /** share of the tokens of the first policy's answers that are the drafter's likeliest; null: not asked */
  readonly agreement: Readonly<Partial<Record<TaskFamily, Agreement & { readonly value: number }>>> | null;
  /** some answers that were wrong, and why */
  readonly wrong: readonly WrongAnswer[];
}

export interface WrongAnswer {
  readonly policy: string;
  readonly prompt: string;
  readonly answer: string;
  readonly why: string;
}

const MOST_WRONG = 20;

/** Asks all policies the same tasks, one answer at a time. @param options at least one task of one family */
export async function evaluate(options: EvalOptions): Promise<EvalResult> {
  const { policies, families, tasks, seed, progress } = options;
  const tallies = policies.map((policy) => new Tally(policy));
  const wrong: WrongAnswer[] = [];
  const agreements: Partial<Record<TaskFamily, Agreement & { value: number }>> = {};
  const all = families.length * tasks * policies.length;
  let done = 0;
  for (const family of families) {
    for (const [number, task] of heldOutTasks(family, seed, tasks).entries()) {
      let firstText: string | null = null;
      for (const tally of tallies) {
        const { text, tokens, statistics } = await options.answer(tally.policy, task, number);
        const verdict = await judge(task, text);
        if (firstText === null && options.agreement) {
          agreements[family] = added(agreements[family], await options.agreement(task, tokens));
        }
        firstText ??= text;
        tally.add(family, verdict.right, text === firstText, statistics);
        if (!verdict.right && wrong.length < MOST_WRONG) {
          wrong.push({ policy: tally.policy, prompt: task.prompt, answer: text, why: verdict.why });
        }
        progress(++done, all);
      }
    }
  }
  const results = tallies.map((tally) => tally.result());
  return { results, agreement: options.agreement && agreements, wrong };
}

function added(to: Agreement | undefined, more: Agreement): Agreement & { value: number } {
  const tokens = (to?.tokens ?? 0) + more.tokens;
  const agreed = (to?.agreed ?? 0) + more.agreed;
  return { tokens, agreed, value: tokens > 0 ? agreed / tokens : 0 };
}

/** Whether an answer is right; a function is run for that, in a process of its own. */
export async function judge({ check }: Task, answer: string): Promise<Verdict> {
  switch (check.kind) {
    case "number":
      return checkNumber(answer, check);
    case "story":
      return checkStory(answer, check);
    case "json":
      return checkJson(answer, check);
    case "toolCall":
      return checkToolCall(answer, check);
    case "function": {
      const shown = functionIn(answer, check.name);
      if (shown === null) return { right: false, why: `there is no function ${check.name ?? "at all"}` };
      return runFunction(shown.code, shown.name, check.cases);
    }
    default:
      return unreachable(check);
  }
}

class Tally {
  readonly policy: string;
  private readonly counts = new Map<TaskFamily, { tasks: number; right: number }>();
  private tokens = 0;
  private ms = 0;
  private accepted = 0;
  private judged = 0;
  private same = 0;

  constructor(policy: string) {
    this.policy = policy;
  }

  add(family: TaskFamily, right: boolean, same: boolean, statistics: PipelineStatistics): void {
    const { tasks, right: before } = this.counts.get(family) ?? { tasks: 0, right: 0 };
    this.counts.set(family, { tasks: tasks + 1, right: before + (right ? 1 : 0) });
    if (same) this.same++;
    this.tokens += statistics.tokens;
    this.ms += Math.max(0, statistics.lastTokenMs - statistics.startedMs);
    this.accepted += statistics.accepted;
    this.judged += statistics.accepted + statistics.rejected;
  }

  result(): PolicyResult {
    const counts = [...this.counts];
    const sum = (of: "tasks" | "right") => counts.reduce((total, [, count]) => total + count[of], 0);
    return {
      policy: this.policy,
      families: Object.fromEntries(
        counts.map(([family, { right, tasks }]) => [family, accuracy(right, tasks)]),
      ),
      all: accuracy(sum("right"), sum("tasks")),
      acceptanceRate: this.judged > 0 ? this.accepted / this.judged : null,
      tokensPerSecond: this.ms > 0 ? (1000 * this.tokens) / this.ms : 0,
      sameText: this.same,
    };
  }
}

function accuracy(right: number, tasks: number): Accuracy {
  return { tasks, right, ...fitProbability(right, tasks) };
}
