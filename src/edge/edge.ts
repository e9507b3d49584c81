import { type Grammar, grammarOf } from "../decoding/grammar.ts";
import { type DecodingPolicy, type PolicyName, policyNamed } from "../decoding/policy.ts";
import type { StopReason } from "../decoding/session.ts";
import type { Grammars } from "../grammar/grammar.ts";
import type { TokenLogprobs } from "../sampling/question.ts";
import { type Seed, toSeed } from "../sampling/random.ts";
import { type SamplerSettings, samplerSettings } from "../sampling/sampler.ts";
import { type ChatMessage, type ChatTool, chatPrompt } from "../text/chat-template.ts";
import { StopStrings } from "../text/stop-strings.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { ConnectionError } from "../transport/transport.ts";
import { AssertionError } from "../util/assert.ts";
import type { Clock } from "../util/clock.ts";
import { SettingError } from "../util/errors.ts";
import { Inbox } from "../util/inbox.ts";
import type { TokenOrigin } from "./core/machine.ts";
import { PipelineStatistics } from "./core/statistics.ts";
import type { Drafter } from "./drafters/drafter.ts";
import { type Generated, type GenerateOptions, generate, generateAlone } from "./generate.ts";
import type { EdgeClient } from "./opener.ts";

/** The edge as a library: questions in, answers out as events. */

/** What is asked. */
export interface AnswerRequest {
  /** a conversation, through the target's chat template; or text as it is; or token ids */
  readonly prompt: readonly ChatMessage[] | string | Int32Array;
  readonly tools?: readonly ChatTool[];
  readonly policy?: PolicyName | DecodingPolicy;
  readonly sampler?: Partial<SamplerSettings>;
  /** left out: a fresh one */
  readonly seed?: Seed | number | bigint;
  /** left out: as many as the context has room for */
  readonly maxTokens?: number;
  /** texts that end the answer; they are not part of it */
  readonly stop?: readonly string[];
  /** that the answer keeps to; text is EBNF */
  readonly grammar?: string | Grammar;
  /** how many of the likeliest tokens come with each token, [0, 20]; left out: no logprobs */
  readonly logprobs?: number;
  /** ends the answer early, on both sides */
  readonly signal?: AbortSignal;
}

export interface AnsweredToken {
  readonly token: number;
  /** what it adds to the text: "" for a part of a character */
  readonly text: string;
  readonly origin: TokenOrigin;
  /** null: not asked for */
  readonly logprobs: TokenLogprobs | null;
}

export type AnswerEvent =
  /** more of the answer; the text may be "" and the tokens none */
  | { readonly type: "text"; readonly text: string; readonly tokens: readonly AnsweredToken[] }
  /** drafts that fell: nothing that was given away is taken back */
  | { readonly type: "discarded"; readonly text: string }
  /** once, last */
  | { readonly type: "end"; readonly end: AnswerEnd };

export interface AnswerEnd {
  /** `stop`: a stop string came */
  readonly reason: StopReason | "stop";
  readonly promptTokens: number;
  readonly statistics: PipelineStatistics;
}

export interface WholeAnswer extends AnswerEnd {
  readonly text: string;
  readonly tokens: readonly AnsweredToken[];
}

export interface EdgeOptions {
  /** null: only the policy `edge` */
  readonly client: EdgeClient | null;
  /** makes another when that one is gone; null or left out: then so is the cloud */
  readonly reconnect?: (() => Promise<EdgeClient>) | null;
  /** null: only policies that draft nothing */
  readonly drafter: Drafter | null;
  /** the model of this device that can speak alone: for the policy `edge`; null: there is none */
  readonly alone: Drafter | null;
  readonly tokenizer: Tokenizer;
  /** of the drafter, for the policy `edge` */
  readonly endTokens: readonly number[];
  /** Jinja source, where there is no target to bring one */
  readonly chatTemplate: string | null;
  readonly grammars: Grammars | null;
  readonly clock: Clock;
  /** 64 fresh random bits, for requests without a seed */
  readonly freshSeed: () => Seed;
  /** of requests that name none */
  readonly policy: DecodingPolicy;
}

