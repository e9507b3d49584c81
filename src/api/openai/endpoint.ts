import type { Edge } from "../../edge/edge.ts";
import type { Answers, BegunAnswer } from "../answers.ts";
import { gathered } from "../choices.ts";
import { chatConversation } from "./chat.ts";
import { type ChatShape, chatChunks, chatCompletion, type ResponseHead } from "./chat-response.ts";
import { type CompletionShape, completion, completionChunks } from "./completion-response.ts";
import { completionConversation } from "./completions.ts";
import { parseChat } from "./schema/chat.ts";
import { parseCompletion } from "./schema/completion.ts";

/** OpenAI's API without a socket: parsed bodies in, objects or streams of objects out. */

export interface OpenAiOptions {
  readonly answers: Answers;
  /** characters that no other call returns, for ids */
  readonly freshId: () => string;
  /** seconds since 1970 */
  readonly nowSeconds: () => number;
}

export type Reply = (
  | { readonly kind: "object"; readonly body: unknown }
  /** objects as they come; an error may end it, also before the first */
  | { readonly kind: "stream"; readonly chunks: AsyncGenerator<unknown, void, undefined> }
) &
  Pick<BegunAnswer, "relaxed" | "answeredBy">;

export class OpenAi {
  private readonly options: OpenAiOptions;

  constructor(options: OpenAiOptions) {
    this.options = options;
  }

  models(): unknown {
    return { object: "list", data: this.options.answers.known.map((edge) => this.model(edge)) };
  }

  /** @throws HttpError 404 */
  modelNamed(name: string): unknown {
    return this.model(this.options.answers.named(name));
  }

  /** @throws HttpError, SettingError, TemplateError, CloudError */
  async chat(body: unknown, signal: AbortSignal, requestId: string): Promise<Reply> {
    const { answers, freshId } = this.options;
    const chat = parseChat(body);
    const begun = await answers.begin(chatConversation(chat), signal, requestId);
    const { count, events, relaxed, answeredBy } = begun;
    const head = this.head("chatcmpl", begun);
    const shape: ChatShape = {
      tokenizer: begun.tokenizer,
      wantsLogprobs: chat.logprobs ?? false,
      callId: () => `call_${freshId()}`,
      functions: (chat.functions?.length ?? 0) > 0,
    };
    if (!chat.stream) {
      const whole = chatCompletion(head, await gathered(count, events), shape);
      return { kind: "object", body: whole, relaxed, answeredBy };
    }
    const includeUsage = chat.stream_options?.include_usage ?? false;
    const chunks = chatChunks(head, count, events, includeUsage, shape);
    return { kind: "stream", chunks, relaxed, answeredBy };
  }

  /** @throws HttpError, SettingError, CloudError */
  async complete(body: unknown, signal: AbortSignal, requestId: string): Promise<Reply> {
    const given = parseCompletion(body);
    const begun = await this.options.answers.begin(completionConversation(given), signal, requestId);
    const { count, events, relaxed, answeredBy } = begun;
    const head = this.head("cmpl", begun);
    const shape: CompletionShape = {
      tokenizer: begun.tokenizer,
      logprobs: given.logprobs ?? null,
      choicesPerPrompt: given.n ?? 1,
    };
    if (!given.stream) {
      const whole = completion(head, await gathered(count, events), shape);
      return { kind: "object", body: whole, relaxed, answeredBy };
    }
    const includeUsage = given.stream_options?.include_usage ?? false;
    const chunks = completionChunks(head, count, events, includeUsage, shape);
    return { kind: "stream", chunks, relaxed, answeredBy };
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

  private model(edge: Edge): unknown {
    return {
      id: edge.modelName,
      object: "model",
      created: this.options.nowSeconds(),
      owned_by: "picospec",
      context_length: edge.contextTokens,
    };
  }
}

/** Marks text of the small model alone, in OpenAI's field for what made an answer. */
const EDGE_FINGERPRINT = "picospec-edge-alone";
