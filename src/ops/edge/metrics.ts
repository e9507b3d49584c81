import { Histogram, type Registry } from "prom-client";
import type { LinkState } from "../../edge/edge.ts";
import type { AnswerObserver, ObservedAnswer } from "../../edge/observer.ts";
import type { Clock } from "../../util/clock.ts";
import { Tally } from "../labels.ts";
import { exposition, one, pulledCounter, pulledGauge, type Sample, serverRegistry } from "../registry.ts";
import { AnswerCounts, type AnswerTotals } from "./answers.ts";

const FIRST_TOKEN_SECONDS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const TOKENS_PER_SECOND = [1, 2, 5, 10, 15, 20, 30, 40, 60, 80, 120, 250, 500, 1000];
const STEP_SECONDS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.035, 0.05, 0.1, 0.25, 1];
/** Paths with statuses, and codes, some of which are what a cloud says. */
const MOST_REQUESTS = 200;
const MOST_CODES = 64;

/** What an endpoint can be asked at a scrape. */
export interface ObservedEndpoint {
  /** answers that are being made, and requests that wait */
  readonly load: { readonly active: number; readonly waiting: number };
  /** null: none has been made */
  readonly link: LinkState | null;
}

/** The endpoint in Prometheus' format, with the names of release 0.1. */
export class EdgeMetrics {
  private readonly registry: Registry;
  private readonly clock: Clock;
  private readonly requests = new Tally(MOST_REQUESTS);
  private readonly errors = new Tally(MOST_CODES);
  private readonly answers = new AnswerCounts();
  private readonly firstToken: Histogram;
  private readonly rate: Histogram;
  private readonly step: Histogram;

  constructor(version: string, endpoint: ObservedEndpoint, clock: Clock) {
    this.clock = clock;
    this.registry = serverRegistry(version);
    const histogram = (name: string, help: string, buckets: number[]) =>
      new Histogram({ name: `picospec_${name}`, help, buckets, registers: [this.registry] });
    const first = "from the request to the first token";
    this.firstToken = histogram("time_to_first_token_seconds", first, FIRST_TOKEN_SECONDS);
    this.rate = histogram("tokens_per_second", "speed of an answer, its prompt included", TOKENS_PER_SECOND);
    this.step = histogram("draft_step_seconds", "time of one draft, t_d", STEP_SECONDS);
    this.registerEndpoint(endpoint);
    this.registerAnswers();
  }

  /** @param path one of few */
  request(path: string, status: number): void {
    this.requests.add(`${path} ${status}`);
  }

  /** A request that failed. */
  failed(code: string): void {
    this.errors.add(code);
  }

  text(): Promise<string> {
    return exposition(this.registry);
  }

  /** For one answer. */
  observer(): AnswerObserver {
    const { answers, clock, step } = this;
    let answer: ObservedAnswer | null = null;
    let draftingSinceMs = 0;
    return {
      opened(opened) {
        answer = opened;
        answers.opened(opened);
      },
      drafting() {
        draftingSinceMs = clock.nowMs();
      },
      drafted(_position, source) {
        // What a grammar dictates takes no step, and what was interrupted no whole one.
        if (source !== null && source !== "grammar") step.observe((clock.nowMs() - draftingSinceMs) / 1000);
      },
      finished: (outcome) => {
        if (!answer) return;
        answers.finished(answer, outcome);
        this.timed(answer);
      },
    };
  }

  private timed({ statistics }: ObservedAnswer): void {
    const { startedMs, firstTokenMs, lastTokenMs, tokens } = statistics;
    if (firstTokenMs < 0) return;
    this.firstToken.observe(Math.max(0, firstTokenMs - startedMs) / 1000);
    const seconds = (lastTokenMs - startedMs) / 1000;
    if (seconds > 0) this.rate.observe(tokens / seconds);
  }

  private counter(name: string, help: string, read: () => Iterable<Sample>, labels: string[] = []): void {
    pulledCounter(this.registry, { name: `picospec_${name}`, help, labels }, read);
  }

  private gauge(name: string, help: string, read: () => Iterable<Sample>): void {
    pulledGauge(this.registry, { name: `picospec_${name}`, help }, read);
  }

  private registerEndpoint(endpoint: ObservedEndpoint): void {
    const paths = ["path", "status"];
    this.counter("requests_total", "HTTP requests", () => pairs(this.requests, "path", "status"), paths);
    const codes = () => [...this.errors.entries()].map(([code, count]): Sample => [{ code }, count]);
    this.counter("errors_total", "requests that failed", codes, ["code"]);
    this.gauge("answers_active", "answers that are being made", () => one(endpoint.load.active));
    this.gauge("requests_waiting", "requests that wait for their turn", () => one(endpoint.load.waiting));
    this.gauge("cloud_link_up", "1: the cloud can be spoken to", () => one(endpoint.link?.isUp ? 1 : 0));
    const rttMs = () => endpoint.link?.rttMs ?? -1;
    const rtt = "latest round trip of a ping to the cloud";
    this.gauge("round_trip_seconds", rtt, () => (rttMs() < 0 ? [] : one(rttMs() / 1000)));
    const reconnects = () => one(endpoint.link?.reconnects ?? 0);
    this.counter("reconnects_total", "links to the cloud that were made anew", reconnects);
  }

  private registerAnswers(): void {
    const { answers } = this;
    const sum = (name: string, help: string, of: (totals: AnswerTotals) => number) =>
      this.counter(name, help, () => one(of(answers.totals())));
    const bySource = (name: string, help: string, of: (totals: AnswerTotals) => Record<string, number>) =>
      this.counter(
        name,
        help,
        () => Object.entries(of(answers.totals())).map(([source, count]): Sample => [{ source }, count]),
        ["source"],
      );
    const kinds = ["policy", "reason"];
    this.counter("answers_total", "answers finished", () => pairs(answers.ended, "policy", "reason"), kinds);
    sum("prompt_tokens_total", "tokens of prompts", (t) => t.promptTokens);
    sum("completion_tokens_total", "tokens of answers, committed", (t) => t.tokens);
    bySource("drafts_total", "drafts made, by what made them", (t) => t.drafts);
    bySource("drafts_accepted_total", "drafts accepted, by what made them", (t) => t.hits);
    sum("drafts_rejected_total", "drafts rejected", (t) => t.rejected);
    sum("drafts_discarded_total", "drafts void after a rejected one, that one included", (t) => t.discarded);
    sum("rounds_total", "segments that were verified", (t) => t.rounds);
    sum("rollbacks_total", "lineages that ended: drafts in flight were dropped", (t) => t.rollbacks);
    sum("resumptions_total", "sessions that went on over a new link", (t) => t.resumptions);
    sum("uplink_bytes_total", "payload sent to the cloud, prompts not counted", (t) => t.uplinkBytes);
    sum("downlink_bytes_total", "payload received from the cloud", (t) => t.downlinkBytes);
  }
}

/** Counts whose value is two labels with a space between. */
function pairs(tally: Tally, first: string, second: string): Sample[] {
  return [...tally.entries()].map(([both, count]) => {
    const [one = "other", other = "other"] = both.split(" ");
    return [{ [first]: one, [second]: other }, count];
  });
}
