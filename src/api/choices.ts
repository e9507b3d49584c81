import { PipelineStatistics } from "../edge/core/statistics.ts";
import type { AnswerEnd, AnsweredToken, AnswerRequest, Edge } from "../edge/edge.ts";
import { Inbox } from "../util/inbox.ts";
import { ChoiceReader } from "./choice-reader.ts";
import type { ChoiceEnd, ConversationEvent } from "./conversation.ts";
import type { ChoiceRequest, ThinkingBudget } from "./requests.ts";

/** The choices of one request. */

/** @throws what `Edge.answer` throws */
async function* choiceEvents(
  edge: Edge,
  { request, reading }: ChoiceRequest,
  choice: number,
): AsyncGenerator<ConversationEvent, void, undefined> {
  const reader = new ChoiceReader(choice, reading);
  const budget = reading?.budget ?? null;
  const first = yield* answerEvents(edge, request, reader, budget);
  let { end } = first;
  if (first.overBudget && budget) {
    const rest = afterThought(edge, request, first.tokens, budget);
    if (rest === null) end = { ...end, reason: "length" };
    else {
      yield* reader.push(budget.close, []);
      const second = yield* answerEvents(edge, rest, reader, null);
      end = joined(end, first.tokens.length, second.end);
    }
  }
  yield* reader.end(end.reason === "length" || end.reason === "context" || end.reason === "cancelled");
  yield { kind: "end", choice, end: { ...end, reasoningTokens: reader.reasoningTokens } };
}

/** One answer, or its beginning: a thought that is longer than its budget is left where that ends. */
async function* answerEvents(
  edge: Edge,
  request: AnswerRequest,
  reader: ChoiceReader,
  budget: ThinkingBudget | null,
): AsyncGenerator<
  ConversationEvent,
  { readonly end: AnswerEnd; readonly tokens: readonly number[]; readonly overBudget: boolean },
  undefined
> {
  const over = new AbortController();
  const signals = [request.signal, over.signal].filter((signal) => signal !== undefined);
  const signal = budget ? { signal: AbortSignal.any(signals) } : {};
  const tokens: number[] = [];
  let last: AnswerEnd | null = null;
  for await (const event of edge.answer({ ...request, ...signal })) {
    if (event.type === "end") last = event.end;
    // What came too late to be left out.
    if (event.type !== "text" || over.signal.aborted) continue;
    if (budget) tokens.push(...event.tokens.map(({ token }) => token));
    yield* reader.push(event.text, event.tokens);
    if (budget && reader.thinksPast(budget.tokens)) over.abort();
  }
  return { end: last!, tokens, overBudget: over.signal.aborted };
}

/** The request for what follows a thought that is ended here; null: there is no room. */
function afterThought(
  edge: Edge,
  request: AnswerRequest,
  thought: readonly number[],
  { close, grammar }: ThinkingBudget,
): AnswerRequest | null {
  const tokenizer = edge.tokenizerBy(request.answerer?.opener ?? null);
  const written = tokenizer.encode(close, true);
  const closing = tokenizer.addsBegin ? written.subarray(1) : written;
  const left = request.maxTokens === undefined ? undefined : request.maxTokens - thought.length;
  if (left !== undefined && left <= 0) return null;
  const { grammar: _, ...same } = request;
  return {
    ...same,
    prompt: concatenated(request.prompt as Int32Array, thought, closing),
    ...(left === undefined ? {} : { maxTokens: left }),
    ...(grammar === null || grammar === undefined ? {} : { grammar }),
  };
}

function concatenated(...parts: readonly ArrayLike<number>[]): Int32Array {
  const whole = new Int32Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Two answers, of which one goes on with the other, as one. @param tokens of the first that count */
function joined(first: AnswerEnd, tokens: number, second: AnswerEnd): AnswerEnd {
  const [a, b] = [first.statistics, second.statistics];
  const both = PipelineStatistics.together([a, b]);
  // The prompt is the first one's: what the second read of it again is none of the client's.
  const usage = both.usage && {
    ...both.usage,
    promptTokens: a.usage!.promptTokens,
    reusedTokens: a.usage!.reusedTokens,
  };
  const statistics = Object.assign(both, {
    ...{ startedMs: a.startedMs, firstTokenMs: a.firstTokenMs, lastTokenMs: b.lastTokenMs },
    ...{ tokens: tokens + b.tokens, usage },
  });
  return { ...second, promptTokens: first.promptTokens, statistics };
}

/**
 * All choices at a time, as their events come. The first that fails ends the others.
 * @param requests one a choice
 * @param signal ends all of them
 */
export async function* allChoices(
  edge: Edge,
  requests: readonly ChoiceRequest[],
  signal: AbortSignal,
): AsyncGenerator<ConversationEvent, void, undefined> {
  const events = new Inbox<ConversationEvent>();
  const stop = new AbortController();
  const abort = () => stop.abort();
  signal.addEventListener("abort", abort);
  if (signal.aborted) abort();
  const runs = requests.map(async ({ request, reading }, choice) => {
    const asked = { request: { ...request, signal: stop.signal }, reading };
    for await (const event of choiceEvents(edge, asked, choice)) {
      events.push(event);
    }
  });
  const all = Promise.all(runs).then(
    () => events.close(),
    (error: Error) => {
      events.fail(error);
      stop.abort();
    },
  );
  try {
    yield* events;
    await all;
  } finally {
    signal.removeEventListener("abort", abort);
    stop.abort();
  }
}

/** A call of a tool, as the model wrote it. */
export interface WholeCall {
  /** null: the model wrote none */
  readonly id: string | null;
  readonly name: string;
  /** JSON as text */
  readonly arguments: string;
}

/** Everything that a choice said. */
export interface WholeChoice {
  readonly text: string;
  readonly reasoning: string;
  readonly tokens: readonly AnsweredToken[];
  readonly calls: readonly WholeCall[];
  readonly end: ChoiceEnd;
}

/** Puts the events of each choice together. @returns one a choice */
export async function gathered(
  count: number,
  events: AsyncIterable<ConversationEvent>,
): Promise<readonly WholeChoice[]> {
  const choices = Array.from({ length: count }, () => ({
    ...{ text: "", reasoning: "" },
    tokens: [] as AnsweredToken[],
    calls: [] as { id: string | null; name: string; arguments: string }[],
    end: null as ChoiceEnd | null,
  }));
  for await (const event of events) {
    const choice = choices[event.choice]!;
    switch (event.kind) {
      case "text":
        choice.text += event.text;
        choice.tokens.push(...event.tokens);
        break;
      case "reasoning":
        choice.reasoning += event.text;
        choice.tokens.push(...event.tokens);
        break;
      case "call":
        choice.calls.push({ id: event.id, name: event.name, arguments: "" });
        break;
      case "arguments":
        choice.calls[event.call]!.arguments += event.text;
        break;
      case "end":
        choice.end = event.end;
        break;
      default:
        event satisfies never;
    }
  }
  return choices as readonly WholeChoice[];
}
