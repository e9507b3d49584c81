import type { AnsweredToken } from "../../../edge/edge.ts";
import type { Tokenizer } from "../../../text/tokenizer.ts";
import type { ChoiceEnd, ConversationEvent } from "../../conversation.ts";
import type { HttpError } from "../../errors.ts";
import { type TokenLogprob, tokenLogprobs } from "../../logprobs.ts";
import { timingsOf, usageOf } from "../usage.ts";
import { headFields, type ResponseHead, summaryOf } from "./head.ts";
import { CallItem, type ItemEvent, MessageItem, type OutputItem, ReasoningItem } from "./output-items.ts";
import type { StoredItem } from "./store.ts";
import type { ToolName } from "./tools.ts";

/** Writes an answer as the events of a response, in order; the response as it is so far is what they add up to. */

export interface WriterShape {
  readonly tokenizer: Tokenizer;
  readonly wantsLogprobs: boolean;
  /** by the name that the model is shown */
  readonly names: ReadonlyMap<string, ToolName>;
  /** an id for an item or a call, new each time @param kind how it begins */
  readonly freshId: (kind: string) => string;
  readonly nowSeconds: () => number;
}

type Status = "in_progress" | "completed" | "incomplete" | "failed" | "cancelled";

export interface ResponseEvent extends ItemEvent {
  readonly sequence_number: number;
}

export class ResponseWriter {
  private readonly head: Record<string, unknown>;
  private readonly request: ResponseHead;
  private readonly shape: WriterShape;
  private readonly done: StoredItem[] = [];
  private open: OutputItem | null = null;
  private sequence = 0;
  private status: Status = "in_progress";
  private failure: ResponseEvent | null = null;
  /** of the response, besides its head, since it has ended */
  private ended: Record<string, unknown> = {};
  /** text that no message has begun with yet: between a thought and a call there may be nothing but space */
  private space = "";
  private logprobs: TokenLogprob[] = [];

  constructor(head: ResponseHead, shape: WriterShape) {
    this.head = headFields(head);
    this.request = head;
    this.shape = shape;
  }

  /** Without its output. */
  get response(): Record<string, unknown> {
    const blank = { error: null, incomplete_details: null, usage: null, completed_at: null };
    return { ...this.head, status: this.status, ...blank, ...this.ended };
  }

  get output(): readonly StoredItem[] {
    return this.open ? [...this.done, this.open.item("in_progress")] : this.done;
  }

  get whole(): Record<string, unknown> {
    return { ...this.response, output: this.output };
  }

  begin(): ResponseEvent[] {
    return ["response.created", "response.in_progress"].map((type) =>
      this.event({ type, response: this.whole }),
    );
  }

  push(event: ConversationEvent): ResponseEvent[] {
    switch (event.kind) {
      case "text":
        return this.text(event.text, event.tokens);
      case "reasoning":
        return event.text === "" ? [] : this.thought(event.text);
      case "call": {
        const { names, freshId } = this.shape;
        const tool = names.get(event.name) ?? { kind: "function", name: event.name, namespace: null };
        const id = freshId(tool.kind === "custom" ? "ctc" : "fc");
        return this.add(new CallItem(id, event.id ?? freshId("call"), tool));
      }
      case "arguments":
        return this.open instanceof CallItem ? this.told(this.open.push(event.text)) : [];
      case "end":
        return this.end(event.end);
      default:
        return event satisfies never;
    }
  }

  /** @returns the event that ends the stream */
  fail({ code, status, message }: HttpError): ResponseEvent {
    if (this.failure) return this.failure;
    const known = code === "context_length_exceeded" || code === "rate_limit_exceeded";
    const told = known ? code : status < 500 ? "invalid_prompt" : "server_error";
    this.close("incomplete");
    this.status = "failed";
    this.ended = { error: { code: told, message } };
    this.failure = this.event({ type: "response.failed", response: this.whole });
    return this.failure;
  }

