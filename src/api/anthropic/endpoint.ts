import type { Answers } from "../answers.ts";
import { gathered } from "../choices.ts";
import type { HttpError } from "../errors.ts";
import type { Asked, Face, Reply, Route } from "../face.ts";
import { messageConversation, promptConversation } from "./conversation.ts";
import { type MessageShape, messageEvents, wholeMessage } from "./response.ts";
import { parseCount, parseMessage } from "./schema/request.ts";

/** Anthropic's Messages without a socket. Its models are listed beside OpenAI's, in one form for both. */

export interface AnthropicOptions {
  readonly answers: Answers;
  /** characters that no other call returns, for ids */
  readonly freshId: () => string;
}

/** By status; of others below 500 the request is wrong, and from there on the server. */
const ERROR_TYPES: Readonly<Record<number, string>> = {
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  413: "request_too_large",
  429: "rate_limit_error",
  503: "overloaded_error",
  504: "timeout_error",
};

export class Anthropic implements Face {
  readonly below = ["/v1/messages"];
  readonly routes: readonly Route[] = [
    { method: "POST", path: "/v1/messages", answer: (asked) => this.message(asked) },
    { method: "POST", path: "/v1/messages/count_tokens", answer: (asked) => this.count(asked) },
  ];
  private readonly options: AnthropicOptions;

  constructor(options: AnthropicOptions) {
    this.options = options;
  }

  errorBody({ status, message }: HttpError, requestId: string): object {
    const type = ERROR_TYPES[status] ?? (status < 500 ? "invalid_request_error" : "api_error");
    return { type: "error", error: { type, message }, request_id: requestId };
  }

  /** @throws HttpError, SettingError, TemplateError, CloudError */
  private async message(asked: Asked): Promise<Reply> {
    const { answers, freshId } = this.options;
    const body = parseMessage(asked.body, asked.ignored);
    const begun = await answers.begin(messageConversation(body), asked);
    const shape: MessageShape = {
      ...{ id: `msg_${freshId()}`, model: begun.model, promptTokens: begun.promptTokens },
      callId: () => `toolu_${freshId()}`,
      signature: freshId(),
    };
    if (!body.stream) {
      const [choice] = await gathered(begun.count, begun.events);
      return { kind: "object", body: wholeMessage(choice!, shape), begun };
    }
    return {
      ...{ kind: "events", events: messageEvents(begun.events, shape), last: null, begun },
      failed: (error) => ({ name: "error", data: this.errorBody(error, asked.requestId) }),
    };
  }

  /** Of a prompt, without an answer. @throws HttpError, SettingError, TemplateError, CloudError */
  private async count(asked: Asked): Promise<Reply> {
    const body = parseCount(asked.body, asked.ignored);
    const tokens = await this.options.answers.promptTokens(promptConversation(body), asked);
    return { kind: "object", body: { input_tokens: tokens } };
  }
}
