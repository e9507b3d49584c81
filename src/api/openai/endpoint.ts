import type { Edge } from "../../edge/edge.ts";
import type { Answers, BegunAnswer } from "../answers.ts";
import { gathered } from "../choices.ts";
import type { ErrorBody, HttpError } from "../errors.ts";
import type { Asked, Face, Reply, Route } from "../face.ts";
import { chatConversation } from "./chat.ts";
import { type ChatShape, chatChunks, chatCompletion, type ResponseHead } from "./chat-response.ts";
import { type CompletionShape, completion, completionChunks, promptText } from "./completion-response.ts";
import { completionConversation } from "./completions.ts";
import { ROUTES_OF_OTHERS } from "./others.ts";
import { Responses } from "./responses/endpoint.ts";
import { MemoryStore, type ResponseStore } from "./responses/store.ts";
import { parseChat } from "./schema/chat.ts";
import { parseCompletion } from "./schema/completion.ts";

/** OpenAI's API without a socket: parsed bodies in, objects or streams of objects out. */

export interface OpenAiOptions {
  readonly answers: Answers;
  /** where responses are kept; default: in memory */
  readonly responses?: ResponseStore;
  /** characters that no other call returns, for ids */
  readonly freshId: () => string;
  /** seconds since 1970 */
  readonly nowSeconds: () => number;
  /** the date and time, ISO 8601 */
  readonly nowText: () => string;
}

export class OpenAi implements Face {
  readonly below = ["/v1/"];
  readonly routes: readonly Route[];
  private readonly options: OpenAiOptions;

  constructor(options: OpenAiOptions) {
    this.options = options;
    const { responses: store = new MemoryStore() } = options;
    this.routes = [
      { method: "POST", path: "/v1/chat/completions", answer: (asked) => this.chat(asked) },
      { method: "POST", path: "/v1/completions", answer: (asked) => this.complete(asked) },
      { method: "GET", path: "/v1/models", answer: () => this.models() },
      { method: "GET", path: "/v1/models/:name{.+}", answer: ({ params }) => this.modelNamed(params.name!) },
      ...new Responses({ ...options, store }).routes,
      ...ROUTES_OF_OTHERS,
    ];
  }

  errorBody(error: HttpError): ErrorBody {
    return error.body;
  }

  private models(): Reply {
    const data = this.options.answers.known.map((edge) => this.model(edge));
    const ids = { first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null };
    return { kind: "object", body: { object: "list", data, has_more: false, ...ids } };
  }

  /** @throws HttpError 404 */
  private modelNamed(name: string): Reply {
    return { kind: "object", body: this.model(this.options.answers.named(name)) };
  }

  /** @throws HttpError, SettingError, TemplateError, CloudError */
  private async chat(asked: Asked): Promise<Reply> {
    const { answers, freshId } = this.options;
    const chat = parseChat(asked.body, asked.ignored);
    const begun = await answers.begin(chatConversation(chat), asked);
    const { count, events } = begun;
    const head = this.head("chatcmpl", begun);
    const shape: ChatShape = {
      tokenizer: begun.tokenizer,
      wantsLogprobs: chat.logprobs ?? false,
      callId: () => `call_${freshId()}`,
      functions: (chat.functions?.length ?? 0) > 0,
    };
    if (!chat.stream) {
      const whole = chatCompletion(head, await gathered(count, events), shape);
      return { kind: "object", body: whole, begun };
    }
    const includeUsage = chat.stream_options?.include_usage ?? false;
    const chunks = chatChunks(head, count, events, includeUsage, shape);
    return { ...streamOf(chunks), begun };
  }

  /** @throws HttpError, SettingError, CloudError */
  private async complete(asked: Asked): Promise<Reply> {
    const given = parseCompletion(asked.body, asked.ignored);
    const conversation = completionConversation(given);
    const begun = await this.options.answers.begin(conversation, asked);
    const { count, events } = begun;
    const head = this.head("cmpl", begun);
    const shape: CompletionShape = {
      tokenizer: begun.tokenizer,
      logprobs: given.logprobs ?? null,
      choicesPerPrompt: given.n ?? 1,
      echoed: given.echo
        ? conversation.prompts.map((prompt) => promptText(prompt as string | Int32Array, begun.tokenizer))
        : null,
    };
    if (!given.stream) {
      const whole = completion(head, await gathered(count, events), shape);
      return { kind: "object", body: whole, begun };
    }
    const includeUsage = given.stream_options?.include_usage ?? false;
    const chunks = completionChunks(head, count, events, includeUsage, shape);
    return { ...streamOf(chunks), begun };
  }

  private head(kind: string, { model, answeredBy }: BegunAnswer): ResponseHead {
    const { freshId, nowSeconds } = this.options;
    return {
      id: `${kind}-${freshId()}`,
      created: nowSeconds(),
      model,
      ...(answeredBy === "edge" ? { system_fingerprint: EDGE_FINGERPRINT } : {}),
    };
  }

  /** With what Anthropic's clients look for beside OpenAI's own: both ask at the same path. */
  private model(edge: Edge) {
    const { nowSeconds, nowText } = this.options;
    const created = nowSeconds();
    return {
      id: edge.modelName,
      ...{ object: "model", created, owned_by: "picospec" },
      ...{ type: "model", display_name: edge.modelName, created_at: nowText() },
      context_length: edge.contextTokens,
    };
  }
}

/** A stream of objects, as OpenAI's clients read it. */
function streamOf(chunks: AsyncIterable<unknown>): Extract<Reply, { kind: "events" }> {
  async function* events() {
    for await (const data of chunks) yield { data };
  }
  return { kind: "events", events: events(), last: "[DONE]", failed: ({ body }) => ({ data: body }) };
}

/** Marks text of the small model alone, in OpenAI's field for what made an answer. */
const EDGE_FINGERPRINT = "picospec-edge-alone";