/** One device: any number of answers at a time share its drafter and its connection, each in turn. */
export class Edge {
  private readonly options: EdgeOptions;
  private client: EdgeClient | null;
  /** under way, for whoever needs it */
  private connecting: Promise<EdgeClient> | null = null;
  /** answers under way, by what ends them */
  private readonly running = new Map<AbortController, Promise<void>>();
  private closed = false;

  constructor(options: EdgeOptions) {
    this.options = options;
    this.client = options.client;
  }

  get tokenizer(): Tokenizer {
    return this.options.tokenizer;
  }

  get chatTemplate(): string | null {
    return this.client ? this.client.target.chatTemplate : this.options.chatTemplate;
  }

  /** Name of the model whose text it is. */
  get modelName(): string {
    return this.client?.target.name ?? "edge";
  }

  /** Most tokens of prompt and answer together. */
  get contextTokens(): number {
    return this.client?.target.contextTokens ?? this.options.alone?.reach.contextTokens ?? 0;
  }

  /**
   * Token ids of a prompt, Int32Array[n].
   * @throws TemplateError when the chat template refuses the messages
   */
  promptOf({ prompt, tools = [] }: Pick<AnswerRequest, "prompt" | "tools">): Int32Array {
    if (prompt instanceof Int32Array) return prompt;
    if (typeof prompt === "string") return this.tokenizer.encode(prompt, false);
    return chatPrompt(this.chatTemplate, prompt, this.tokenizer, tools);
  }

  /**
   * Answers a question. The work goes on whether anybody listens or not; leaving the loop early ends it.
   * @throws TemplateError, SettingError before the first event; CloudError when the cloud refuses, fails or goes away
   */
  async *answer(request: AnswerRequest): AsyncGenerator<AnswerEvent, void, undefined> {
    if (this.closed) throw new ConnectionError("closed", "this edge was closed; make another");
    const prompt = this.promptOf(request);
    const events = new Inbox<AnswerEvent>();
    const leave = new AbortController();
    const { signal } = request;
    const abort = () => leave.abort();
    signal?.addEventListener("abort", abort);
    if (signal?.aborted) abort();
    const parts = new AnswerParts(request.stop ?? [], request.logprobs !== undefined, events);
    const generated = this.generate(request, prompt, parts, leave).then(
      ({ reason, statistics }) => {
        parts.end();
        const ending = parts.stopped ? "stop" : reason;
        events.push({ type: "end", end: { reason: ending, promptTokens: prompt.length, statistics } });
        events.close();
      },
      (error: Error) => events.fail(error),
    );
    this.running.set(leave, generated);
    void generated.then(() => this.running.delete(leave));
    try {
      yield* events;
      await generated;
    } finally {
      signal?.removeEventListener("abort", abort);
      leave.abort();
    }
  }

