import { createHmac } from "node:crypto";
import { DEFAULT_SAMPLER } from "../../sampling/settings.ts";
import type { Clock } from "../../util/clock.ts";
import type { Capabilities } from "../capabilities.ts";
import { EngineError, type ModelInfo } from "../engine.ts";
import type { LiveEngine, LiveListener, LiveRequest, LiveRun } from "../live-engine.ts";
import { GRAMMARS, type RunContext, VllmRun } from "./run.ts";
import { SETTING_NAMES, settingsLack } from "./settings.ts";
import { type Upstream, Upstreams } from "./upstream.ts";

/** Of an offer, where no mailbox says how many it takes. */
const USUAL_OFFER_TOKENS = 64;
/** Of an offer, whatever a mailbox takes. */
const MOST_OFFER_TOKENS = 256;

export interface VllmEngineOptions {
  readonly info: ModelInfo;
  /** of one model, one or more; the engine's from here on */
  readonly upstreams: readonly Upstream[];
  /** most runs on one server */
  readonly runs: number;
  readonly clock: Clock;
  /**
   * What salts of the prefix cache are derived with: not known to clients, and the same in every gateway that is to
   * share what it keeps of a principal's text
   */
  readonly secret: string;
  /** a name that no other has, in any gateway */
  readonly freshId: () => string;
  /** a line for the operator. Default: none is told */
  readonly told?: (line: string) => void;
}

/** vLLM, one or several servers of one model, as an engine that decodes by itself. */
export class VllmEngine implements LiveEngine {
  readonly info: ModelInfo;
  readonly capabilities: Capabilities;
  readonly runs: number;
  private readonly upstreams: readonly Upstream[];
  private readonly context: RunContext;
  private readonly running = new Set<VllmRun>();

  constructor({ info, upstreams, runs, clock, secret, freshId, told = () => {} }: VllmEngineOptions) {
    this.info = info;
    this.upstreams = upstreams;
    this.runs = runs * upstreams.length;
    this.capabilities = capabilitiesOf(upstreams);
    // 2^60 keys, and never 0 or 1.
    const key = createHmac("sha256", secret).update("prefixes").digest().readBigUInt64LE() >> 4n;
    const hmac = (text: string) => createHmac("sha256", secret).update(text).digest("base64url");
    // "connection 1" is another one in each gateway, and after each start.
    const start = freshId();
    this.context = {
      upstreams: new Upstreams(upstreams, { clock, key: key + 2n, runs, told }),
      ...{ clock, freshId, told },
      vocabularySize: info.vocabularySize,
      stepTokens: this.capabilities.draftTokens + 1,
      saltOf: (principal, isKeyed) => hmac(isKeyed ? principal : `${start} ${principal}`),
    };
  }

  /** Runs that are open. */
  get openRuns(): number {
    return this.running.size;
  }

  open(request: LiveRequest, listener: LiveListener): LiveRun {
    if (this.running.size >= this.runs) throw new EngineError("too_many_runs", `${this.runs} runs are open`);
    const run = new VllmRun(this.context, request, listener, () => this.running.delete(run));
    this.running.add(run);
    return run;
  }

  close(): void {
    for (const run of [...this.running]) run.cancel();
    for (const upstream of this.upstreams) upstream.close();
  }
}

function capabilitiesOf(upstreams: readonly Upstream[]): Capabilities {
  const speculates = upstreams.some(({ facts }) => facts.speculates);
  const offers = upstreams.flatMap(({ mailboxes }) => mailboxes.map(({ ready }) => ready?.offerTokens));
  const told = offers.filter((tokens) => tokens !== undefined);
  return {
    couplings: ["own"],
    samplerSettings: SETTING_NAMES,
    topLogprobs: Math.min(...upstreams.map(({ facts }) => facts.dialect.topLogprobs)),
    grammars: true,
    ownGrammars: GRAMMARS,
    waits: false,
    draftTokens: Math.max(1, Math.min(MOST_OFFER_TOKENS, ...(told.length > 0 ? told : [USUAL_OFFER_TOKENS]))),
    rollback: "anywhere",
    lacks: (settings, sequenceTokens) =>
      settingsLack(settings, DEFAULT_SAMPLER, { speculates, sequenceTokens }),
  };
}
