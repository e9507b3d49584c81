import type { ChatMessage } from "../conversation.ts";
import type { Abilities } from "./abilities.ts";
import { withoutTools } from "./fallback.ts";
import { decimalJson } from "./values.ts";

/** Messages as a template wants them: nothing of what was said is lost, and nothing is refused for its form. */

type Json = Record<string, unknown>;

export function preparedMessages(messages: readonly ChatMessage[], abilities: Abilities): Json[] {
  const whole = mergedSystem(withoutTools(messages, abilities), abilities);
  const shaped = whole.map((message) => shapedMessage(message, abilities));
  return abilities.takesResponses ? withResponses(shaped) : shaped;
}

/** System messages go where the template shows them: to the start, or into the user's next message. */
function mergedSystem(messages: readonly ChatMessage[], abilities: Abilities): ChatMessage[] {
  const out: ChatMessage[] = [];
  let pending: ChatMessage[] = [];
  const flush = () => {
    if (pending.length > 0) out.push({ role: "user", content: textOf(pending) });
    pending = [];
  };
  for (const message of messages) {
    if (message.role === "system") {
      const before = out.at(-1);
      if (abilities.takesLaterSystem || (abilities.takesSystem && out.length === 0)) out.push(message);
      else if (abilities.takesSystem && out.length === 1 && before?.role === "system")
        out[0] = { ...before, content: textOf([before, message]) };
      else pending.push(message);
    } else if (message.role === "user" && pending.length > 0) {
      const { parts } = message;
      const joined = { ...message, content: textOf([...pending, message]) };
      out.push(parts ? { ...joined, parts: [textOf(pending), ...parts] } : joined);
      pending = [];
    } else {
      flush();
      out.push(message);
    }
  }
  flush();
  return out;
}

const textOf = (messages: readonly ChatMessage[]): string =>
  messages.map(({ content }) => content).join("\n");

const part = (text: string): Json => ({ type: "text", text });

function shapedMessage(message: ChatMessage, abilities: Abilities): Json {
  const { parts, reasoning_content: thought, tool_calls: calls, content, ...others } = message;
  const { written_calls: _, ...rest } = others;
  const { takesText, takesParts, takesObjects } = abilities;
  const asParts = parts !== undefined ? takesParts : !takesText;
  const shaped: Json = { ...rest, content: asParts ? (parts ?? [content]).map(part) : content };
  if (calls !== undefined) {
    shaped.tool_calls = calls.map((call) => {
      const { name, arguments: args } = call.function;
      return { ...call, function: { name, arguments: takesObjects ? parsed(args) : args } };
    });
  }
  return thought === undefined ? shaped : withThought(shaped, thought, abilities);
}

/** What is no JSON stays a text: a call may have been cut off. */
function parsed(args: string): unknown {
  try {
    return decimalJson(args);
  } catch {
    return args;
  }
}

function withThought(message: Json, thought: string, { thoughtField }: Abilities): Json {
  const { content } = message;
  switch (thoughtField) {
    case "reasoning_content":
      return { ...message, reasoning_content: thought };
    case "thinking":
    case "reasoning": {
      const both = { ...message, reasoning_content: thought, [thoughtField]: thought };
      // Such templates take one of both beside calls.
      if (!("tool_calls" in message) || typeof content !== "string") return both;
      return { ...both, content: "", [thoughtField]: [thought, content].filter(Boolean).join("\n\n") };
    }
    case "part": {
      const said = typeof content === "string" ? [part(content)] : (content as Json[]);
      return { ...message, content: [{ type: "thinking", thinking: thought }, ...said] };
    }
    default:
      return thoughtField satisfies never;
  }
}

/** Results of calls, and the answer that follows, in the message that has the calls. */
function withResponses(messages: readonly Json[]): Json[] {
  const out: Json[] = [];
  for (const message of messages) {
    const last = out.at(-1);
    const calls = last?.tool_calls as { function: { name: string } }[] | undefined;
    const responses = (last?.tool_responses ?? []) as Json[];
    if (message.role === "tool" && calls !== undefined) {
      const name = calls[responses.length]?.function.name ?? message.tool_call_id;
      const response = typeof message.content === "string" ? parsed(message.content) : message.content;
      out[out.length - 1] = { ...last, tool_responses: [...responses, { name, response }] };
    } else if (isAnswerTo(last, message)) {
      out[out.length - 1] = { ...last, content: message.content };
    } else out.push(message);
  }
  return out;
}

function isAnswerTo(last: Json | undefined, message: Json): boolean {
  return (
    last?.tool_responses !== undefined &&
    (last.content === "" || last.content === undefined) &&
    message.role === "assistant" &&
    message.tool_calls === undefined
  );
}
