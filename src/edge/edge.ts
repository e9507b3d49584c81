import { type Grammar, grammarOf } from "../decoding/grammar.ts";
import { type DecodingPolicy, POLICIES, type PolicyName, policyNamed } from "../decoding/policy.ts";
import type { SessionSettings } from "../decoding/session.ts";
import { type Seed, toSeed } from "../sampling/random.ts";
import { type SamplerSettings, samplerSettings } from "../sampling/sampler.ts";
import type { RenderTemplate } from "../text/chat-template.ts";
import type { ChatMessage, ChatTool, UnreadPrompt } from "../text/conversation.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { ConnectionError } from "../transport/transport.ts";
import { unlessAborted } from "../util/abort.ts";
import { AssertionError, assert } from "../util/assert.ts";
import { SettingError } from "../util/errors.ts";
import { Inbox } from "../util/inbox.ts";
import type { AnswerEnd, AnswerEvent, AnsweredToken } from "./answer.ts";
import { AnswerParts } from "./answer-parts.ts";
import { CloudError } from "./connection.ts";
import { PipelineStatistics } from "./core/statistics.ts";
import type { CloudState, Keeper } from "./keeper.ts";
import type { LocalOpener } from "./local-opener.ts";
import type { AnswerObserver } from "./observer.ts";
import type { OpenedSession, Opener, RemoteOpener, TextModel } from "./opener.ts";
import { onThisThread, promptText, readPrompt } from "./prompt.ts";

export type { AnswerEnd, AnswerEvent, AnsweredToken };

/** The edge as a library: questions in, answers out as events. */

/** What is asked. */
export interface AnswerRequest {
  /** a conversation, through the chat template of the model that answers; or text as it is; or token ids */
  readonly prompt: readonly ChatMessage[] | string | Int32Array;
  /** a conversation's texts as they are, a line each, without the chat template; the default is false */
  readonly raw?: boolean;
  /** of a text: what reads like a special token is that token; the default is false */
  readonly special?: boolean;
  /** of a text: what follows the answer, for models that can fill in the middle */
  readonly suffix?: string;
  readonly tools?: readonly ChatTool[];
  /** of a conversation: more variables of the chat template, such as `enable_thinking` */
  readonly templateVariables?: Readonly<Record<string, unknown>>;
  /** of a conversation: the last message is the assistant's, and the answer goes on with it; the default is false */
  readonly continues?: boolean;
  /** texts of special tokens that are text of the answer: markers that its reader looks for. The default is none */
  readonly markers?: readonly string[];
  readonly policy?: PolicyName | DecodingPolicy;
  /** the model that answers, as `Edge.answerer` chose it, in place of a policy. Default: it is chosen by the policy */
  readonly answerer?: Answerer;
  readonly sampler?: Partial<SamplerSettings>;
  /** the default is a fresh one */
  readonly seed?: Seed | number | bigint;
  /** 0: none, the prompt is read alone; the default is as many as the context has room for */
  readonly maxTokens?: number;
  /** texts that end the answer; they are not part of it */
  readonly stop?: readonly string[];
  /** that the answer keeps to; text is EBNF */
  readonly grammar?: string | Grammar;
  /** how many of the likeliest tokens come with each token, [0, 20]; the default is no logprobs */
  readonly logprobs?: number;
  /** ends the answer early, on both sides */
  readonly signal?: AbortSignal;
  /** counts, logs or traces the answer; default: nothing does */
  readonly observer?: AnswerObserver;
}

/** What of a request makes its prompt. */
export type PromptRequest = Pick<
  AnswerRequest,
  | "prompt"
  | "raw"
  | "special"
  | "suffix"
  | "tools"
  | "templateVariables"
  | "continues"
  | "policy"
  | "answerer"
>;

/** Which model gives an answer, and how. One answer never mixes two. */
export interface Answerer {
  readonly opener: Opener;
  readonly policy: DecodingPolicy;
  /** the small model alone answers, since the cloud is away */
  readonly standsIn: boolean;
}

/** What becomes of questions for the target while its cloud is away. */
export type OfflineMode =
  /** they wait for it */
  | "wait"
  /** the small model alone answers them, and says so */
  | "edge"
  /** they fail at once */
  | "fail";

export interface WholeAnswer extends AnswerEnd {
  readonly text: string;
  readonly tokens: readonly AnsweredToken[];
}

