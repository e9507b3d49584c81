import type { ChatMessage } from "../conversation.ts";
import type { Abilities } from "./abilities.ts";

/** Calls and their results as text, for templates that drop them or refuse them. */

export function withoutTools(
  messages: readonly ChatMessage[],
  { takesCalls, takesResults }: Abilities,
): readonly ChatMessage[] {
  const called = takesCalls ? messages : messages.map(inText);
  return takesResults ? called : resultsAsUser(called);
}

/** What the assistant said, and its calls behind it. */
export function withWrittenCalls({ content, written_calls: written = "" }: ChatMessage): string {
  return [content, written].filter((text) => text !== "").join("\n");
}

function inText(message: ChatMessage): ChatMessage {
  const { tool_calls: calls, written_calls: written, parts, ...rest } = message;
  if (calls === undefined || written === undefined) return message;
  const content = withWrittenCalls(message);
  return { ...rest, content, ...(parts ? { parts: [...parts, written] } : {}) };
}

/** Results that follow each other, and what the user says behind them, are one message: some templates alternate. */
function resultsAsUser(messages: readonly ChatMessage[]): ChatMessage[] {
  const out: ChatMessage[] = [];
  let open = false;
  for (const message of messages) {
    const isResult = message.role === "tool";
    const text = isResult ? `<tool_response>\n${message.content}\n</tool_response>` : message.content;
    const last = out.at(-1);
    if (open && last && (isResult || message.role === "user")) {
      out[out.length - 1] = { role: "user", content: `${last.content}\n${text}` };
    } else out.push(isResult ? { role: "user", content: text } : message);
    open = isResult;
  }
  return out;
}
