import type { AnsweredToken } from "../../edge/edge.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import type { WholeChoice } from "../choices.ts";
import type { ChoiceEnd, ConversationEvent } from "../conversation.ts";
import { tokenLogprobs } from "../logprobs.ts";
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
  /** the client is from before there were tools: it asked with `functions`, and knows one call an answer */
  readonly functions: boolean;
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
    choices: choices.map((choice, index) => ({
      index,
      message: messageOf(choice, shape),
      logprobs: shape.wantsLogprobs ? logprobsOf(choice.tokens, shape) : null,
      finish_reason: finishReason(choice.end, calledAs(choice.calls.length, shape)),
    })),
    usage: usageOf(ends, ends.length),
    timings: timingsOf(ends[0]!),
  };
}

function messageOf({ text, reasoning, calls }: WholeChoice, shape: ChatShape): object {
  const called = calls.map(({ id, ...call }) => ({
    id: id ?? shape.callId(),
    type: "function",
    function: call,
  }));
  return {
    role: "assistant",
    content: text === "" && calls.length > 0 ? null : text,
    ...(reasoning === "" ? {} : thoughtOf(reasoning)),
    ...(calls.length === 0
      ? {}
      : shape.functions
        ? { function_call: called[0]!.function }
        : { tool_calls: called }),
    refusal: null,
  };
}

/** By both names that clients look for. */
function thoughtOf(text: string): object {
  return { reasoning_content: text, reasoning: text };
}

function calledAs(calls: number, { functions }: ChatShape): "tool_calls" | "function_call" | null {
  if (calls === 0) return null;
  return functions ? "function_call" : "tool_calls";
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
  const ends = new Array<ChoiceEnd>(count);
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
    if (event.kind === "end") {
      ends[index] = event.end;
      const finish = finishReason(event.end, calledAs(called[index]!, shape));
      yield chunk([choiceOf(index, {}, null, finish)], { timings: timingsOf(event.end) });
      continue;
    }
    if (event.kind === "call") called[index] = event.call + 1;
    const delta = deltaOf(event, shape);
    const tokens = "tokens" in event && shape.wantsLogprobs ? event.tokens : [];
    const logprobs = tokens.length > 0 ? logprobsOf(tokens, shape) : null;
    if (delta || logprobs?.content.length) yield chunk([choiceOf(index, delta ?? { content: "" }, logprobs)]);
  }
  if (includeUsage) yield chunk([], { usage: usageOf(ends, count) });
}

/** @returns null: nothing that a client hears of */
function deltaOf(
  event: Exclude<ConversationEvent, { kind: "end" }>,
  { callId, functions }: ChatShape,
): object | null {
  switch (event.kind) {
    case "text":
      return event.text === "" ? null : { content: event.text };
    case "reasoning":
      return event.text === "" ? null : thoughtOf(event.text);
    case "call": {
      const begun = { name: event.name, arguments: "" };
      if (functions) return event.call === 0 ? { function_call: begun } : null;
      const id = event.id ?? callId();
      return { tool_calls: [{ index: event.call, id, type: "function", function: begun }] };
    }
    case "arguments": {
      const more = { arguments: event.text };
      if (functions) return event.call === 0 ? { function_call: more } : null;
      return { tool_calls: [{ index: event.call, function: more }] };
    }
    default:
      return event satisfies never;
  }
}

function logprobsOf(tokens: readonly AnsweredToken[], { tokenizer }: ChatShape) {
  return { content: tokenLogprobs(tokens, tokenizer), refusal: null };
}
