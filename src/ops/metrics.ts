/** Counts of the endpoint in Prometheus' text format: few enough to write by hand. */

/** What is counted of an answer: the part of its statistics that is exported. */
export interface CountedAnswer {
  readonly promptTokens: number;
  readonly statistics: {
    readonly tokens: number;
    readonly accepted: number;
    readonly rejected: number;
    readonly uplinkBytes: number;
    readonly downlinkBytes: number;
    readonly startedMs: number;
    /** -1: no token came */
    readonly firstTokenMs: number;
  };
}

const FIRST_TOKEN_BOUNDS_SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export class Metrics {
  private readonly requests = new Map<string, number>();
  private readonly firstToken = new Array<number>(FIRST_TOKEN_BOUNDS_SECONDS.length + 1).fill(0);
  private firstTokenSeconds = 0;
  private readonly counts = {
    answers: 0,
    prompt: 0,
    completion: 0,
    accepted: 0,
    rejected: 0,
    up: 0,
    down: 0,
  };

  request(path: string, status: number): void {
    const key = `path="${path}",status="${status}"`;
    this.requests.set(key, (this.requests.get(key) ?? 0) + 1);
  }

  ended({ statistics, promptTokens }: CountedAnswer): void {
    const { counts } = this;
    counts.answers++;
    counts.prompt += promptTokens;
    counts.completion += statistics.tokens;
    counts.accepted += statistics.accepted;
    counts.rejected += statistics.rejected;
    counts.up += statistics.uplinkBytes;
    counts.down += statistics.downlinkBytes;
    if (statistics.firstTokenMs < 0) return;
    const seconds = Math.max(0, statistics.firstTokenMs - statistics.startedMs) / 1000;
    const bucket = FIRST_TOKEN_BOUNDS_SECONDS.findIndex((bound) => seconds <= bound);
    this.firstToken[bucket < 0 ? FIRST_TOKEN_BOUNDS_SECONDS.length : bucket]!++;
    this.firstTokenSeconds += seconds;
  }

  /** @param load answers that are being made, and requests that wait */
  text(load: { readonly active: number; readonly waiting: number }): string {
    const { answers, prompt, completion, accepted, rejected, up, down } = this.counts;
    const lines: string[] = [];
    const metric = (name: string, kind: "counter" | "gauge", help: string, value: number) =>
      lines.push(
        `# HELP picospec_${name} ${help}`,
        `# TYPE picospec_${name} ${kind}`,
        `picospec_${name} ${value}`,
      );
    lines.push("# HELP picospec_requests_total HTTP requests", "# TYPE picospec_requests_total counter");
    for (const [labels, count] of this.requests) lines.push(`picospec_requests_total{${labels}} ${count}`);
    metric("answers_total", "counter", "answers finished", answers);
    metric("answers_active", "gauge", "answers that are being made", load.active);
    metric("requests_waiting", "gauge", "requests that wait for their turn", load.waiting);
    metric("prompt_tokens_total", "counter", "tokens of prompts", prompt);
    metric("completion_tokens_total", "counter", "tokens of answers", completion);
    metric("drafts_accepted_total", "counter", "drafts accepted", accepted);
    metric("drafts_rejected_total", "counter", "drafts rejected", rejected);
    metric("uplink_bytes_total", "counter", "payload sent to the cloud, prompts not counted", up);
    metric("downlink_bytes_total", "counter", "payload received from the cloud", down);
    this.histogram(lines);
    return `${lines.join("\n")}\n`;
  }

  private histogram(lines: string[]): void {
    const name = "picospec_time_to_first_token_seconds";
    lines.push(`# HELP ${name} from the request to the first token`, `# TYPE ${name} histogram`);
    let total = 0;
    for (const [i, bound] of FIRST_TOKEN_BOUNDS_SECONDS.entries()) {
      total += this.firstToken[i]!;
      lines.push(`${name}_bucket{le="${bound}"} ${total}`);
    }
    total += this.firstToken.at(-1)!;
    lines.push(
      `${name}_bucket{le="+Inf"} ${total}`,
      `${name}_sum ${this.firstTokenSeconds}`,
      `${name}_count ${total}`,
    );
  }
}