export interface EdgeOptions {
  /** null: there is a keeper, or only the policy `edge` */
  readonly remote: RemoteOpener | null;
  /** makes openers when they are needed, in place of `remote`. The caller closes it. Default: there is none */
  readonly keeper?: Keeper | null;
  /** what becomes of questions while there is no link; with a keeper. Default: `wait` */
  readonly offline?: OfflineMode;
  /** how long a question waits for the cloud, ms; the cloud is tried once at least. Default: 0 */
  readonly patienceMs?: number;
  /** the model of this device, alone: for the policy `edge`; null: there is none */
  readonly local: LocalOpener | null;
  readonly tokenizer: Tokenizer;
  /** the tokenizer of the model behind an opener, where that may be another. Default: `tokenizer` */
  readonly tokenizerOf?: (opener: Opener) => Tokenizer;
  /** Jinja source, where the target brings none */
  readonly chatTemplate: string | null;
  /**
   * Renders chat templates where one that loops or grows can be stopped, such as a worker. Default: on this thread, which
   * such a template keeps for ever
   */
  readonly renderTemplate?: RenderTemplate;
  /** 64 fresh random bits, for requests without a seed */
  readonly freshSeed: () => Seed;
  /** of requests that name none */
  readonly policy: DecodingPolicy;
}

/** The link to a cloud, for who looks after it. */
export interface LinkState {
  readonly isUp: boolean;
  /** latest round trip of a ping, ms; -1 before the first */
  readonly rttMs: number;
  /** times that a link was made anew */
  readonly reconnects: number;
}

/** One device: any number of answers at a time share its drafter and its connection, each in turn. */
export class Edge {
  private readonly options: EdgeOptions;
  /** answers under way, by what ends them */
  private readonly running = new Map<AbortController, Promise<void>>();
  private closed = false;

  constructor(options: EdgeOptions) {
    this.options = options;
  }

  private get remote(): RemoteOpener | null {
    const { keeper, remote } = this.options;
    return keeper ? keeper.latest : remote;
  }

  /** Of the default policy's model, as far as that is known. */
  get tokenizer(): Tokenizer {
    return this.tokenizerBy(this.openerOf(this.options.policy));
  }

  /** Of the model behind an opener; null: it is not there yet. */
  tokenizerBy(opener: Opener | null): Tokenizer {
    const { tokenizer, tokenizerOf } = this.options;
    return (opener && tokenizerOf?.(opener)) ?? tokenizer;
  }

  /** It has a model of its own, for the policy `edge`. */
  get speaksAlone(): boolean {
    return this.options.local !== null;
  }

  /** The default policy has a target. */
  get needsCloud(): boolean {
    return this.options.policy.target;
  }

  /** Of the default policy's model. */
  get chatTemplate(): string | null {
    return this.templateOf(this.options.policy);
  }

  /** Name of the model whose text the default policy gives. */
  get modelName(): string {
    return this.known(this.options.policy)?.name ?? "edge";
  }

  /** Most tokens of prompt and answer together, under the default policy. */
  get contextTokens(): number {
    return this.known(this.options.policy)?.contextTokens ?? 0;
  }

  /** The link to the cloud as it is; null: none has been made. */
  get link(): LinkState | null {
    const { remote } = this;
    if (!remote) return null;
    const { isUp, rttMs } = remote;
    const before = this.options.keeper?.earlierLinks ?? 0;
    return { isUp: isUp && !remote.gone, rttMs, reconnects: before + remote.reconnects };
  }

  /** The model whose text the default policy gives, as far as it is known: a cloud that was never there told nothing. */
  get model(): TextModel | null {
    return this.known(this.options.policy);
  }

  /** How the cloud is; null: there is none. */
  get cloud(): CloudState | null {
    const { keeper, remote } = this.options;
    return keeper?.state ?? (remote && { up: remote.isUp, error: remote.failed });
  }

  get offline(): OfflineMode {
    return this.options.offline ?? "wait";
  }

  /**
   * The model that answers under a policy, now; connects to the cloud, or waits for it, where that is needed.
   * @throws SettingError where there is none; ConnectionError, CloudError while the cloud is away
   */
  async answerer(policy?: PolicyName | DecodingPolicy): Promise<Answerer> {
    const wanted = this.policyOf({ ...(policy ? { policy } : {}) });
    const { remote, keeper, local, offline, patienceMs = 0 } = this.options;
    const alone = (standsIn: boolean): Answerer => {
      if (!local) throw new SettingError("policy", "this policy needs a model on this device");
      return { opener: local, policy: standsIn ? POLICIES.edge : wanted, standsIn };
    };
    if (!wanted.target) return alone(false);
    if (!keeper && !remote) throw new SettingError("policy", "this policy needs a cloud, and there is none");
    const waits = offline === undefined || offline === "wait";
    const opener = waits && keeper ? await keeper.wait(patienceMs) : keeper ? keeper.up : remote;
    if (opener) return { opener, policy: wanted, standsIn: false };
    if (offline === "edge") return alone(true);
    const { error } = keeper!.state;
    throw new CloudError(
      error?.code ?? "unreachable",
      error?.message ?? "the cloud is away; ask again later",
    );
  }

