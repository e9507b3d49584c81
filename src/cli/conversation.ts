import type { ChatMessage } from "../text/chat-template.ts";

/** A conversation as a plain value: what was asked and said, and how much of it fits. */

export interface Turn {
  readonly question: string;
  /** null: nothing was said to it; only of the last turn */
  readonly answer: string | null;
}

export interface Conversation {
  readonly system: string | null;
  /** oldest first */
  readonly turns: readonly Turn[];
}

export function emptyConversation(system: string | null): Conversation {
  return { system, turns: [] };
}

/** With one more question. One before it that nothing was said to is forgotten: templates want turns to alternate. */
export function asked(conversation: Conversation, question: string): Conversation {
  return { ...conversation, turns: [...answeredTurns(conversation), { question, answer: null }] };
}

/** With what was said to the last question. */
export function answered(conversation: Conversation, answer: string): Conversation {
  const { question } = conversation.turns.at(-1)!;
  return { ...conversation, turns: [...conversation.turns.slice(0, -1), { question, answer }] };
}

/** With the last question open again; null: there is none. */
export function askedAgain(conversation: Conversation): Conversation | null {
  const last = conversation.turns.at(-1);
  if (!last) return null;
  const turns = [...conversation.turns.slice(0, -1), { question: last.question, answer: null }];
  return { ...conversation, turns };
}

/** In the form that chat templates read. */
export function messagesOf({ system, turns }: Conversation): ChatMessage[] {
  return [
    ...(system === null ? [] : [{ role: "system", content: system } as const]),
    ...turns.flatMap(({ question, answer }): ChatMessage[] => [
      { role: "user", content: question },
      ...(answer === null ? [] : [{ role: "assistant", content: answer } as const]),
    ]),
  ];
}

export interface Fitting {
  readonly messages: readonly ChatMessage[];
  /** oldest turns that are not in them */
  readonly dropped: number;
}

/**
 * As much of the end of a conversation as fits. The system message and the last question always stay, so that one
 * question alone may still be too long.
 * @param roomTokens most tokens of the prompt
 * @param count tokens of the prompt that messages make; more turns never make fewer. Called about log2(turns) times
 */
export async function fitting(
  conversation: Conversation,
  roomTokens: number,
  count: (messages: readonly ChatMessage[]) => Promise<number>,
): Promise<Fitting> {
  const { turns } = conversation;
  const without = (dropped: number) => messagesOf({ ...conversation, turns: turns.slice(dropped) });
  const fits = async (dropped: number) => (await count(without(dropped))) <= roomTokens;
  if (turns.length < 2 || (await fits(0))) return { messages: without(0), dropped: 0 };
  // Without `high` turns it fits, or no more can be dropped; without `low` it does not fit.
  let [low, high] = [0, turns.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (await fits(middle)) high = middle;
    else low = middle;
  }
  return { messages: without(high), dropped: high };
}

/** Tokens of the context that stay free for the answer: a quarter, or as many as it may have if that is less. */
export function promptRoom(contextTokens: number, maxTokens: number): number {
  return contextTokens - Math.min(maxTokens, contextTokens >> 2);
}

function answeredTurns({ turns }: Conversation): readonly Turn[] {
  return turns.at(-1)?.answer === null ? turns.slice(0, -1) : turns;
}
