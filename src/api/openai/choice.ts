import type { AnswerEnd, AnsweredToken, AnswerRequest, Edge } from "../../edge/edge.ts";
import { ToolCallParser, type WrittenCall } from "../../text/tool-calls.ts";
import { Inbox } from "../../util/inbox.ts";

/** One answer of a request that may ask for several, and calls of tools told from its text. */

export type ChoiceEvent =
  | {
      readonly kind: "more";
      readonly choice: number;
      readonly text: string;
      readonly tokens: readonly AnsweredToken[];
      readonly calls: readonly WrittenCall[];
    }
  | { readonly kind: "end"; readonly choice: number; readonly end: AnswerEnd };

/** @throws what `Edge.answer` throws */
async function* choiceEvents(
  edge: Edge,
  request: AnswerRequest,
  choice: number,
  readsCalls: boolean,
): AsyncGenerator<ChoiceEvent, void, undefined> {
  const parser = readsCalls ? new ToolCallParser() : null;
  for await (const event of edge.answer(request)) {
    if (event.type === "discarded") continue;
    if (event.type === "text") {
      const { text, calls } = parser?.push(event.text) ?? { text: event.text, calls: [] };
      yield { kind: "more", choice, text, tokens: event.tokens, calls };
      continue;
    }
    const rest = parser?.end();
    if (rest && (rest.text !== "" || rest.calls.length > 0)) {
      yield { kind: "more", choice, text: rest.text, tokens: [], calls: rest.calls };
    }
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
): AsyncGenerator<ChoiceEvent, void, undefined> {
  const events = new Inbox<ChoiceEvent>();
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
  text: string;
  readonly tokens: AnsweredToken[];
  readonly calls: WrittenCall[];
  end: AnswerEnd | null;
}

export async function gathered(
  count: number,
  events: AsyncIterable<ChoiceEvent>,
): Promise<readonly (WholeChoice & { readonly end: AnswerEnd })[]> {
  const choices = Array.from(
    { length: count },
    (): WholeChoice => ({ text: "", tokens: [], calls: [], end: null }),
  );
  for await (const event of events) {
    const choice = choices[event.choice]!;
    if (event.kind === "end") choice.end = event.end;
    else {
      choice.text += event.text;
      choice.tokens.push(...event.tokens);
      choice.calls.push(...event.calls);
    }
  }
  return choices as (WholeChoice & { readonly end: AnswerEnd })[];
}