  /**
   * Token ids of a prompt, Int32Array[n], by what is known of the model that answers. At once, however long it takes.
   * @throws TemplateError when the chat template refuses the messages
   */
  async promptOf(request: PromptRequest): Promise<Int32Array> {
    const prompt = this.unread(request);
    if (prompt instanceof Int32Array) return prompt;
    const opener = request.answerer?.opener ?? this.openerOf(this.policyOf(request));
    return this.read(prompt, this.tokenizerBy(opener), Number.POSITIVE_INFINITY);
  }

  /**
   * The same as an answer reads it: a prompt that the context has no room for is refused before it is read.
   * @throws TemplateError, SettingError
   */
  async readPrompt(request: PromptRequest & { readonly answerer: Answerer }): Promise<Int32Array> {
    const unread = this.unread(request);
    const { opener } = request.answerer;
    if (unread instanceof Int32Array) return unread;
    return this.read(unread, this.tokenizerBy(opener), opener.model.contextTokens);
  }

  /**
   * The text of a prompt as the chat template of the model that answers writes it, without a begin token that the
   * tokenizer adds.
   * @param request its prompt is no token ids
   * @throws TemplateError
   */
  async promptText(request: PromptRequest & { readonly answerer: Answerer }): Promise<string> {
    const { renderTemplate: render = onThisThread } = this.options;
    return promptText(this.unread(request), this.tokenizerBy(request.answerer.opener), render);
  }

  /**
   * Answers a question. The work goes on whether the events are read or not; leaving the loop early ends it.
   * @throws TemplateError, SettingError before the first event; CloudError when the cloud refuses, fails or goes away
   */
  async *answer(request: AnswerRequest): AsyncGenerator<AnswerEvent, void, undefined> {
    if (this.closed) throw new ConnectionError("closed", "this edge was closed; make another");
    const events = new Inbox<AnswerEvent>();
    const leave = new AbortController();
    const { signal } = request;
    const abort = () => leave.abort();
    signal?.addEventListener("abort", abort);
    if (signal?.aborted) abort();
    const answered = this.run(request, events, leave).then(
      (end) => {
        events.push({ type: "end", end });
        events.close();
      },
      (error: Error) => events.fail(error),
    );
    this.running.set(leave, answered);
    void answered.then(() => this.running.delete(leave));
    try {
      yield* events;
      await answered;
    } finally {
      signal?.removeEventListener("abort", abort);
      leave.abort();
    }
  }

  /**
   * The whole answer at once.
   * @param each hears every event as it comes; what it throws ends the answer
   * @throws TemplateError, SettingError, CloudError
   */
  async ask(request: AnswerRequest, each: (event: AnswerEvent) => void = () => {}): Promise<WholeAnswer> {
    const tokens: AnsweredToken[] = [];
    let text = "";
    for await (const event of this.answer(request)) {
      each(event);
      switch (event.type) {
        case "text":
          text += event.text;
          tokens.push(...event.tokens);
          break;
        case "discarded":
          break;
        case "end":
          return { ...event.end, text, tokens };
        default:
          event satisfies never;
      }
    }
    throw new AssertionError("an answer ends with its end");
  }

  /** Ends what is under way, as if it were cancelled, and answers nothing from now on. */
  async close(): Promise<void> {
    this.closed = true;
    for (const leave of this.running.keys()) leave.abort();
    await Promise.all(this.running.values());
  }

  /**
   * @param atRest every answer is over
   * @throws AssertionError when an invariant is broken, or something is kept of an answer that is over
   */
  checkIntegrity(atRest = false): void {
    const openers = [this.remote, this.options.local].filter((opener) => opener !== null);
    for (const opener of openers) opener.checkIntegrity();
    // The two share the drafter's model, and with it the names of its sequences.
    const open = new Map(openers.flatMap((opener) => [...opener.sequences()]));
    for (const { drafter } of openers) drafter?.checkIntegrity(open);
    assert(open.size <= this.running.size, "a session outlives its answer");
    assert(!atRest || this.running.size === 0, `${this.running.size} answers are kept that are over`);
  }