  /**
   * The whole answer at once; what `answer` throws.
   * @throws TemplateError, SettingError, CloudError
   */
  async ask(request: AnswerRequest): Promise<WholeAnswer> {
    const tokens: AnsweredToken[] = [];
    let text = "";
    for await (const event of this.answer(request)) {
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

  /** Ends what is under way, as if nobody wanted it any more, and answers nothing from now on. */
  async close(): Promise<void> {
    this.closed = true;
    for (const leave of this.running.keys()) leave.abort();
    await Promise.all(this.running.values());
  }

  private async generate(
    request: AnswerRequest,
    prompt: Int32Array,
    parts: AnswerParts,
    leave: AbortController,
  ): Promise<Generated> {
    const { alone, clock, endTokens, grammars, freshSeed, tokenizer } = this.options;
    const { policy: asked = this.options.policy, sampler = {}, seed, maxTokens, grammar, logprobs } = request;
    const policy = typeof asked === "string" ? policyNamed(asked) : asked;
    const room = this.contextTokens - prompt.length;
    const options: GenerateOptions = {
      settings: {
        policy,
        sampler: samplerSettings(sampler),
        seed: seed === undefined ? freshSeed() : typeof seed === "object" ? seed : toSeed(seed),
        maxTokens: maxTokens ?? Math.max(1, room),
        ...(grammar === undefined ? {} : { grammar: grammarOf(grammar) }),
        ...(logprobs === undefined ? {} : { logprobs }),
      },
      prompt,
      tokenizer,
      signal: leave.signal,
      part: (part) => {
        if (parts.token({ token: part.token, text: part.text, origin: part.origin })) leave.abort();
      },
      logprobs: (told) => {
        if (parts.logprobs(told)) leave.abort();
      },
      discarded: (text) => parts.discarded(text),
    };
    if (policy.target) {
      if (!this.client) throw new SettingError("policy", "this policy needs a cloud, and there is none");
      const client = await unlessAborted(this.connected(this.client), leave.signal);
      if (client) return generate(client, options);
      return { text: "", reason: "cancelled", statistics: new PipelineStatistics() };
    }
    if (alone) return generateAlone(alone, endTokens, clock, options, grammars);
    throw new SettingError("policy", "this policy needs a model on this device");
  }

  /** The cloud may have been away: whoever asks next finds out whether it is there again. */
  private async connected(client: EdgeClient): Promise<EdgeClient> {
    const { reconnect } = this.options;
    if (!client.gone || !reconnect) return client;
    this.connecting ??= reconnect().finally(() => {
      this.connecting = null;
    });
    this.client = await this.connecting;
    return this.client;
  }
}

/** null: it was aborted first. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | null> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) resolve(null);
    signal.addEventListener("abort", () => resolve(null), { once: true });
    promise.then(resolve, reject);
  });
}

/** Puts tokens, their logprobs and stop strings together: what is given away is certain, and in order. */
class AnswerParts {
  stopped = false;
  private readonly strings: StopStrings;
  private readonly wantsLogprobs: boolean;
  private readonly events: Inbox<AnswerEvent>;
  /** decided tokens whose logprobs have not come, in order; a correction's come a round trip later */
  private readonly waiting: Omit<AnsweredToken, "logprobs">[] = [];
  /** logprobs whose tokens have not come: none, unless a cloud says more than it was asked */
  private readonly early: TokenLogprobs[] = [];

  constructor(stops: readonly string[], wantsLogprobs: boolean, events: Inbox<AnswerEvent>) {
    this.strings = new StopStrings(stops);
    this.wantsLogprobs = wantsLogprobs;
    this.events = events;
  }

  /** @returns whether the answer is over */
  token(token: Omit<AnsweredToken, "logprobs">): boolean {
    if (!this.wantsLogprobs) return this.give({ ...token, logprobs: null });
    this.waiting.push(token);
    return this.match();
  }

  /** @returns whether the answer is over */
  logprobs(logprobs: TokenLogprobs): boolean {
    this.early.push(logprobs);
    return this.match();
  }

  discarded(text: string): void {
    if (!this.stopped) this.events.push({ type: "discarded", text });
  }

  /** Nothing follows. */
  end(): void {
    // The link broke for good, or the answer was ended, before the last logprobs came.
    for (const token of this.waiting.splice(0)) this.give({ ...token, logprobs: null });
    const text = this.strings.end();
    if (text !== "") this.events.push({ type: "text", text, tokens: [] });
  }

  private match(): boolean {
    while (this.waiting.length > 0 && this.early.length > 0) {
      if (this.give({ ...this.waiting.shift()!, logprobs: this.early.shift()! })) return true;
    }
    return this.stopped;
  }

  private give(token: AnsweredToken): boolean {
    if (this.stopped) return true;
    const { text, stopped } = this.strings.push(token.text);
    this.stopped = stopped;
    // A token that begins a stop string is none of the answer's.
    const tokens = stopped && text === "" ? [] : [token];
    if (tokens.length > 0 || text !== "") this.events.push({ type: "text", text, tokens });
    return stopped;
  }
}
