import type { GrammarKind } from "../decoding/grammar.ts";
import type { SessionSettings } from "../decoding/session.ts";
import { DEFAULT_SAMPLER, type SamplerSettings } from "../sampling/sampler.ts";
import { PicoSpecError } from "../util/errors.ts";

/**
 * What an engine can do. It says so itself, and a session that wants more is refused when it opens: what an engine
 * lacks is an error with a name, never a wrong text.
 */
export interface Capabilities {
  /**
   * How drafts and the engine's tokens can be tied together. `own`: by the engine's own sampler, where the cloud goes on
   * by itself: exact, and not reproducible with our seed.
   */
  readonly couplings: readonly ("rejection" | "gumbel" | "own")[];
  /** sampler settings that it applies */
  readonly samplerSettings: readonly (keyof SamplerSettings)[];
  /** most of the likeliest tokens that it reports with each token; -1: it reports no log-probabilities */
  readonly topLogprobs: number;
  /** answers that keep to a grammar */
  readonly grammars: boolean;
  /**
   * kinds of grammars that it keeps to by itself, without sets of tokens of ours: what it reads in them is its own
   * affair. Not given: the cloud's own matcher says what is allowed
   */
  readonly ownGrammars?: readonly GrammarKind[];
  /** it can wait for drafts before it goes on: policies with patience */
  readonly waits: boolean;
  /** most drafts of one session that it checks in one step */
  readonly draftTokens: number;
  /**
   * Where its KV can be cut back to. `anywhere`: any position. `afterPass`: only right after a pass, to the end of what
   * was accepted (recurrent and hybrid models, whose state has no earlier positions).
   */
  readonly rollback: "anywhere" | "afterPass";
  /**
   * What else of a session it cannot do as it is asked, where that depends on several settings; null: nothing. A text
   * that goes on from "the engine of MODEL".
   * @param sequenceTokens most tokens of the session, prompt included
   */
  readonly lacks?: (settings: SessionSettings, sequenceTokens: number) => string | null;
}

/** Engines that have whole rows of logits: the sampler chain runs over them, so that nothing is lacking. */
export const ROW_CAPABILITIES: Capabilities = {
  couplings: ["rejection", "gumbel"],
  samplerSettings: Object.keys(DEFAULT_SAMPLER) as (keyof SamplerSettings)[],
  topLogprobs: 20,
  grammars: true,
  waits: true,
  draftTokens: 256,
  rollback: "anywhere",
};

/** An engine lacks what a session asks for. */
export class UnsupportedError extends PicoSpecError {
  override readonly name = "UnsupportedError";

  constructor(message: string) {
    super("unsupported", message);
  }
}

/**
 * Refuses a session that the engine cannot serve as it asks.
 * @param engine name of the model, for the message
 * @param sequenceTokens most tokens of the session, prompt included; Infinity: not known
 * @throws UnsupportedError that says what is lacking and what to ask instead
 * @example
 * import { checkCapabilities, POLICIES, ROW_CAPABILITIES, samplerSettings, toSeed } from "picospec";
 *
 * const settings = { policy: POLICIES.race, sampler: samplerSettings(), seed: toSeed(1), maxTokens: 16 };
 * checkCapabilities({ ...ROW_CAPABILITIES, grammars: false }, settings, "my engine");
 */
export function checkCapabilities(
  able: Capabilities,
  settings: SessionSettings,
  engine: string,
  sequenceTokens = Number.POSITIVE_INFINITY,
): void {
  const { policy, sampler, grammar, logprobs } = settings;
  const need = (condition: boolean, lack: string) => {
    if (!condition) throw new UnsupportedError(`the engine of ${engine} ${lack}`);
  };
  const coupled = able.couplings.includes(policy.coupling);
  const byItself = policy.coupling === "gumbel" && able.couplings.includes("own");
  need(coupled || byItself, `has no ${policy.coupling} coupling; take a policy such as race`);
  need(able.waits || policy.patienceMs === 0, "never waits for drafts; set patienceMs to 0");
  for (const name of Object.keys(sampler) as (keyof SamplerSettings)[]) {
    const isSet = JSON.stringify(sampler[name]) !== JSON.stringify(DEFAULT_SAMPLER[name]);
    need(!isSet || able.samplerSettings.includes(name), `does not apply ${name}; leave it at its default`);
  }
  need(grammar === undefined || able.grammars, "keeps to no grammars; ask without one");
  const { ownGrammars } = able;
  if (grammar && ownGrammars) {
    const kinds = ownGrammars.join(" or ");
    need(ownGrammars.includes(grammar.kind), `reads no grammar of kind ${grammar.kind}; send ${kinds}`);
  }
  const lack = able.lacks?.(settings, sequenceTokens) ?? null;
  need(lack === null, lack ?? "");
  if (logprobs === undefined) return;
  need(able.topLogprobs >= 0, "reports no log-probabilities; ask without logprobs");
  const most = able.topLogprobs;
  need(logprobs <= most, `reports at most ${most} of the likeliest tokens, not ${logprobs}; ask for fewer`);
}
