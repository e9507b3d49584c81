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

/** What `/stats` shows: the last answer beside the conversation. @param answers one or more */
export function chatStatistics(answers: readonly ChatAnswer[]): string {
  const last = answers.at(-1)!;
  const policies = [...new Set(answers.map(({ policy }) => policy))].join(", ");
  const whole = PipelineStatistics.together(answers.map(({ statistics }) => statistics));
  const count = `${answers.length} ${answers.length === 1 ? "answer" : "answers"}`;
  return table([
    ["", "last answer", `conversation, ${count}`],
    ["policy", last.policy, policies],
    ...reportRows([runReport(last.policy, "", last.statistics), runReport(policies, "", whole)]),
    ["seed", last.seed, ""],
  ]);
}
