import type { AnswerEnd, AnsweredToken } from "../../edge/edge.ts";
import type { ToolCall } from "../../text/conversation.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import type { WrittenCall } from "../../text/tool-calls.ts";
import type { WholeChoice } from "../choices.ts";
import type { ConversationEvent } from "../conversation.ts";
import { chatLogprobs } from "./logprobs.ts";
import { finishReason, timingsOf, usageOf } from "./usage.ts";

/** Chat completions as OpenAI's API answers them. */

/** What all objects of one response have in common. */
export interface ResponseHead {
  readonly id: string;
  /** seconds since 1970 */
  readonly created: number;
  readonly model: string;
  /** only where the small model alone answers */
  readonly system_fingerprint?: string;
}

/** In each object of a response. */
export function fingerprintOf({
  system_fingerprint,
}: ResponseHead): Pick<ResponseHead, "system_fingerprint"> {
  return system_fingerprint === undefined ? {} : { system_fingerprint };
}

export interface ChatShape {
  readonly tokenizer: Tokenizer;
  readonly wantsLogprobs: boolean;
  /** an id for a call, new each time */
  readonly callId: () => string;
}

export function chatCompletion(
  head: ResponseHead,
  choices: readonly WholeChoice[],
  shape: ChatShape,
): unknown {
  const ends = choices.map(({ end }) => end);
  return {
    ...{ id: head.id, object: "chat.completion", created: head.created, model: head.model },
    ...fingerprintOf(head),
    choices: choices.map(({ text, tokens, calls, end }, index) => ({
      index,
      message: {
        role: "assistant",
        content: text === "" && calls.length > 0 ? null : text,
        ...(calls.length > 0 ? { tool_calls: calls.map((call) => toolCall(call, shape)) } : {}),
        refusal: null,
      },
      logprobs: shape.wantsLogprobs ? logprobsOf(tokens, shape) : null,
      finish_reason: finishReason(end, calls.length > 0),
    })),
    usage: usageOf(ends, ends.length),
    timings: timingsOf(ends[0]!),
  };
}

/** The chunks of a streamed response, in order. */
export async function* chatChunks(
  head: ResponseHead,
  count: number,
  events: AsyncIterable<ConversationEvent>,
  includeUsage: boolean,
  shape: ChatShape,
): AsyncGenerator<unknown, void, undefined> {
  const called = new Array<number>(count).fill(0);
  const ends = new Array<AnswerEnd>(count);
  const chunk = (choices: unknown[], more: object = {}) => ({
    ...{ id: head.id, object: "chat.completion.chunk", created: head.created, model: head.model },
    ...fingerprintOf(head),
    choices,
    ...(includeUsage ? { usage: null } : {}),
    ...more,
  });
  const choiceOf = (
    index: number,
    delta: object,
    logprobs: unknown = null,
    finish: string | null = null,
  ) => ({
    ...{ index, delta, logprobs, finish_reason: finish },
  });
  for (let index = 0; index < count; index++) {
    yield chunk([choiceOf(index, { role: "assistant", content: "", refusal: null })]);
  }
  for await (const event of events) {
    const index = event.choice;
    switch (event.kind) {
      case "text": {
        const { text, tokens } = event;
        const logprobs = shape.wantsLogprobs ? logprobsOf(tokens, shape) : null;
        if (text === "" && !logprobs?.content.length) break;
        yield chunk([choiceOf(index, { content: text }, logprobs)]);
        break;
      }
      case "call": {
        called[index] = event.call + 1;
        const begun = { id: shape.callId(), type: "function", function: { name: event.name, arguments: "" } };
        yield chunk([choiceOf(index, { tool_calls: [{ index: event.call, ...begun }] })]);
        break;
      }
      case "arguments": {
        const more = { index: event.call, function: { arguments: event.text } };
        yield chunk([choiceOf(index, { tool_calls: [more] })]);
        break;
      }
      case "end": {
        ends[index] = event.end;
        const finish = finishReason(event.end, called[index]! > 0);
        yield chunk([choiceOf(index, {}, null, finish)], { timings: timingsOf(event.end) });
        break;
      }
      default:
        event satisfies never;
    }
  }
  if (includeUsage) yield chunk([], { usage: usageOf(ends, count) });
}

function logprobsOf(tokens: readonly AnsweredToken[], { tokenizer }: ChatShape) {
  return { content: chatLogprobs(tokens, tokenizer), refusal: null };
}

function toolCall({ name, arguments: args }: WrittenCall, { callId }: ChatShape): ToolCall {
  return { id: callId(), type: "function", function: { name, arguments: args } };
}
