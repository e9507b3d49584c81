import type { CloudUsage } from "../decoding/session.ts";
import { PipelineStatistics } from "../edge/core/statistics.ts";
import { runReport } from "../edge/report.ts";
import { table } from "./output.ts";
import { reportRows } from "./report-rows.ts";

/** An answer of a chat, for the figures only. */
export interface ChatAnswer {
  readonly policy: string;
  /** as it is written */
  readonly seed: string;
  readonly statistics: PipelineStatistics;
}

/**
 * Several answers as if they were one: counts and times add up, and the time to the first token is the mean of
 * those that had one. `usage` is null where it is of any answer.
 */
export function together(all: readonly PipelineStatistics[]): PipelineStatistics {
  const sum = (of: (one: PipelineStatistics) => number) => all.reduce((total, one) => total + of(one), 0);
  const spoke = all.filter(({ firstTokenMs }) => firstTokenMs >= 0);
  const firstMs = spoke.reduce((total, one) => total + one.firstTokenMs - one.startedMs, 0);
  const usages = all.map(({ usage }) => usage);
  const counts = {
    firstTokenMs: spoke.length > 0 ? firstMs / spoke.length : -1,
    lastTokenMs: sum((one) => Math.max(0, one.lastTokenMs - one.startedMs)),
    tokens: sum((one) => one.tokens),
    drafted: sum((one) => one.drafted),
    accepted: sum((one) => one.accepted),
    rejected: sum((one) => one.rejected),
    discarded: sum((one) => one.discarded),
    rounds: sum((one) => one.rounds),
    rollbacks: sum((one) => one.rollbacks),
    uplinkBytes: sum((one) => one.uplinkBytes),
    downlinkBytes: sum((one) => one.downlinkBytes),
    resumptions: sum((one) => one.resumptions),
    usage: usages.every((usage) => usage !== null) ? usages.reduce(bothUsages, null) : null,
  };
  return Object.assign(new PipelineStatistics(), counts);
}

function bothUsages(a: CloudUsage | null, b: CloudUsage): CloudUsage {
  if (!a) return b;
  return {
    promptTokens: a.promptTokens + b.promptTokens,
    committedTokens: a.committedTokens + b.committedTokens,
    targetPasses: a.targetPasses + b.targetPasses,
    targetRows: a.targetRows + b.targetRows,
    targetMs: a.targetMs + b.targetMs,
    prefillPasses: a.prefillPasses + b.prefillPasses,
    fedTokens: a.fedTokens + b.fedTokens,
    evictions: a.evictions + b.evictions,
    reusedTokens: a.reusedTokens + b.reusedTokens,
  };
}

/** What `/stats` shows: the last answer beside the conversation. @param answers one or more */
export function chatStatistics(answers: readonly ChatAnswer[]): string {
  const last = answers.at(-1)!;
  const policies = [...new Set(answers.map(({ policy }) => policy))].join(", ");
  const whole = together(answers.map(({ statistics }) => statistics));
  const count = `${answers.length} ${answers.length === 1 ? "answer" : "answers"}`;
  return table([
    ["", "last answer", `conversation, ${count}`],
    ["policy", last.policy, policies],
    ...reportRows([runReport(last.policy, "", last.statistics), runReport(policies, "", whole)]),
    ["seed", last.seed, ""],
  ]);
}
