import type { AnsweredToken } from "../../edge/edge.ts";
import type { Tokenizer } from "../../text/tokenizer.ts";
import type { WholeCall, WholeChoice } from "../choices.ts";
import type { ChoiceEnd, ConversationEvent } from "../conversation.ts";
import { tokenLogprobs } from "../logprobs.ts";

/** Answers as Ollama's API has them: lines of a stream, of which the last has the figures, or one object. */

/** A call of a tool, whole: a stream does not divide it. */
interface OllamaCall {
  readonly id: string;
  readonly function: { readonly index: number; readonly name: string; readonly arguments: object };
}

/** What a line says, before it is a chat's or a question's. */
export interface Said {
  readonly text: string;
  readonly thinking: string;
  readonly calls: readonly OllamaCall[];
}

export interface OllamaShape {
  /** whose text it is, as the client called it */
  readonly model: string;
  readonly tokenizer: Tokenizer;
  readonly wantsLogprobs: boolean;
  readonly callId: () => string;
  /** what is the protocol's own of a line: `message`, or `response` */
  readonly said: (said: Said) => object;
  /** the date and time, ISO 8601 */
  readonly nowText: () => string;
  readonly times: AnswerTimes;
}

/** When things were, ms of one clock. */
export interface AnswerTimes {
  readonly askedMs: number;
  /** its model was there, and it was its turn */
  readonly begunMs: number;
  readonly nowMs: () => number;
}

const NOTHING: Said = { text: "", thinking: "", calls: [] };

export async function* answerLines(
  events: AsyncIterable<ConversationEvent>,
  shape: OllamaShape,
): AsyncGenerator<object, void, undefined> {
  const calls = new CallsInParts(shape.callId);
  for await (const event of events) {
    switch (event.kind) {
      case "call":
        if (calls.open) yield line(calls.close(), [], shape);
        calls.begin(event);
        break;
      case "arguments":
        calls.more(event.text);
        break;
      case "text":
      case "reasoning": {
        const logprobs = shape.wantsLogprobs ? event.tokens : [];
        if (event.text === "" && logprobs.length === 0) break;
        // Tokens of a call come as text that is empty, between its parts.
        const made = event.text === "" ? [] : calls.close().calls;
        const said = { ...NOTHING, [event.kind === "text" ? "text" : "thinking"]: event.text };
        if (made.length > 0) yield line({ ...NOTHING, calls: made }, [], shape);
        yield line(said, logprobs, shape);
        break;
      }
      case "end": {
        const last = calls.close();
        if (last.calls.length > 0) yield line(last, [], shape);
        yield { ...head(shape), ...shape.said(NOTHING), ...ending(event.end, shape.times) };
        break;
      }
      default:
        event satisfies never;
    }
  }
}

export function wholeAnswer(
  { text, reasoning, tokens, calls, end }: WholeChoice,
  shape: OllamaShape,
): object {
  const made = calls.flatMap((call, index) => wholeCall(call, index, shape.callId) ?? []);
  return {
    ...head(shape),
    ...shape.said({ text, thinking: reasoning, calls: made }),
    ...logprobsOf(shape.wantsLogprobs ? tokens : [], shape),
    ...ending(end, shape.times),
  };
}

/** Puts calls together that come in parts. */
class CallsInParts {
  private current: { id: string | null; name: string; arguments: string } | null = null;
  private count = 0;
  private readonly callId: () => string;

  constructor(callId: () => string) {
    this.callId = callId;
  }

  get open(): boolean {
    return this.current !== null;
  }

  begin({ id, name }: { readonly id: string | null; readonly name: string }): void {
    this.current = { id, name, arguments: "" };
  }

  more(text: string): void {
    if (this.current) this.current.arguments += text;
  }

  /** The call that was open. */
  close(): Said {
    const { current } = this;
    this.current = null;
    const call = current && wholeCall(current, this.count, this.callId);
    if (!call) return NOTHING;
    this.count++;
    return { ...NOTHING, calls: [call] };
  }
}

/** @returns null: the answer was cut off within it */
function wholeCall({ id, name, arguments: text }: WholeCall, index: number, callId: () => string) {
  const args = objectOf(text);
  return args && { id: id ?? callId(), function: { index, name, arguments: args } };
}

function objectOf(text: string): object | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

function line(said: Said, tokens: readonly AnsweredToken[], shape: OllamaShape): object {
  return { ...head(shape), ...shape.said(said), ...logprobsOf(tokens, shape), done: false };
}

function head({ model, nowText }: OllamaShape): object {
  return { model, created_at: nowText() };
}

function logprobsOf(tokens: readonly AnsweredToken[], { tokenizer }: OllamaShape): object {
  const logprobs = tokenLogprobs(tokens, tokenizer);
  return logprobs.length > 0 ? { logprobs } : {};
}

/** The figures of an answer, as the edge counted them. */
function ending({ reason, promptTokens, statistics }: ChoiceEnd, times: AnswerTimes): object {
  const { startedMs, firstTokenMs, lastTokenMs, tokens } = statistics;
  const firstMs = Math.max(firstTokenMs, startedMs);
  return {
    done: true,
    done_reason: reason === "length" || reason === "context" ? "length" : "stop",
    total_duration: nanoseconds(times.nowMs() - times.askedMs),
    load_duration: nanoseconds(times.begunMs - times.askedMs),
    prompt_eval_count: promptTokens,
    prompt_eval_duration: nanoseconds(firstMs - startedMs),
    eval_count: tokens,
    eval_duration: nanoseconds(Math.max(0, lastTokenMs - firstMs)),
  };
}

function nanoseconds(ms: number): number {
  return Math.round(ms * 1e6);
}

/** A message of the assistant. */
export function chatSaid({ text, thinking, calls }: Said): object {
  return {
    message: {
      ...{ role: "assistant", content: text },
      ...(thinking === "" ? {} : { thinking }),
      ...(calls.length > 0 ? { tool_calls: calls } : {}),
    },
  };
}

export function questionSaid({ text, thinking }: Said): object {
  return { response: text, ...(thinking === "" ? {} : { thinking }) };
}
