import { CloudError } from "../edge/connection.ts";
import type { AnswerEnd, Answerer, Edge } from "../edge/edge.ts";
import type { AnswerObserver } from "../edge/observer.ts";
import type { Seed } from "../sampling/random.ts";
import type { Format } from "../text/formats/format.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { unlessAborted } from "../util/abort.ts";
import { messageOf, SettingError } from "../util/errors.ts";
import { Turnstile } from "../util/turnstile.ts";
import type { AnsweringModel } from "./answer-grammar.ts";
import { allChoices } from "./choices.ts";
import type { Conversation, ConversationEvent } from "./conversation.ts";
import { asHttpError, HttpError } from "./errors.ts";
import { readTail } from "./prompt-tail.ts";
import {
  type ChoiceRequest,
  choiceRequests,
  isChat,
  modelBy,
  promptRequests,
  type ReadPrompt,
} from "./requests.ts";

/** Conversations in, events out, over one edge or several; so many at a time. Of protocols it knows nothing. */

export interface AnswersOptions {
  /** one, or one for each model: the first is the default, and requests name the others */
  readonly edge: Edge | readonly Edge[];
  readonly freshSeed: () => Seed;
  /** what a model with a chat template writes; default: by the formats that there are */
  readonly formatOf?: (template: string | null) => Format;
  /** answers that are made at a time; others wait, up to `waiting` of them */
  readonly concurrent: number;
  readonly waiting: number;
  /** called for each answer of a request: counts, logs or traces it; default: nothing does */
  readonly observe?: (requestId: string) => AnswerObserver;
}

/** Who asks for an answer. */
export interface Asking {
  /** the client has gone: the rest is not wanted */
  readonly gone: AbortSignal;
  readonly requestId: string;
}

/** An answer of which it is known whose it will be. */
export interface BegunAnswer {
  /** whose text it is, also where another model was asked for */
  readonly model: string;
  readonly answeredBy: AnswerEnd["answeredBy"];
  /** of the model that answers */
  readonly tokenizer: Tokenizer;
  /** keywords of the request's schemas that the answer does not keep to, in words: the client has allowed that */
  readonly relaxed: readonly string[];
  /** of chats and prompts of token ids; text is read later */
  readonly promptTokens: number;
  /** how many choices there are, of all prompts together */
  readonly count: number;
  /** an error may end it, also before the first; it is to be read to its end, or left */
  readonly events: AsyncGenerator<ConversationEvent, void, undefined>;
}

export class Answers {
  private readonly options: AnswersOptions;
  private readonly turnstile: Turnstile;

  constructor(options: AnswersOptions) {
    this.options = options;
    this.turnstile = new Turnstile(options.concurrent, options.waiting);
  }

  /** answers that are being made, and requests that wait */
  get load(): { readonly active: number; readonly waiting: number } {
    return { active: this.turnstile.inside, waiting: this.turnstile.waiting };
  }

  get edges(): readonly Edge[] {
    const { edge } = this.options;
    return Array.isArray(edge) ? edge : [edge as Edge];
  }

  /** Those whose models are known: a cloud that was never there told nothing. */
  get known(): readonly Edge[] {
    return this.edges.filter(({ model }) => model !== null);
  }

  /** How the clouds are, for who watches over this endpoint. */
  get health(): Readonly<Record<string, unknown>> {
    const models = this.edges.map((edge) => {
      const { up, error } = edge.cloud ?? { up: null, error: null };
      const cloud = up === null ? "none" : up ? "up" : "down";
      return {
        id: edge.model === null ? null : edge.modelName,
        cloud,
        ...(error ? { code: error.code, reason: error.message } : {}),
      };
    });
    const up = models.some(({ cloud }) => cloud === "up");
    const none = models.every(({ cloud }) => cloud === "none");
    return {
      ...this.load,
      cloud: none ? "none" : up ? "up" : "down",
      offline: this.edges[0]!.offline,
      models,
    };
  }

  /** most answers that are made at a time */
  get places(): number {
    return this.options.concurrent;
  }

  /** How an edge's model writes, as far as that is known. */
  modelOf(edge: Edge): AnsweringModel {
    return modelBy(edge.chatTemplate, this.options.formatOf);
  }

  /** @throws HttpError 404 */
  named(name: string): Edge {
    const edge = this.known.find((one) => one.modelName === name);
    if (!edge) throw noModel(name, this.edges);
    return edge;
  }

  /**
   * When it is the request's turn, chooses the model that answers; then all of its choices begin together.
   * @throws HttpError, SettingError, TemplateError, CloudError, TurnstileError
   */
  async begin(conversation: Conversation, { gone: signal, requestId }: Asking): Promise<BegunAnswer> {
    const edge = this.edgeFor(conversation.model);
    const count = conversation.prompts.length * conversation.choices;
    await this.turnstile.enter(count, signal);
    try {
      const { answerer, model, prompts } = await this.read(edge, conversation, signal);
      const asked = choiceRequests(conversation, model, prompts, this.options.freshSeed);
      const { opener, standsIn, policy } = answerer;
      return {
        promptTokens: tokensOf(prompts),
        model: standsIn ? opener.model.name : edge.modelName,
        answeredBy: policy.target ? "target" : "edge",
        tokenizer: edge.tokenizerBy(opener),
        relaxed: asked.relaxed,
        count,
        events: namingFormat(this.run(edge, asked.choices, answerer, signal, requestId), conversation),
      };
    } catch (error) {
      this.turnstile.leave(count);
      throw ofFormat(error, conversation);
    }
  }

