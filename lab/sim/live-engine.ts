import { ROW_CAPABILITIES } from "../../src/engine/capabilities.ts";
import type { ModelInfo } from "../../src/engine/engine.ts";
import type { LiveEngine, LiveListener, LiveRequest, LiveRun } from "../../src/engine/live-engine.ts";
import type { Clock } from "../../src/util/clock.ts";
import type { Scenario } from "../models/scenario.ts";
import { MODELLED_INFO, SAID } from "./engines.ts";

/** Drafts that one step checks: as much as engines of this kind are usually set to. */
const DRAFT_TOKENS = 8;

interface Run {
  readonly request: LiveRequest;
  readonly listener: LiveListener;
  position: number;
  /** tokens of the prompt that are not fed yet */
  prefillTokens: number;
  offer: { readonly position: number; readonly tokens: Int32Array } | null;
}

/**
 * A modelled engine that decodes by itself: all runs are in every step, which takes the scenario's time of a pass over
 * their rows. A step begins when the one before ends, and takes the drafts that are there: it waits for none.
 */
export class ModelledLiveEngine implements LiveEngine {
  readonly info: ModelInfo = MODELLED_INFO;
  readonly capabilities = {
    ...ROW_CAPABILITIES,
    couplings: ["gumbel"] as const,
    grammars: false,
    waits: false,
    topLogprobs: -1,
    draftTokens: DRAFT_TOKENS,
  };
  readonly runs: number;
  private readonly scenario: Scenario;
  private readonly clock: Clock;
  private readonly running = new Set<Run>();
  private stepping = false;

  constructor(scenario: Scenario, clock: Clock) {
    this.scenario = scenario;
    this.clock = clock;
    this.runs = scenario.sequences;
  }

  open(request: LiveRequest, listener: LiveListener): LiveRun {
    const { length } = request.tokens;
    const run: Run = { request, listener, position: length, prefillTokens: length - 1, offer: null };
    this.running.add(run);
    // Not within the caller's own turn.
    this.clock.schedule(this.clock.nowMs(), () => this.step());
    return {
      offer: (position, tokens) => {
        run.offer = { position, tokens };
      },
      cancel: () => void this.running.delete(run),
    };
  }

  close(): void {
    this.running.clear();
  }

  private step(): void {
    if (this.stepping || this.running.size === 0) return;
    this.stepping = true;
    const { passMs, passMsPerToken, passFreeRows, prefillTokensPerSecond } = this.scenario;
    const parts = [...this.running].map((run) => ({ run, drafts: draftsOf(run) }));
    const rows = parts.reduce((sum, { drafts }) => sum + 1 + drafts.length, 0);
    const prefill = parts.reduce((sum, { run }) => sum + run.prefillTokens, 0);
    const decodeMs = passMs + passMsPerToken * Math.max(0, rows - passFreeRows);
    const endMs = this.clock.nowMs() + decodeMs + (prefill * 1000) / prefillTokensPerSecond;
    for (const { run } of parts) run.prefillTokens = 0;
    this.clock.schedule(endMs, () => {
      this.stepping = false;
      for (const { run, drafts } of parts) if (this.running.has(run)) commit(run, drafts);
      this.step();
    });
  }
}

/** What is offered for the run's next position and those behind it, Int32Array[n]. */
function draftsOf({ offer, position }: Run): Int32Array {
  if (!offer || offer.position > position) return new Int32Array(0);
  return offer.tokens.slice(position - offer.position);
}

/** The drafts that are what the target says, and one token more. */
function commit(run: Run, drafts: Int32Array): void {
  let accepted = 0;
  while (accepted < drafts.length && drafts[accepted] === SAID) accepted++;
  const first = run.position;
  const tokens = new Int32Array(accepted + 1).fill(SAID);
  run.position += tokens.length;
  run.listener.committed({ first, tokens, logprobs: null, rows: 1 + drafts.length });
}
