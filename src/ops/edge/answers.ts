import { policyLabel } from "../../decoding/policy.ts";
import type { Outcome } from "../../edge/core/machine.ts";
import type { PipelineStatistics } from "../../edge/core/statistics.ts";
import type { ObservedAnswer } from "../../edge/observer.ts";
import { DRAFT_SOURCES } from "../../sampling/propose.ts";
import { Tally } from "../labels.ts";

/** Presets and reasons are few; a bound all the same. */
const MOST_KINDS = 200;

/** What is added up of an answer's statistics. */
const COUNTED = [
  "tokens",
  "rejected",
  "discarded",
  "rounds",
  "rollbacks",
  "uplinkBytes",
  "downlinkBytes",
  "resumptions",
] as const satisfies readonly (keyof PipelineStatistics)[];

/** Answers of an edge as counts: those that are over are added up, and those that go on are read at a scrape. */
export class AnswerCounts {
  readonly ended = new Tally(MOST_KINDS);
  private readonly open = new Set<ObservedAnswer>();
  private readonly over = emptyTotals();

  opened(answer: ObservedAnswer): void {
    this.open.add(answer);
  }

  finished(answer: ObservedAnswer, outcome: Outcome): void {
    this.open.delete(answer);
    const reason = outcome.kind === "done" ? outcome.reason : "failed";
    this.ended.add(`${policyLabel(answer.settings.policy)} ${reason}`);
    addTo(this.over, answer);
  }

  totals(): AnswerTotals {
    const totals = { ...this.over, drafts: { ...this.over.drafts }, hits: { ...this.over.hits } };
    for (const answer of this.open) addTo(totals, answer);
    return totals;
  }
}

export type AnswerTotals = ReturnType<typeof emptyTotals>;

function emptyTotals() {
  const counts = Object.fromEntries(COUNTED.map((name) => [name, 0])) as Record<
    (typeof COUNTED)[number],
    number
  >;
  const bySource = () => Object.fromEntries(DRAFT_SOURCES.map((source) => [source, 0]));
  return { ...counts, promptTokens: 0, drafts: bySource(), hits: bySource() };
}

function addTo(totals: AnswerTotals, { promptTokens, statistics }: ObservedAnswer): void {
  for (const name of COUNTED) totals[name] += statistics[name];
  totals.promptTokens += promptTokens;
  for (const source of DRAFT_SOURCES) {
    totals.drafts[source] = (totals.drafts[source] ?? 0) + statistics.sources[source].drafted;
    totals.hits[source] = (totals.hits[source] ?? 0) + statistics.sources[source].accepted;
  }
}
