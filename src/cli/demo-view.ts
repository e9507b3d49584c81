import type { AnswerEvent, AnsweredToken } from "../edge/edge.ts";
import type { DemoReport, DemoValues } from "./demo-report.ts";
import { colours, figure, table } from "./output.ts";
import { reportRows } from "./report-rows.ts";

/** Shows answers as they come: each token in the colour of where it came from. */
export class LiveAnswer {
  private readonly stream: NodeJS.WriteStream;
  private readonly colour: ReturnType<typeof colours>;

  constructor(stream: NodeJS.WriteStream) {
    this.stream = stream;
    this.colour = colours(stream);
  }

  intro({ prompt, rtt, jitter, mbps, hardware }: DemoValues, seed: string): void {
    const { bold, dim, green, yellow, red } = this.colour;
    const network = [`RTT ${rtt} ms`];
    if (jitter > 0) network.push(`jitter ${jitter} ms`);
    if (Number.isFinite(mbps)) network.push(`${mbps} Mbit/s`);
    this.stream.write(`${bold("Prompt:")} ${prompt}\n`);
    this.stream.write(
      dim(`Emulated network: ${network.join(", ")}. ${hardwareText(hardware)}. Seed ${seed}.\n`),
    );
    const legend = [green("accepted draft"), yellow("correction"), "target's own", red("discarded draft")];
    this.stream.write(`${legend.join(dim(" · "))}\n`);
  }

  begin(policy: string): void {
    this.stream.write(`\n${this.colour.bold(policy)}\n`);
  }

  readonly event = (event: AnswerEvent): void => {
    if (event.type === "discarded") this.discarded(event.text);
    else if (event.type === "text") for (const token of event.tokens) this.token(token);
  };

  private token({ text, origin }: AnsweredToken): void {
    const { green, yellow } = this.colour;
    this.stream.write(origin === "draft" ? green(text) : origin === "correction" ? yellow(text) : text);
  }

  private discarded(text: string): void {
    // Without colours it looks like the answer.
    if (!this.colour.isColorSupported) return;
    this.stream.write(this.colour.red(this.colour.strikethrough(text.replaceAll("\n", "⏎"))));
  }

  end(): void {
    this.stream.write("\n");
  }
}

function hardwareText(hardware: DemoValues["hardware"]): string {
  if (!hardware) return "Hardware not emulated";
  const { passMs, draftMs } = hardware.profile;
  return `Emulated hardware (${hardware.name}): a target pass takes ${passMs} ms, a draft token ${draftMs} ms`;
}

/** The comparison as a table, a column a policy. */
export function demoTable(report: DemoReport): string {
  const { runs, emulated } = report;
  const base = runs[0]!;
  const rows = [
    ["", ...runs.map((run) => run.policy)],
    ...reportRows(runs),
    ["speed-up", ...runs.map((run) => figure(run.tokensPerSecond / base.tokensPerSecond, 2, "x"))],
    ["same text as the cloud alone", ...runs.map((run) => (run.text === base.text ? "yes" : "no"))],
  ];
  const verdict = sameness(report);
  const { rttMs, pace } = emulated;
  const label = pace === null ? "" : `, and emulated hardware (${pace})`;
  return `${table(rows)}\n\n${verdict}\nMeasured over an emulated network (RTT ${rttMs} ms)${label}.`;
}

/** Whether the texts are the cloud's own, in words. */
function sameness({ runs }: DemoReport): string {
  const base = runs[0]!;
  // The small model alone says what it likes.
  const others = runs.slice(1).filter((run) => run.policy !== "edge");
  const different = others.filter((run) => run.text !== base.text).map((run) => run.policy);
  if (different.length === 0) return "All texts of the target are identical.";
  return `Not the same text, but a sample of the same distribution: ${different.join(", ")}.`;
}
