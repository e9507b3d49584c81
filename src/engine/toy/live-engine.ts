import { answer } from "../../sampling/answer.ts";
import type { TokenLogprobs } from "../../sampling/question.ts";
import { historyTokens, SamplerWorkspace } from "../../sampling/sampler.ts";
import { assert } from "../../util/assert.ts";
import type { Clock } from "../../util/clock.ts";
import { TokenBuffer } from "../../util/token-buffer.ts";
import { type Capabilities, ROW_CAPABILITIES } from "../capabilities.ts";
import { EngineError, type ModelInfo } from "../engine.ts";
import type { LiveEngine, LiveListener, LiveRequest, LiveRun, LiveStep } from "../live-engine.ts";
import { type ToyLanguage, toyIdentity, toyInfo, toyLogits } from "./language.ts";

export interface ToyLiveOptions {
  /** most runs at a time */
  readonly runs: number;
  /** uniform draws in [0, 1): its scheduling and its losses */
  readonly random: () => number;
  /** a step takes between so many ms and twice as many */
  readonly stepMs: number;
  /** share of offers that never arrive */
  readonly lostOffers: number;
  /** an offer takes up to so many ms to arrive */
  readonly offerMs: number;
  /** probability that a step fails, and ends the runs in it */
  readonly fails?: number;
  readonly capabilities?: Partial<Capabilities>;
}

/** The last of a run's offers that has arrived. */
interface Offer {
  readonly position: number;
  readonly tokens: Int32Array;
}

class ToyRun {
  readonly request: LiveRequest;
  readonly listener: LiveListener;
  readonly tokens: TokenBuffer;
  offer: Offer | null = null;
  open = true;

  constructor(request: LiveRequest, listener: LiveListener) {
    this.request = request;
    this.listener = listener;
    this.tokens = new TokenBuffer(request.tokens);
  }
}

/**
 * A live engine over a toy language. It takes the runs that it likes into each step, takes its own time, and loses
 * offers or gets them late: whatever it does, the text is that of the language.
 */
export class ToyLiveEngine implements LiveEngine {
  readonly info: ModelInfo;
  readonly capabilities: Capabilities;
  readonly runs: number;
  private readonly language: ToyLanguage;
  private readonly clock: Clock;
  private readonly options: ToyLiveOptions;
  private readonly running = new Set<ToyRun>();
  private readonly workspace = new SamplerWorkspace();
  private stepping = false;

  constructor(language: ToyLanguage, clock: Clock, options: ToyLiveOptions) {
    this.language = language;
    this.clock = clock;
    this.options = options;
    this.info = { ...toyInfo(language), identity: toyIdentity(language) };
    this.runs = options.runs;
    const own = { couplings: ["gumbel"], grammars: false, waits: false, draftTokens: 8 } as const;
    this.capabilities = { ...ROW_CAPABILITIES, ...own, ...options.capabilities };
  }

  /** Runs that are open. */
  get openRuns(): number {
    return this.running.size;
  }

  open(request: LiveRequest, listener: LiveListener): LiveRun {
    if (this.running.size >= this.runs) throw new EngineError("too_many_runs", `${this.runs} runs are open`);
    assert(request.tokens.length > 0, "a run continues at least one token");
    const run = new ToyRun(request, listener);
    this.running.add(run);
    this.step();
    return {
      offer: (position, tokens) => this.take(run, position, tokens),
      cancel: () => this.end(run),
    };
  }

  close(): void {
    for (const run of [...this.running]) this.end(run);
  }

  private take(run: ToyRun, position: number, tokens: Int32Array): void {
    const { random, lostOffers, offerMs } = this.options;
    assert(tokens.length <= this.capabilities.draftTokens, `an offer of ${tokens.length} drafts`);
    if (random() < lostOffers) return;
    this.clock.schedule(this.clock.nowMs() + offerMs * random(), () => {
      run.offer = { position, tokens };
    });
  }

  private end(run: ToyRun): void {
    run.open = false;
    this.running.delete(run);
  }

  /** One step after the other, as long as there are runs. */
  private step(): void {
    if (this.stepping || this.running.size === 0) return;
    this.stepping = true;
    const { random, stepMs, fails = 0 } = this.options;
    this.clock.schedule(this.clock.nowMs() + stepMs * (1 + random()), () => {
      this.stepping = false;
      const runs = [...this.running];
      // Its own scheduling: one at least, and of the others those that it likes.
      const first = Math.floor(random() * runs.length);
      const isLost = random() < fails;
      for (const [i, run] of runs.entries()) {
        if (!run.open || (i !== first && random() < 0.3)) continue;
        if (isLost) this.fail(run);
        else this.advance(run);
      }
      this.step();
    });
  }

  private fail(run: ToyRun): void {
    this.end(run);
    run.listener.failed(new EngineError("decode_failed", "the step was lost"));
  }

  private advance(run: ToyRun): void {
    const { contextTokens } = this.language;
    if (run.tokens.length >= contextTokens) {
      this.end(run);
      run.listener.ended();
      return;
    }
    run.listener.committed(this.decode(run));
  }

  /** The next token, and one more for each draft that is the token before it. */
  private decode({ request, tokens, offer }: ToyRun): LiveStep {
    const first = tokens.length;
    const wanted = request.settings.logprobs !== undefined;
    const logprobs: TokenLogprobs[] = [];
    const drafts = offer === null ? 0 : Math.max(0, offer.position + offer.tokens.length - first);
    const checks = offer !== null && offer.position <= first ? drafts : 0;
    for (let checked = 0; tokens.length < this.language.contextTokens; checked++) {
      const position = tokens.length;
      const given = this.sample(request, tokens.view());
      tokens.push(given.token);
      if (given.logprobs) logprobs.push(given.logprobs);
      if (checked >= checks || offer?.tokens[position - offer.position] !== given.token) break;
    }
    return {
      first,
      tokens: tokens.slice(first, tokens.length),
      logprobs: wanted ? logprobs : null,
      rows: 1 + checks,
    };
  }

  private sample({ settings }: LiveRequest, prefix: Int32Array) {
    const { sampler, seed } = settings;
    const position = prefix.length;
    const history = prefix.slice(Math.max(0, position - historyTokens(sampler)));
    const row = toyLogits(this.language, prefix, "target");
    const logprobs = settings.logprobs ?? null;
    const question = { ask: "sample", sampler, seed, position, lineage: 0, history, logprobs } as const;
    const given = answer(row, question, this.workspace);
    assert(given.kind === "token", "a sample is a token");
    return { token: given.token, logprobs: given.logprobs ?? null };
  }
}