  private async run(
    request: AnswerRequest,
    events: Inbox<AnswerEvent>,
    leave: AbortController,
  ): Promise<AnswerEnd> {
    const choosing = request.answerer ?? unlessAborted(this.answerer(request.policy), leave.signal);
    const answerer = await choosing;
    const cancelled = (): AnswerEnd => {
      const { target } = answerer?.policy ?? this.policyOf(request);
      const statistics = new PipelineStatistics();
      return { answeredBy: target ? "target" : "edge", reason: "cancelled", promptTokens: 0, statistics };
    };
    if (!answerer) return cancelled();
    const { opener, policy } = answerer;
    const prompt = await unlessAborted(this.readPrompt({ ...request, answerer }), leave.signal);
    if (!prompt) return cancelled();
    const tokenizer = this.tokenizerBy(opener);
    const promptTokens = prompt.length;
    const settings = this.settingsOf(request, policy, opener.model.contextTokens - promptTokens);
    const answeredBy = policy.target ? "target" : "edge";
    if (settings.maxTokens === 0)
      return { answeredBy, reason: "length", promptTokens, statistics: new PipelineStatistics() };
    const parts = new AnswerParts(tokenizer, request, events);
    const { observer } = request;
    return { ...(await collect(opener, settings, prompt, parts, leave, observer)), promptTokens, answeredBy };
  }

  private settingsOf(request: AnswerRequest, policy: DecodingPolicy, roomTokens: number): SessionSettings {
    const { sampler = {}, seed, maxTokens, grammar, logprobs } = request;
    return {
      policy,
      sampler: samplerSettings(sampler),
      seed: seed === undefined ? this.options.freshSeed() : typeof seed === "object" ? seed : toSeed(seed),
      maxTokens: maxTokens ?? Math.max(1, roomTokens),
      ...(grammar === undefined ? {} : { grammar: grammarOf(grammar) }),
      ...(logprobs === undefined ? {} : { logprobs }),
    };
  }

  private policyOf({ policy = this.options.policy }: Pick<AnswerRequest, "policy">): DecodingPolicy {
    return typeof policy === "string" ? policyNamed(policy) : policy;
  }

  /** null: there is none, or its cloud has not been asked yet */
  private known({ target }: DecodingPolicy): TextModel | null {
    return this.openerOf({ target })?.model ?? null;
  }

  private openerOf({ target }: Pick<DecodingPolicy, "target">): Opener | null {
    return target ? this.remote : this.options.local;
  }

  /** Chat template of the model that answers. */
  templateBy({ opener, policy }: Answerer): string | null {
    const own = opener.model.chatTemplate;
    return policy.target ? (own ?? this.options.chatTemplate) : own;
  }

  private read(prompt: UnreadPrompt, tokenizer: Tokenizer, contextTokens: number): Promise<Int32Array> {
    const { renderTemplate: render = onThisThread } = this.options;
    return readPrompt(prompt, { tokenizer, render, contextTokens });
  }

  private unread(request: PromptRequest): UnreadPrompt | Int32Array {
    const { prompt, tools = [], raw = false, special = false, suffix, continues = false, answerer } = request;
    if (prompt instanceof Int32Array) return prompt;
    if (typeof prompt === "string")
      return { kind: "text", text: prompt, special, ...(suffix === undefined ? {} : { suffix }) };
    const asked = answerer ? this.templateBy(answerer) : this.templateOf(this.policyOf(request));
    const variables = request.templateVariables ?? {};
    return { kind: "chat", template: raw ? null : asked, messages: prompt, tools, variables, continues };
  }

  private templateOf(policy: DecodingPolicy): string | null {
    const own = this.known(policy)?.chatTemplate ?? null;
    return policy.target ? (own ?? this.options.chatTemplate) : own;
  }
}

/** One session, from its opening to its end, told to `parts`. */
function collect(
  opener: Opener,
  settings: SessionSettings,
  prompt: Int32Array,
  parts: AnswerParts,
  { signal }: AbortController,
  observer: AnswerObserver | undefined,
): Promise<Omit<AnswerEnd, "promptTokens" | "answeredBy">> {
  return new Promise((resolve, reject) => {
    let session: OpenedSession | null = null;
    const cancel = () => session?.cancel();
    session = opener.open(settings, prompt, {
      token(token, origin) {
        if (parts.token(token, origin)) cancel();
      },
      logprobs(told) {
        if (parts.logprobs(told)) cancel();
      },
      discarded: (tokens) => parts.discarded(tokens),
      finished(outcome, statistics) {
        signal.removeEventListener("abort", cancel);
        if (outcome.kind === "failed") {
          reject(new CloudError(outcome.code, outcome.message, outcome));
          return;
        }
        parts.end();
        const { stopString } = parts;
        if (stopString === null) resolve({ reason: outcome.reason, statistics });
        else resolve({ reason: "stop", stopString, statistics });
      },
      observer,
    });
    if (signal.aborted || parts.stopped) cancel();
    else signal.addEventListener("abort", cancel);
  });
}
