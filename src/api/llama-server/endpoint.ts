import type { Answerer, Edge } from "../../edge/edge.ts";
import { DEFAULT_SAMPLER } from "../../sampling/settings.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import { unlessAborted } from "../../util/abort.ts";
import type { Answers } from "../answers.ts";
import type { Conversation } from "../conversation.ts";
import { HttpError } from "../errors.ts";
import type { Asked, Face, Reply, Route } from "../face.ts";
import { llamaNames } from "../llama-names.ts";
import { promptRequests } from "../requests.ts";
import type { Ignored } from "../schema/parse.ts";
import { parseDetokenize, parseTokenize } from "./schema.ts";

/** What clients of llama.cpp's server ask about texts: their tokens, a conversation as the model reads it, the model. */

export interface LlamaServerOptions {
  readonly answers: Answers;
  /** a chat in the form of /v1/chat/completions @throws HttpError 400 */
  readonly conversationOf: (body: unknown, ignored: Ignored) => Conversation;
}

/** The model that would answer. */
interface Reading {
  readonly edge: Edge;
  readonly answerer: Answerer;
  readonly tokenizer: Tokenizer;
}

export class LlamaServer implements Face {
  readonly routes: readonly Route[] = [
    { method: "POST", path: "/tokenize", answer: (asked) => this.tokenize(asked) },
    { method: "POST", path: "/detokenize", answer: (asked) => this.detokenize(asked) },
    { method: "POST", path: "/apply-template", answer: (asked) => this.applyTemplate(asked) },
    { method: "POST", path: "/v1/chat/completions/input_tokens", answer: (asked) => this.count(asked) },
    { method: "GET", path: "/props", answer: (asked) => this.props(asked) },
  ];
  readonly below = this.routes.map(({ path }) => path).filter((path) => !path.startsWith("/v1/"));
  private readonly options: LlamaServerOptions;

  constructor(options: LlamaServerOptions) {
    this.options = options;
  }

  errorBody({ status, message, type }: HttpError): object {
    return { error: { code: status, message, type } };
  }

  private async tokenize(asked: Asked): Promise<Reply> {
    const body = parseTokenize(asked.body, asked.ignored);
    const { edge, answerer, tokenizer } = await this.reading(body.model, asked);
    const special = body.parse_special ?? true;
    const read = await edge.readPrompt({ prompt: body.content, special, answerer });
    const tokens = [...(tokenizer.addsBegin && !body.add_special ? read.subarray(1) : read)];
    if (!body.with_pieces) return object({ tokens });
    return object({ tokens: tokens.map((id) => ({ id, piece: pieceOf(id, tokenizer) })) });
  }

  private async detokenize(asked: Asked): Promise<Reply> {
    const body = parseDetokenize(asked.body, asked.ignored);
    const { tokenizer } = await this.reading(body.model, asked);
    const { vocabularySize } = tokenizer;
    const beyond = body.tokens.findIndex((id) => id >= vocabularySize);
    if (beyond >= 0) {
      const param = `tokens.${beyond}`;
      const message = `${param}: must be below ${vocabularySize}, which is what the vocabulary has`;
      throw new HttpError(400, "invalid_value", message, param);
    }
    return object({ content: textOf(body.tokens, tokenizer) });
  }

  private async applyTemplate(asked: Asked): Promise<Reply> {
    const { edge, request } = await this.prompt(asked);
    return object({ prompt: await edge.promptText(request) });
  }

  private async count(asked: Asked): Promise<Reply> {
    const { edge, request } = await this.prompt(asked);
    const { length } = await edge.readPrompt(request);
    return object({ object: "response.input_tokens", input_tokens: length });
  }

  private async props(asked: Asked): Promise<Reply> {
    const { answers } = this.options;
    const { edge, answerer, tokenizer } = await this.reading(asked.query.get("model"), asked);
    const { name, contextTokens } = answerer.opener.model;
    const params = llamaNames.map(([field, setting]) => [field, DEFAULT_SAMPLER[setting]]);
    return object({
      default_generation_settings: {
        n_ctx: contextTokens,
        params: { ...Object.fromEntries(params), n_predict: -1 },
      },
      total_slots: answers.places,
      ...{ model_alias: name, model_path: name },
      chat_template: edge.templateBy(answerer) ?? "",
      ...{ bos_token: tokenizer.beginText, eos_token: tokenizer.endText },
      modalities: { vision: false, audio: false },
      build_info: "picospec",
    });
  }

  /** The prompt of a chat, before it is read. */
  private async prompt(asked: Asked) {
    const { answers, conversationOf } = this.options;
    const conversation = conversationOf(asked.body, asked.ignored);
    const { edge, answerer } = await this.reading(conversation.model, asked);
    const [request] = promptRequests(conversation, answers.modelOf(edge));
    return { edge, request: { ...request!, answerer } };
  }

  /** @throws HttpError 404; CloudError */
  private async reading(model: string | null | undefined, { gone }: Asked): Promise<Reading> {
    const edge = this.options.answers.edgeFor(model ?? undefined);
    const answerer = await unlessAborted(edge.answerer(), gone);
    if (!answerer) throw new HttpError(499, "cancelled", "the client has gone");
    return { edge, answerer, tokenizer: edge.tokenizerBy(answerer.opener) };
  }
}

/** Bytes, or the text that a special token goes by. */
function bytesOf(id: number, tokenizer: Tokenizer): Uint8Array {
  const piece = tokenizer.piece(id);
  return piece.length > 0 ? piece : new TextEncoder().encode(tokenizer.specialText?.(id) ?? "");
}

/** Text, or the bytes of a part of a character. */
function pieceOf(id: number, tokenizer: Tokenizer): string | number[] {
  const bytes = bytesOf(id, tokenizer);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return [...bytes];
  }
}

function textOf(tokens: readonly number[], tokenizer: Tokenizer): string {
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const parts = tokens.map((id) => decoder.decode(bytesOf(id, tokenizer), { stream: true }));
  return parts.join("") + decoder.decode();
}

function object(body: object): Reply {
  return { kind: "object", body };
}
