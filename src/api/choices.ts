import type { AnswerEnd, AnsweredToken, AnswerRequest, Edge } from "../edge/edge.ts";
import { ToolCallParser, type WrittenCall } from "../text/tool-calls.ts";
import { Inbox } from "../util/inbox.ts";
import type { ConversationEvent } from "./conversation.ts";

/** The choices of one request, and what of their text is content and what calls of tools. */

/** @throws what `Edge.answer` throws */
async function* choiceEvents(
  edge: Edge,
  request: AnswerRequest,
  choice: number,
  readsCalls: boolean,
): AsyncGenerator<ConversationEvent, void, undefined> {
  const parser = readsCalls ? new ToolCallParser() : null;
  let call = 0;
  const called = (calls: readonly WrittenCall[]): ConversationEvent[] =>
    calls.flatMap(({ name, arguments: text }) => {
      const at = { choice, call: call++ };
      return [
        { ...at, kind: "call", name },
        { ...at, kind: "arguments", text },
      ];
    });
  for await (const event of edge.answer(request)) {
    if (event.type === "discarded") continue;
    if (event.type === "text") {
      const { text, calls } = parser?.push(event.text) ?? { text: event.text, calls: [] };
      yield { kind: "text", choice, text, tokens: event.tokens };
      yield* called(calls);
      continue;
    }
    const rest = parser?.end();
    if (rest && rest.text !== "") yield { kind: "text", choice, text: rest.text, tokens: [] };
    yield* called(rest?.calls ?? []);
    yield { kind: "end", choice, end: event.end };
  }
}

/**
 * All choices at a time, as their events come. The first that fails ends the others.
 * @param requests one a choice
 * @param signal ends all of them
 */
export async function* allChoices(
  edge: Edge,
  requests: readonly AnswerRequest[],
  readsCalls: boolean,
  signal: AbortSignal,
): AsyncGenerator<ConversationEvent, void, undefined> {
  const events = new Inbox<ConversationEvent>();
  const stop = new AbortController();
  const abort = () => stop.abort();
  signal.addEventListener("abort", abort);
  if (signal.aborted) abort();
  const runs = requests.map(async (request, choice) => {
    for await (const event of choiceEvents(edge, { ...request, signal: stop.signal }, choice, readsCalls)) {
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

/** Everything that a choice said. */
export interface WholeChoice {
  readonly text: string;
  readonly tokens: readonly AnsweredToken[];
  readonly calls: readonly WrittenCall[];
  readonly end: AnswerEnd;
}

/** Puts the events of each choice together. @returns one a choice */
export async function gathered(
  count: number,
  events: AsyncIterable<ConversationEvent>,
): Promise<readonly WholeChoice[]> {
  const choices = Array.from({ length: count }, () => ({
    text: "",
    tokens: [] as AnsweredToken[],
    calls: [] as { name: string; arguments: string }[],
    end: null as AnswerEnd | null,
  }));
  for await (const event of events) {
    const choice = choices[event.choice]!;
    switch (event.kind) {
      case "text":
        choice.text += event.text;
        choice.tokens.push(...event.tokens);
        break;
      case "call":
        choice.calls.push({ name: event.name, arguments: "" });
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