  private text(text: string, tokens: readonly AnsweredToken[]): ResponseEvent[] {
    const { wantsLogprobs, tokenizer } = this.shape;
    if (wantsLogprobs) this.logprobs.push(...tokenLogprobs(tokens, tokenizer));
    if (!(this.open instanceof MessageItem)) {
      this.space += text;
      return this.space.trim() === "" ? [] : this.message();
    }
    return text === "" ? [] : this.delta(this.open, text);
  }

  /** A message begins, with what there is of it. */
  private message(): ResponseEvent[] {
    const text = this.space;
    const message = new MessageItem(this.shape.freshId("msg"));
    return [...this.add(message), ...this.delta(message, text)];
  }

  private delta(message: MessageItem, text: string): ResponseEvent[] {
    const logprobs = this.logprobs;
    this.logprobs = [];
    return this.told(message.push(text, logprobs));
  }

  private thought(text: string): ResponseEvent[] {
    if (this.open instanceof ReasoningItem) return this.told(this.open.push(text));
    const { body } = this.request;
    const shape = {
      summary: summaryOf(body) !== null,
      seals: body.include?.includes("reasoning.encrypted_content") ?? false,
    };
    const item = new ReasoningItem(this.shape.freshId("rs"), shape);
    return [...this.add(item), ...this.told(item.push(text))];
  }

  private end(end: ChoiceEnd): ResponseEvent[] {
    const cut = end.reason === "length" || end.reason === "context";
    const cancelled = end.reason === "cancelled";
    // An answer says something, if only nothing.
    const silent = this.open === null && this.done.length === 0;
    const last = silent ? this.message() : [];
    const closed = this.close(cut || cancelled ? "incomplete" : "completed");
    this.status = cancelled ? "cancelled" : cut ? "incomplete" : "completed";
    this.ended = {
      usage: responseUsage(end),
      timings: timingsOf(end),
      ...(cut ? { incomplete_details: { reason: "max_output_tokens" } } : {}),
      ...(this.status === "completed" ? { completed_at: this.shape.nowSeconds() } : {}),
    };
    const type = this.status === "completed" ? "response.completed" : "response.incomplete";
    return [...last, ...closed, this.event({ type, response: this.whole })];
  }

  private add(item: OutputItem): ResponseEvent[] {
    const closed = this.close("completed");
    this.open = item;
    this.space = "";
    const added = this.event({
      ...{ type: "response.output_item.added", output_index: this.done.length },
      item: item.item("in_progress"),
    });
    return [...closed, added, ...this.told(item.begin())];
  }

  /** What is open is done. */
  private close(status: "completed" | "incomplete"): ResponseEvent[] {
    if (!this.open) return [];
    // Tokens that said nothing more, such as the end.
    if (this.open instanceof MessageItem && this.logprobs.length > 0) this.delta(this.open, "");
    const events = this.told(this.open.end());
    const item = this.open.item(status);
    const output_index = this.done.length;
    this.done.push(item);
    this.open = null;
    return [...events, this.event({ type: "response.output_item.done", output_index, item })];
  }

  /** Of the open item. */
  private told(events: readonly ItemEvent[]): ResponseEvent[] {
    const { id: item_id } = this.open!;
    const output_index = this.done.length;
    return events.map((event) => this.event({ ...event, item_id, output_index }));
  }

  private event(event: ItemEvent): ResponseEvent {
    return { ...event, sequence_number: this.sequence++ };
  }
}

function responseUsage(end: ChoiceEnd): object {
  const usage = usageOf([end], 1);
  return {
    input_tokens: usage.prompt_tokens,
    input_tokens_details: { cached_tokens: usage.prompt_tokens_details.cached_tokens },
    output_tokens: usage.completion_tokens,
    output_tokens_details: { reasoning_tokens: usage.completion_tokens_details.reasoning_tokens },
    total_tokens: usage.total_tokens,
  };
}
