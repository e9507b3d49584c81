import type { SessionSettings, StopReason, StopRule } from "../decoding/session.ts";
import type { Grammars } from "../grammar/grammar.ts";
import { wireLink } from "../protocol/link.ts";
import type { TokenLogprobs } from "../sampling/question.ts";
import { StreamingText, type Tokenizer } from "../text/tokenizer.ts";
import type { Transport } from "../transport/transport.ts";
import type { Clock } from "../util/clock.ts";
import { SettingError } from "../util/errors.ts";
import { CloudError, type Reconnect } from "./connection.ts";
import type { TokenOrigin } from "./core/machine.ts";
import type { PipelineStatistics } from "./core/statistics.ts";
import type { Drafter } from "./drafters/drafter.ts";
import { EdgeDriver, type SessionListener } from "./driver.ts";
import { EdgeClient } from "./opener.ts";

/** The edge as promises: for callers who do not live under a clock of their own. */

export interface ConnectOptions {
  /** the client's from here on */
  readonly transport: Transport;
  /** an empty fingerprint: the edge has none, and will ask the cloud for it */
  readonly tokenizer: Pick<Tokenizer, "fingerprint">;
  readonly drafter: Drafter | null;
  readonly clock: Clock;
  /** name and version of this software */
  readonly client: string;
  /** over the target's vocabulary, for drafts that keep to a grammar */
  readonly grammars?: Grammars | null;
  /** sessions outlive a link that breaks when this is given */
  readonly resume?: ResumeOptions;
}

export interface ResumeOptions {
  /** makes a link anew, to the same cloud or one like it */
  readonly reconnect: () => Promise<Transport>;
  /** how long to try for before giving up, ms */
  readonly withinMs: number;
  /** a fresh secret, 16 characters or more that nobody can guess */
  readonly secret: () => string;
}

/** @throws CloudError when the cloud refuses or does not answer; the transport is closed then */
export function connectEdge(options: ConnectOptions): Promise<EdgeClient> {
  const { transport, tokenizer, resume, drafter, clock, client, grammars = null } = options;
  const reconnect: Reconnect | null = resume
    ? (done) =>
        void resume.reconnect().then(
          (again) => done(null, wireLink(again)),
          (error: Error) => done(error, null),
        )
    : null;
  return new Promise((resolve, reject) => {
    new EdgeClient({
      link: wireLink(transport),
      reconnect,
      reconnectWithinMs: resume?.withinMs ?? 0,
      secret: resume?.secret ?? null,
      ...{ drafter, clock, client, grammars },
      fingerprint: tokenizer.fingerprint,
      ready: (error, ready) => (error ? reject(error) : resolve(ready)),
    });
  });
}

/** A part of the answer, as it is decided. */
export interface TextPart {
  /** may be empty: a character can take several tokens */
  readonly text: string;
  readonly token: number;
  readonly origin: TokenOrigin;
}

export interface GenerateOptions {
  readonly settings: SessionSettings;
  /** token ids, Int32Array[n] */
  readonly prompt: Int32Array;
  readonly tokenizer: Tokenizer;
  readonly part?: (part: TextPart) => void;
  /** what the target thought of the tokens, in their order, where the settings ask for it; may come after `part` */
  readonly logprobs?: (logprobs: TokenLogprobs) => void;
  /** drafts that fell, as text */
  readonly discarded?: (text: string) => void;
  readonly signal?: AbortSignal;
}

export interface Generated {
  readonly text: string;
  readonly reason: StopReason;
  readonly statistics: PipelineStatistics;
}

/**
 * One answer through a cloud.
 * @throws CloudError when the cloud refuses, fails or goes away; what was decided before was told to `part`
 */
export function generate(client: EdgeClient, options: GenerateOptions): Promise<Generated> {
  return collect(options, (listener) => client.open(options.settings, options.prompt, listener));
}

/**
 * One answer of the small model alone: the policy `edge`.
 * @param endTokens of the drafter itself: there is no target to say
 * @param grammars over its vocabulary; null: answers cannot keep to one
 */
export function generateAlone(
  drafter: Drafter,
  endTokens: readonly number[],
  clock: Clock,
  options: GenerateOptions,
  grammars: Grammars | null = null,
): Promise<Generated> {
  const { settings, prompt } = options;
  if (settings.grammar !== undefined && !grammars) {
    return Promise.reject(new SettingError("grammar", "there is nothing here that knows grammars"));
  }
  if (settings.logprobs !== undefined) {
    const message = "logprobs are the target's, and the policy edge asks none";
    return Promise.reject(new SettingError("logprobs", message));
  }
  if (!drafter.alwaysProposes) {
    return Promise.reject(
      new SettingError("policy", "the policy edge needs a model of its own: give a --model"),
    );
  }
  if (settings.policy.target || prompt.length === 0) {
    const message = settings.policy.target ? "this policy needs a cloud" : "the prompt is empty";
    return Promise.reject(new SettingError(settings.policy.target ? "policy" : "prompt", message));
  }
  const { contextTokens, vocabularySize } = drafter.reach;
  const rule: StopRule = {
    promptLength: prompt.length,
    maxTokens: settings.maxTokens,
    contextTokens,
    endTokens: new Set(endTokens),
  };
  if (prompt.length >= contextTokens) {
    const message = `the prompt has ${prompt.length} tokens, and the drafter's context of ${contextTokens} leaves no room`;
    return Promise.reject(new SettingError("prompt", message));
  }
  return collect(options, (listener) => {
    const session = new EdgeDriver({
      id: 1,
      settings,
      prompt,
      rule,
      drafter,
      vocabularySize,
      clock,
      grammars,
      secret: null,
      send: () => 0,
      listener,
    });
    session.start();
    return session;
  });
}

function collect(
  options: GenerateOptions,
  open: (listener: SessionListener) => EdgeDriver,
): Promise<Generated> {
  const { tokenizer, part, logprobs, discarded, signal } = options;
  return new Promise((resolve, reject) => {
    const streaming = new StreamingText(tokenizer);
    let text = "";
    let session: EdgeDriver | null = null;
    const cancel = () => session?.cancel();
    /** What a caller throws is the caller's: it ends this answer, and must not run through the state machine. */
    const guarded = (call: () => void) => {
      try {
        call();
      } catch (error) {
        reject(error);
        queueMicrotask(cancel);
      }
    };
    session = open({
      token(token, origin) {
        const piece = streaming.push(token);
        text += piece;
        guarded(() => part?.({ text: piece, token, origin }));
      },
      logprobs(told) {
        guarded(() => logprobs?.(told));
      },
      discarded(tokens) {
        if (!discarded) return;
        const fallen = new StreamingText(tokenizer);
        const pieces = Array.from(tokens, (token) => fallen.push(token));
        guarded(() => discarded(pieces.join("") + fallen.end()));
      },
      finished(outcome, statistics) {
        signal?.removeEventListener("abort", cancel);
        text += streaming.end();
        if (outcome.kind === "failed") reject(new CloudError(outcome.code, outcome.message));
        else resolve({ text, reason: outcome.reason, statistics });
      },
    });
    if (signal?.aborted) cancel();
    else signal?.addEventListener("abort", cancel);
  });
}
