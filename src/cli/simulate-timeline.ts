import type { Range, Timeline, TimelineEvent } from "../../lab/sim/timeline.ts";
import { unreachable } from "../util/assert.ts";
import { figure } from "./output.ts";
import { count, heading, type SimulatedRun } from "./simulate-view.ts";
import { wrapped } from "./text.ts";

/** Timelines as text: a line an event, in the order of time. */
export function timelineText(run: SimulatedRun, timelines: readonly Timeline[]): string {
  const { promptTokens, answerTokens } = run.scenario;
  const intro = [
    heading(run),
    `One answer of ${answerTokens} tokens to a prompt of ${promptTokens}: positions [0, ${promptTokens}) are the prompt. Seed ${run.seed}.`,
    "Time 0 is when the prompt is asked; the link is open by then. After a frame's size comes the time of its arrival.",
  ];
  return [wrapped(intro.join("\n")), ...timelines.map(oneTimeline)].join("\n\n");
}

function oneTimeline({ policy, events, statistics }: Timeline): string {
  const { tokens, startedMs, lastTokenMs, rounds, rollbacks, accepted, rejected, usage } = statistics;
  const seconds = (lastTokenMs - startedMs) / 1000;
  const parts = [
    `${count(tokens, "token")} in ${figure(1000 * seconds, 1)} ms: ${figure(tokens / seconds, 1)} tokens/s`,
    ...(usage ? [`${count(usage.targetPasses, "pass", "passes")} with rows`] : []),
    ...(accepted + rejected > 0
      ? [`${accepted} of ${accepted + rejected} judged drafts accepted in ${count(rounds, "round")}`]
      : []),
    count(rollbacks, "rollback"),
  ];
  const lines = events.map((event) => `${figure(event.atMs, 1).padStart(8)}  ${line(event)}`.trimEnd());
  return [`${policy} (simulated)`, ...lines, wrapped(`          ${parts.join(", ")}`, " ".repeat(10))].join(
    "\n",
  );
}

function line(event: TimelineEvent): string {
  switch (event.kind) {
    case "frame": {
      const { way, type, payloadBytes, arrivesMs } = event;
      const to = way === "up" ? "→ cloud" : "→ edge";
      const size = `${payloadBytes} B`.padStart(7);
      const what = `${type.padEnd(7)} ${about(event)}`.padEnd(41);
      return `${to.padEnd(7)} ${what} ${size}, at ${figure(arrivesMs, 1)}`;
    }
    case "passStarts": {
      const { pass, fedTokens, rows } = event;
      return `cloud   pass ${pass} starts: ${count(fedTokens, "token")}, ${count(rows, "row")}`;
    }
    case "passEnds":
      return `cloud   pass ${event.pass} ends`;
    case "tokens":
      return `edge    ${COMMITTED[event.origin]} ${range(event.tokens)}`;
    case "rollback": {
      const { from, to } = event.discarded;
      return `edge    rollback to ${from}: ${range(event.discarded)} discarded (${to - from})`;
    }
    case "done":
      return `edge    done: ${event.reason}`;
    default:
      return unreachable(event);
  }
}

const COMMITTED = {
  draft: "drafts accepted:",
  correction: "correction, drawn here:",
  target: "the target's own:",
};

/** Lineage and positions of a frame. */
function about({
  lineage,
  tokens: carried,
  position,
  type,
}: Extract<TimelineEvent, { kind: "frame" }>): string {
  const parts: string[] = [];
  if (lineage !== null) parts.push(`lineage ${lineage}`);
  if (carried) parts.push(range(carried));
  if (position !== null) parts.push(type === "verdict" ? `${position} rejected` : `at ${position}`);
  return parts.join("  ");
}

function range({ from, to }: Range): string {
  return `[${from}, ${to})`;
}
