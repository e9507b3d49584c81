import type { SessionSettings } from "../decoding/session.ts";
import type { Grammars } from "../grammar/grammar.ts";
import { assert } from "../util/assert.ts";
import type { Clock } from "../util/clock.ts";
import { SettingError } from "../util/errors.ts";
import { checkRequest } from "./boundary.ts";
import { CloudError } from "./connection.ts";
import type { Drafter, OpenSequences } from "./drafters/drafter.ts";
import type { SessionListener } from "./driver.ts";
import { type OpenedSession, type Opener, Sessions, type TextModel } from "./opener.ts";

export interface LocalOpenerOptions {
  /** one that always proposes: the small model itself */
  readonly drafter: Drafter;
  readonly name: string;
  /** the drafter's own */
  readonly endTokens: readonly number[];
  /** the drafter's own, Jinja source; null where it has none */
  readonly chatTemplate: string | null;
  /** over the drafter's vocabulary; null: answers cannot keep to a grammar */
  readonly grammars: Grammars | null;
  readonly clock: Clock;
  /** the last resort, for a fault of ours: it costs the session. Default: it is thrown to whoever brought the event */
  readonly failed?: (error: unknown) => void;
}

/** The drafter alone, without a cloud: the policy `edge`. */
export class LocalOpener implements Opener {
  readonly model: TextModel;
  readonly drafter: Drafter;
  private readonly options: LocalOpenerOptions;
  private readonly sessions = new Sessions(() => {});
  private closed = false;

  constructor(options: LocalOpenerOptions) {
    const { drafter, name, endTokens, chatTemplate } = options;
    const { vocabularySize, contextTokens } = drafter.reach;
    this.options = options;
    this.drafter = drafter;
    this.model = { name, vocabularySize, contextTokens, endTokens, chatTemplate };
  }

  get gone(): boolean {
    return this.closed;
  }

  open(settings: SessionSettings, prompt: Int32Array, listener: SessionListener): OpenedSession {
    const { drafter, model } = this;
    const { clock, grammars, failed = null } = this.options;
    if (this.closed) throw new CloudError("closed", "this opener was closed");
    if (settings.policy.target) throw new SettingError("policy", "this policy needs a cloud");
    if (settings.grammar !== undefined && !grammars) {
      throw new SettingError("grammar", "no grammar engine is loaded here: ask without a grammar");
    }
    if (settings.logprobs !== undefined) {
      throw new SettingError("logprobs", "logprobs are the target's, and the policy edge asks none");
    }
    checkRequest(settings, prompt, model, drafter);
    return this.sessions.start(model, {
      ...{ settings, prompt, listener, clock, grammars, drafter, failed },
      secret: null,
      send: () => 0,
    });
  }

  sequences(): OpenSequences {
    return this.sessions.sequences();
  }

  close(): void {
    this.closed = true;
    for (const session of this.sessions.all()) session.cancel();
  }

  checkIntegrity(): void {
    assert(!this.closed || this.sessions.size === 0, "a session outlives its opener");
    this.sessions.checkIntegrity();
  }
}
