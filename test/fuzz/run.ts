import { type StopReason, type StopRule, stopReasonAt } from "../../src/decoding/session.ts";
import type { Outcome } from "../../src/edge/core/machine.ts";
import type { PipelineStatistics } from "../../src/edge/core/statistics.ts";
import type { SessionListener } from "../../src/edge/driver.ts";
import type { OpenedSession } from "../../src/edge/opener.ts";
import { hold } from "./hold.ts";
import { type Expected, expectedText, stopRule } from "./oracle.ts";
import type { EdgePlan, SessionPlan } from "./plan.ts";
import type { FuzzWorld } from "./world.ts";

/** What a broken link can end a session with, where no edge makes it anew. */
const LOST = ["connection_lost", "unreachable", "shutting_down", "server_full", "slow_peer"];

/** One session, as its user sees it, and what it is held against. */
export class Run {
  readonly name: string;
  readonly plan: SessionPlan;
  /** null: chance and time decide together */
  readonly expected: Expected | null;
  readonly tokens: number[] = [];
  session: OpenedSession | null = null;
  outcome: Outcome | null = null;
  /** it never began, or its device is gone */
  abandoned = false;
  /** it has asked for witnesses, and has none yet */
  draws = false;
  whenEnded: () => void = () => {};
  private readonly world: FuzzWorld;
  private readonly rule: StopRule;
  private readonly drafter: EdgePlan["drafter"]["kind"];
  /** what it may fail with, for the faults that it met */
  private readonly excuses = new Set<string>();
  private cancelled = false;

  constructor(name: string, plan: SessionPlan, edge: EdgePlan, world: FuzzWorld) {
    this.name = name;
    this.plan = plan;
    this.world = world;
    this.drafter = edge.drafter.kind;
    this.expected = world.judges ? expectedText(plan, edge, world.plan.language) : null;
    this.rule = stopRule(plan, world.plan.language);
  }

  get over(): boolean {
    return this.outcome !== null || this.abandoned;
  }

  describe(): string {
    const { policyName, policy, sampler, prompt, maxTokens } = this.plan;
    const sizes = `${policy.segmentTokens}/${policy.windowTokens}${policy.adaptive ? ", adaptive" : ""}`;
    return `${policyName} ${sizes}, temperature ${sampler.temperature}, ${prompt.length} + ${maxTokens} tokens`;
  }

  mayFail(...codes: readonly string[]): void {
    for (const code of codes) this.excuses.add(code);
  }

  mayBeLost(): void {
    this.mayFail(...LOST);
  }

  mayBeCancelled(): void {
    this.cancelled = true;
  }

  cancel(): void {
    if (this.over) return;
    this.world.note(() => `${this.name} is cancelled`);
    this.cancelled = true;
    this.session?.cancel();
  }

  /** There will be no outcome. */
  abandon(): void {
    if (this.outcome) return;
    this.abandoned = true;
    this.whenEnded();
  }

  readonly listener: SessionListener = {
    token: (token, _, position) => this.token(token, position),
    finished: (outcome, statistics) => this.finished(outcome, statistics),
  };

  private token(token: number, position: number): void {
    const { tokens, plan, name, expected } = this;
    const next = plan.prompt.length + tokens.length;
    hold(position === next, "order", () => `${name} is told position ${position}, and ${next} is next`);
    hold(this.outcome === null, "order", () => `${name} is told a token after its end`);
    tokens.push(token);
    if (expected) {
      const right = expected.tokens[tokens.length - 1];
      hold(
        token === right,
        "text",
        () => `${name} says ${tokens.join(" ")}, and ${right} would have been right`,
      );
    }
    const { cancel } = plan;
    if (cancel && "atToken" in cancel && cancel.atToken === tokens.length - 1) this.cancel();
  }

  private finished(outcome: Outcome, statistics: PipelineStatistics): void {
    hold(this.outcome === null, "outcome", () => `${this.name} ends twice`);
    this.outcome = outcome;
    this.world.count(outcome.kind === "done" ? `done ${outcome.reason}` : `failed ${outcome.code}`);
    this.world.note(() => `${this.name} ends: ${JSON.stringify(outcome)}, tokens ${this.tokens.join(" ")}`);
    if (outcome.kind === "done") this.done(outcome.reason);
    else {
      const excused = this.excuses.has(outcome.code);
      hold(excused, "outcome", () => `${this.name} fails for no reason: ${outcome.code}, ${outcome.message}`);
    }
    this.count(outcome, statistics);
    if (statistics.drafted > 0) this.world.count(`drafted by ${this.drafter}`);
    this.whenEnded();
  }

  private done(reason: StopReason): void {
    const { name, expected, tokens, rule } = this;
    if (reason === "cancelled") {
      hold(this.cancelled, "outcome", () => `${name} is cancelled, and its edge did not want that`);
      return;
    }
    const ends = tokens.map((token, i) => stopReasonAt(rule, token, rule.promptLength + i));
    const first = ends.findIndex((end) => end !== null);
    const atItsEnd = first === tokens.length - 1 && ends[first] === reason;
    hold(atItsEnd, "outcome", () => `${name} is done (${reason}) after ${tokens.join(" ")}`);
    if (expected) {
      const whole = tokens.length === expected.tokens.length && reason === expected.reason;
      hold(whole, "text", () => `${name} has ${tokens.length} of ${expected.tokens.length} tokens`);
    }
  }

  private count(outcome: Outcome, { tokens, accepted, rejected, drafted, usage }: PipelineStatistics): void {
    const { name, plan } = this;
    const sane =
      tokens === this.tokens.length && accepted >= 0 && rejected >= 0 && accepted + rejected <= drafted;
    hold(sane, "outcome", () => `${name} counts ${JSON.stringify({ tokens, accepted, rejected, drafted })}`);
    if (!usage || (outcome.kind === "done" && outcome.reason === "cancelled")) return;
    const fits = usage.promptTokens === plan.prompt.length && usage.committedTokens === tokens;
    hold(fits, "outcome", () => `${name} used ${JSON.stringify(usage)} for ${tokens} tokens`);
  }
}
