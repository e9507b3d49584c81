import type { AnswerRequest, Edge } from "../../edge/edge.ts";
import type { AnswerObserver } from "../../edge/observer.ts";
import type { Seed } from "../../sampling/random.ts";
import { Turnstile } from "../../util/turnstile.ts";
import { HttpError } from "../errors.ts";
import { chatDemand, parseChat } from "./chat.ts";
import { type ChatShape, chatChunks, chatCompletion, type ResponseHead } from "./chat-response.ts";
import { allChoices, type ChoiceEvent, gathered } from "./choice.ts";
import { completion, completionChunks } from "./completion-response.ts";
import { completionDemands, parseCompletion } from "./completions.ts";
import { commonRequest } from "./request.ts";

/** OpenAI's API over one edge, without a socket: parsed bodies in, objects or streams of objects out. */

export interface EndpointOptions {
  readonly edge: Edge;
  readonly freshSeed: () => Seed;
  /** characters that no other call returns, for ids */
  readonly freshId: () => string;
  /** seconds since 1970 */
  readonly nowSeconds: () => number;
  /** answers that are made at a time; others wait, up to `waiting` of them */
  readonly concurrent: number;
  readonly waiting: number;
  /** called for each answer of a request: counts, logs or traces it; default: nothing does */
  readonly observe?: (requestId: string) => AnswerObserver;
}

export type Reply = (
  | { readonly kind: "object"; readonly body: unknown }
  /** objects as they come; an error may end it, also before the first */
  | { readonly kind: "stream"; readonly chunks: AsyncGenerator<unknown, void, undefined> }
) & {
  /** keywords of the request's schemas that the answer does not keep to, in words: the client has allowed that */
  readonly relaxed?: readonly string[];
};

export class Endpoint {
  private readonly options: EndpointOptions;
  private readonly turnstile: Turnstile;

  constructor(options: EndpointOptions) {
    this.options = options;
    this.turnstile = new Turnstile(options.concurrent, options.waiting);
  }

  /** answers that are being made, and requests that wait */
  get load(): { readonly active: number; readonly waiting: number } {
    return { active: this.turnstile.inside, waiting: this.turnstile.waiting };
  }

  models(): unknown {
    return { object: "list", data: [this.model()] };
  }

  /** @throws HttpError 404 */
  modelNamed(name: string): unknown {
    if (name === this.options.edge.modelName) return this.model();
    throw new HttpError(404, "model_not_found", `there is no model ${JSON.stringify(name)} here`, "model");
  }

  /** @throws HttpError, SettingError, TemplateError, CloudError */
  async chat(body: unknown, signal: AbortSignal, requestId: string): Promise<Reply> {
    const { edge, freshId, freshSeed } = this.options;
    const chat = parseChat(body);
    const { readsCalls, relaxed, ...demand } = chatDemand(chat, edge.chatTemplate);
    const common = commonRequest(chat, freshSeed);
    const count = chat.n ?? 1;
    const requests = Array.from({ length: count }, (_, choice) => ({ ...common(choice), ...demand }));
    const head = this.head("chatcmpl");
    const shape: ChatShape = {
      tokenizer: edge.tokenizer,
      wantsLogprobs: chat.logprobs ?? false,
      callId: () => `call_${freshId()}`,
    };
    const events = this.run(this.observed(requests, requestId), readsCalls, signal);
    if (!chat.stream) {
      return { kind: "object", body: chatCompletion(head, await gathered(count, events), shape), relaxed };
    }
    const includeUsage = chat.stream_options?.include_usage ?? false;
    return { kind: "stream", chunks: chatChunks(head, count, events, includeUsage, shape), relaxed };
  }

  /** @throws HttpError, SettingError, CloudError */
  async complete(body: unknown, signal: AbortSignal, requestId: string): Promise<Reply> {
    const { edge, freshSeed } = this.options;
    const given = parseCompletion(body);
    const common = commonRequest(given, freshSeed);
    const each = given.n ?? 1;
    // Choices of the first prompt come first.
    const { demands, relaxed } = completionDemands(given);
    const requests = demands.flatMap((demand) =>
      Array.from({ length: each }, (_, choice) => ({ ...common(choice), ...demand })),
    );
    const head = this.head("cmpl");
    const shape = { tokenizer: edge.tokenizer, logprobs: given.logprobs ?? null, choicesPerPrompt: each };
    const events = this.run(this.observed(requests, requestId), false, signal);
    if (!given.stream) {
      return {
        kind: "object",
        body: completion(head, await gathered(requests.length, events), shape),
        relaxed,
      };
    }
    const includeUsage = given.stream_options?.include_usage ?? false;
    return {
      kind: "stream",
      chunks: completionChunks(head, requests.length, events, includeUsage, shape),
      relaxed,
    };
  }

  private observed(requests: readonly AnswerRequest[], requestId: string): AnswerRequest[] {
    const { observe } = this.options;
    return requests.map((request) => (observe ? { ...request, observer: observe(requestId) } : request));
  }

  private head(kind: string): ResponseHead {
    const { edge, freshId, nowSeconds } = this.options;
    return { id: `${kind}-${freshId()}`, created: nowSeconds(), model: edge.modelName };
  }

  private model(): unknown {
    const { edge, nowSeconds } = this.options;
    const { modelName: id, contextTokens } = edge;
    return {
      id,
      object: "model",
      created: nowSeconds(),
      owned_by: "picospec",
      context_length: contextTokens,
    };
  }

  /** All choices of a request begin together, when it is their turn. */
  private async *run(
    requests: readonly AnswerRequest[],
    readsCalls: boolean,
    signal: AbortSignal,
  ): AsyncGenerator<ChoiceEvent, void, undefined> {
    await this.turnstile.enter(requests.length, signal);
    try {
      yield* allChoices(this.options.edge, requests, readsCalls, signal);
    } finally {
      this.turnstile.leave(requests.length);
    }
  }
}