  /**
   * Tokens of a chat's prompt, as the model that would answer reads it.
   * @throws HttpError, SettingError, TemplateError, CloudError, TurnstileError
   */
  async promptTokens(conversation: Conversation, { gone }: Asking): Promise<number> {
    const edge = this.edgeFor(conversation.model);
    await this.turnstile.enter(1, gone);
    try {
      const { prompts } = await this.read(edge, conversation, gone);
      return tokensOf(prompts);
    } finally {
      this.turnstile.leave(1);
    }
  }

  /** The model that answers, and what it reads. */
  private async read(edge: Edge, conversation: Conversation, gone: AbortSignal) {
    const answerer = await unlessAborted(edge.answerer(conversation.sampling.policy), gone);
    if (!answerer) throw new HttpError(499, "cancelled", "the client has gone");
    const model = modelBy(edge.templateBy(answerer), this.options.formatOf);
    const prompts = await unlessAborted(promptsOf(edge, answerer, conversation, model), gone);
    if (!prompts) throw new HttpError(499, "cancelled", "the client has gone");
    return { answerer, model, prompts };
  }

  /** Its places are given back when it is read to its end, or left: the caller begins to read it at once. */
  private async *run(
    edge: Edge,
    choices: readonly ChoiceRequest[],
    answerer: Answerer,
    signal: AbortSignal,
    requestId: string,
  ): AsyncGenerator<ConversationEvent, void, undefined> {
    const { observe } = this.options;
    try {
      const asked = choices.map(({ request, reading }) => ({
        request: { ...request, answerer, ...(observe ? { observer: observe(requestId) } : {}) },
        reading,
      }));
      yield* allChoices(edge, asked, signal);
    } finally {
      this.turnstile.leave(choices.length);
    }
  }

  /**
   * Where only one model is served it answers, whatever it is called.
   * @throws HttpError 404
   */
  edgeFor(name: string | undefined): Edge {
    const { edges } = this;
    if (name === undefined || edges.length === 1) return edges[0]!;
    const edge = edges.find((one) => one.modelName === name);
    if (!edge) throw noModel(name, edges);
    return edge;
  }
}

async function* namingFormat(
  events: AsyncGenerator<ConversationEvent, void, undefined>,
  conversation: Conversation,
): AsyncGenerator<ConversationEvent, void, undefined> {
  try {
    yield* events;
  } catch (error) {
    throw ofFormat(error, conversation);
  }
}

/** A grammar is made of what a client asked for: what is wrong with it is told by the name of the field that asked. */
function ofFormat(error: unknown, { format, tools }: Conversation): unknown {
  const param = format?.param ?? tools[0]?.param ?? null;
  if (param === null) return error;
  const ours = error instanceof SettingError && error.setting === "grammar";
  if (!ours && !(error instanceof CloudError && ofGrammar(error))) return error;
  const code = error instanceof CloudError ? asHttpError(error).code : "invalid_value";
  return new HttpError(400, code, `${param}: ${messageOf(error)}`, param);
}

/** A cloud tells no setting by its name. */
function ofGrammar({ code, message }: CloudError): boolean {
  return code === "grammar_limit" || (code === "bad_setting" && /\bgrammar\b|^EBNF/.test(message));
}

/** Those of text are not known yet. */
function tokensOf(prompts: readonly ReadPrompt[]): number {
  return prompts.reduce((sum, { prompt }) => sum + (prompt instanceof Int32Array ? prompt.length : 0), 0);
}

/** A chat is read here, once for all of its choices: how it ends says how the answer begins. */
async function promptsOf(
  edge: Edge,
  answerer: Answerer,
  conversation: Conversation,
  model: AnsweringModel,
): Promise<readonly ReadPrompt[]> {
  if (!isChat(conversation)) return conversation.prompts.map((prompt) => ({ prompt, thinkingOpen: false }));
  const tokenizer = edge.tokenizerBy(answerer.opener);
  return Promise.all(
    promptRequests(conversation, model).map(async (request) => {
      const prompt = await edge.readPrompt({ ...request, answerer });
      return { prompt, thinkingOpen: model.format.thinkingOpen(readTail(prompt, tokenizer)) };
    }),
  );
}

function noModel(name: string, edges: readonly Edge[]): HttpError {
  const names = edges.filter(({ model }) => model !== null).map(({ modelName }) => modelName);
  const there = names.length > 0 && edges.length > 1 ? `; there are ${names.join(", ")}` : "";
  return new HttpError(
    404,
    "model_not_found",
    `there is no model ${JSON.stringify(name)} here${there}`,
    "model",
  );
}
